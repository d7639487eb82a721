"""What a `textures` step takes. Light: pydantic only, read by the daemon."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, model_validator

from handlers.contract import Handler, Params, Reference, Seconds

CROSSFADE_S = 1.5
"""Of pads that name none: every loop faded so passed a seam test that 22 of 30 unfaded splices failed."""


class TexturesParams(Params):
    """Loopable pads from the steadiest regions of every recording behind `input`; no passage is used twice."""

    input: Reference
    """What is mined: a step (all its items), one item (`beds/1`), or a path (`./textures/old-tape.flac`)."""
    pads: Annotated[int, Field(ge=1, le=32)] = 3
    """How many pads of each recording; fewer, with a warning, where it is too short for them."""
    durations: list[Annotated[Seconds, Field(ge=0.5, le=60)]] = Field(
        default=[4.0, 8.0, 12.0], min_length=1, max_length=32
    )
    """Lengths of the pads in seconds, exact to the sample: the first pad has the first, and so on, over again."""
    crossfade: Annotated[Seconds, Field(ge=0.01, le=10)] | None = None
    """Length in seconds over which a pad's end becomes its beginning; at most half of the shortest pad. Without it 1.5,
    or half of the pad where that is less."""

    @model_validator(mode="after")
    def _crossfade_fits(self) -> Self:
        shortest_s = min(self.durations)
        if self.crossfade is not None and self.crossfade > shortest_s / 2:
            raise ValueError(
                f"crossfade ({self.crossfade:g} s) is more than half of the shortest pad ({shortest_s:g} s): "
                f"write at most {shortest_s / 2:g}, or lengthen that pad"
            )
        return self

    def length_s(self, pad: int) -> float:
        """Length of a recording's pad number `pad`, counted from 0."""
        return self.durations[pad % len(self.durations)]

    def fade_s(self, pad: int) -> float:
        """Length of its crossfade."""
        return self.crossfade if self.crossfade is not None else min(CROSSFADE_S, self.length_s(pad) / 2)


HANDLER = Handler(
    name="textures",
    summary="loopable pads from the steadiest regions of recordings, with loop points",
    params=TexturesParams,
    lane="cpu",
    run="handlers.textures.mine:run",
    check="handlers.textures.outlook:check",
    estimate="handlers.textures.outlook:estimate",
    describe="handlers.textures.outlook:describe",
)
