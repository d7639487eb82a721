"""Three small handlers to read job files with: one makes, one joins, one looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from handlers.contract import Estimate, Finding, Folder, Handler, Params, Reference, Seconds, World
from handlers.registry import Registry


class ToneParams(Params):
    """Tones."""

    style: Annotated[str, Field(pattern=r"^[a-z]+/[a-z]+$")]
    """What it sounds like, such as `industrial/bed`."""
    duration: Annotated[Seconds, Field(ge=1, le=600)] = 30.0
    count: Annotated[int, Field(ge=1, le=8)] = 1
    prompt: Annotated[str, Field(max_length=10)] = ""
    loud: bool = False
    model: str = "here"


class Fade(Params):
    kind: Literal["fade"]
    seconds: Annotated[Seconds, Field(gt=0)] = 1.0


class Cut(Params):
    kind: Literal["cut"]


class Mp3(Params):
    kbps: Annotated[int, Field(ge=32)] = 192


class Mp3Format(Params):
    mp3: Mp3


class OggFormat(Params):
    ogg: dict[str, float]


class BlendParams(Params):
    """Joins."""

    order: Annotated[list[Reference], Field(min_length=1, max_length=20)]
    join: Annotated[Fade | Cut, Field(discriminator="kind")] | None = None
    loose: Fade | Cut | None = None
    formats: list[Literal["flac", "mp3"] | Mp3Format | OggFormat] = Field(default_factory=lambda: ["flac"])

    @model_validator(mode="after")
    def _differ(self) -> Self:
        if self.formats == ["flac", "flac"]:
            raise ValueError("formats: flac is asked for twice")
        return self


class LookParams(Params):
    """Looks."""

    input: Reference
    """What is looked at."""
    below: list[Folder] = []


def check_tone(params: ToneParams, world: World) -> Iterator[Finding]:
    if params.model == "gone":
        yield Finding("missing", "model", "gone is not here; fetch it")
    if params.model == "wrong":
        yield Finding("error", "model", "there is no model wrong")
    if params.model == "broken":
        raise RuntimeError("oh")
    if params.prompt:
        yield Finding("warning", "prompt", "is not read")


def estimate_tone(params: ToneParams, inputs: Mapping[str, list[Estimate]]) -> Estimate:
    return Estimate(params.count, params.duration, params.count * 100)


def estimate_blend(params: BlendParams, inputs: Mapping[str, list[Estimate]]) -> Estimate:
    lengths = [item.duration_s for reference in params.order for item in inputs[reference]]
    return Estimate(1, None if None in lengths else sum(lengths), None)


HERE = "tests.daemon.documents.orchestra"
TONE = Handler("tone", "makes tones", ToneParams, run="", check=f"{HERE}:check_tone", estimate=f"{HERE}:estimate_tone")
BLEND = Handler("blend", "joins", BlendParams, run="", estimate=f"{HERE}:estimate_blend")
LOOK = Handler("look", "looks", LookParams, run="")
ORCHESTRA = Registry({handler.name: handler for handler in (TONE, BLEND, LOOK)})
