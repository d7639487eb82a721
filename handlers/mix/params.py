"""What a `mix` step takes. Light: pydantic only, read by the daemon."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from handlers.audio.delivery.choices import MP3_MAX_RATE, Format, FormatChoice, WavSettings, check_formats
from handlers.contract import Handler, Params, Reference, Seconds

DURATION_S = 4.0
"""Of a crossfade that names none."""


class Transition(Params):
    """How one piece becomes the next."""

    kind: Literal["cut", "crossfade"] = "crossfade"
    """`cut`: sample after sample, nothing lost; `crossfade`: the two overlap."""
    duration: Annotated[Seconds, Field(gt=0, le=120)] | None = None
    """Length of the overlap in seconds, 4 without it; at most half of either piece, else it is shortened with a
    warning. A cut has none."""
    curve: Literal["equal_power", "linear"] | None = None
    """`equal_power` (without it) keeps the level of unlike pieces; `linear` that of the same material. A cut has
    none."""

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, value: object) -> object:
        # Written out here, and not as the fields' defaults, so that a cut that names one can be told from one that
        # does not, also after it was stored with all its keys.
        if isinstance(value, dict) and value.get("kind", "crossfade") == "crossfade":
            chosen = {key: kept for key, kept in value.items() if kept is not None}
            return {"kind": "crossfade", "duration": DURATION_S, "curve": "equal_power", **chosen}
        return value

    @model_validator(mode="after")
    def _cut_has_no_length(self) -> Self:
        for name in ("duration", "curve"):
            if self.kind == "cut" and getattr(self, name) is not None:
                raise ValueError(f"a cut has no {name}: remove it, or say kind: crossfade")
        return self


class MixParams(Params):
    """One continuous piece out of several, in the given order."""

    order: Annotated[list[Reference], Field(min_length=1, max_length=10_000)]
    """What is played, in order: a step (all its items), one item (`beds/1`), or a path (`./tracks/a.flac`)."""
    transition: Transition = Transition(kind="crossfade", duration=DURATION_S, curve="equal_power")
    """Between every two pieces."""
    loudness: Annotated[float, Field(ge=-40, le=-5)] | None = None
    """Integrated loudness of the whole in LUFS, by one linear gain; only peaks that it would lift over the ceiling are
    limited, and the report says how far. Without it levels stay as they are."""
    ceiling: Annotated[float, Field(ge=-20, le=0)] = -1.0
    """Highest true peak in dBTP."""
    formats: Annotated[list[Format], Field(min_length=1, max_length=4)] = [FormatChoice(wav=WavSettings())]
    """The first is the result itself, the others are renditions of it."""
    sample_rate: Annotated[int, Field(ge=8_000, le=192_000)] | None = None
    """Of the mix in Hz; without it the highest among the pieces."""
    title: Annotated[str, Field(max_length=200)] | None = None
    """Written into the files' tags; without it the job's name."""

    @model_validator(mode="after")
    def _formats_differ(self) -> Self:
        check_formats(self.formats)
        return self

    @model_validator(mode="after")
    def _rate_fits(self) -> Self:
        if self.sample_rate and self.sample_rate > MP3_MAX_RATE and any(f.name == "mp3" for f in self.formats):
            raise ValueError(f"sample_rate: mp3 holds at most {MP3_MAX_RATE} Hz, not {self.sample_rate}")
        return self


HANDLER = Handler(
    name="mix",
    summary="one continuous piece: cuts or crossfades, loudness, WAV, FLAC, MP3, OGG",
    params=MixParams,
    lane="cpu",
    run="handlers.mix.mixdown:run",
    estimate="handlers.mix.outlook:estimate",
    describe="handlers.mix.outlook:describe",
)
