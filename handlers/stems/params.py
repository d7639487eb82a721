"""What a `stems` step takes. Light: pydantic only, read by the daemon."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from handlers.contract import Handler, Params, Seconds
from handlers.stems.theory import parse_key


def _check_key(text: str) -> str:
    return str(parse_key(text))


class StemsParams(Params):
    """`count` pieces of music in one style, each from its own random stream; tempo, key and motif are shared."""

    model: Annotated[str, Field(min_length=1, max_length=100)] = "procedural"
    """What makes the sound: a key of `config/models.yaml`. `procedural` is the built-in instrument."""
    style: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]*/[a-z0-9][a-z0-9_-]*$", max_length=100)]
    """What it sounds like: `family/style` from `config/styles/`, such as `industrial/bed`."""
    duration: Annotated[Seconds, Field(ge=1, le=600)] = 30.0
    """Length of each stem in seconds, exact to the sample."""
    count: Annotated[int, Field(ge=1, le=64)] = 1
    """How many stems."""
    prompt: Annotated[str, Field(max_length=4000)] = ""
    """Words for models that read them, in place of the style's own. The procedural backend records them only."""
    tempo: Annotated[float, Field(ge=60, le=200)] | None = None
    """Beats per minute; without it the job's seed draws one from the style's range."""
    key: Annotated[str, AfterValidator(_check_key)] | None = None
    """Such as `A minor` or `F# major`; without it the job's seed draws one of the style's keys."""


HANDLER = Handler(
    name="stems",
    summary="pieces of music in a style, from a seed",
    params=StemsParams,
    lane="gpu",
    run="handlers.stems.run:run",
    check="handlers.stems.check:check",
    estimate="handlers.stems.check:estimate",
    describe="handlers.stems.check:describe",
)
