"""How one piece becomes the next, as a job says it. Light: pydantic only, read by the daemon."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from handlers.contract import Params, Seconds

Kind = Literal["cut", "crossfade", "beatmatch", "echo_out", "filter"]
Curve = Literal["keep_level", "equal_power", "linear"]

DURATION_S = 4.0
"""Of a crossfade that names none, and where bars were asked for and are not known."""
BARS = {"beatmatch": 8, "echo_out": 2, "filter": 4}
"""Of the kinds that are counted in bars, where no length is named."""
MOST_BARS = 64
_HAS = {
    "cut": (),
    "crossfade": ("duration", "bars", "fade_out", "fade_in", "curve"),
    "beatmatch": ("bars", "tempo", "bass_swap"),
    "echo_out": ("duration", "bars"),
    "filter": ("duration", "bars"),
}
"""The keys of each kind."""
_LENGTHS = ("duration", "bars", "fade_out", "fade_in")


class Transition(Params):
    """How one piece becomes the next."""

    kind: Kind = "crossfade"
    """`cut`: sample after sample, nothing lost; `crossfade`: the two overlap; `beatmatch`: they overlap downbeat on
    downbeat, the tempo of one becoming that of the other; `echo_out`: the piece before stops on a downbeat and its last
    beat dies away in echoes over the next; `filter`: a sweep hands the spectrum over from the bass to the treble. Where
    a grid is missing or the tempi are more than 8 % apart a beatmatch becomes a crossfade, and the report says so."""
    duration: Annotated[Seconds, Field(gt=0, le=120)] | None = None
    """Length in seconds, of a crossfade 4 without it; at most half of either piece, else it is shortened with a
    warning."""
    bars: Annotated[int, Field(ge=1, le=MOST_BARS)] | None = None
    """Length in bars of the piece that leaves, in place of `duration`: 8 for a beatmatch, 4 for a filter, 2 for an
    echo_out without it."""
    fade_out: Annotated[Seconds, Field(gt=0, le=120)] | None = None
    """Of a crossfade: how long the piece before takes to leave, at the end of the overlap; all of it without it."""
    fade_in: Annotated[Seconds, Field(gt=0, le=120)] | None = None
    """Of a crossfade: how long the piece after takes to enter, at the overlap's start; all of it without it."""
    curve: Curve | None = None
    """Of a crossfade: `keep_level` (without it) listens how alike the two are and keeps the level of what is heard: equal
    power for unlike pieces, equal amplitude for the same material; `equal_power` and `linear` are these two, unheard."""
    tempo: Literal["ramp", "hold"] | None = None
    """Of a beatmatch: `ramp` (without it) leads one tempo into the other over the overlap; `hold` keeps that of the
    piece that leaves, and the piece after has its own as soon as it is alone."""
    bass_swap: bool | None = None
    """Of a beatmatch: the bass changes hands on a downbeat in the middle; `true` without it."""

    @model_validator(mode="before")
    @classmethod
    def _fill(cls, value: object) -> object:
        # Written out here, and not as the fields' defaults, so that a cut that names one can be told from one that
        # does not, also after it was stored with all its keys.
        if not isinstance(value, dict):
            return value
        chosen = {key: kept for key, kept in value.items() if kept is not None}
        kind = value.get("kind", "crossfade")
        if kind == "crossfade":
            length = {} if {"bars", "fade_out", "fade_in"} & chosen.keys() else {"duration": DURATION_S}
            return {"kind": kind, "curve": "keep_level", **length, **chosen}
        if kind == "beatmatch":
            return {"bars": BARS[kind], "tempo": "ramp", "bass_swap": True, **chosen}
        if kind in BARS and not any(name in chosen for name in _LENGTHS):
            return {"bars": BARS[kind], **chosen}
        return value

    @model_validator(mode="after")
    def _has_what_its_kind_has(self) -> Self:
        for name in sorted({name for names in _HAS.values() for name in names} - set(_HAS[self.kind])):
            if getattr(self, name) is not None:
                raise ValueError(f"a {self.kind} has no {name}: remove it{_other_kinds(name)}")
        if self.duration is not None and self.bars is not None:
            raise ValueError(f"duration ({self.duration:g} s) and bars ({self.bars}) exclude each other: keep one")
        for name in ("fade_out", "fade_in"):
            fade = getattr(self, name)
            if fade is not None and self.bars is not None:
                raise ValueError(f"{name} ({fade:g} s) and bars ({self.bars}) exclude each other: keep one")
            if fade is not None and self.duration is not None and fade > self.duration:
                raise ValueError(f"{name} ({fade:g} s) is longer than the overlap, duration ({self.duration:g} s)")
        return self

    @property
    def overlap_s(self) -> float | None:
        """How long the two pieces overlap in seconds; `None` where that is counted in bars; 0 for a cut."""
        if self.bars is not None:
            return None
        return self.duration or max(self.fade_out or 0.0, self.fade_in or 0.0)


class Between(Transition):
    """A transition of its own between two pieces."""

    after: Annotated[int, Field(ge=1)]
    """The number of the piece it follows, from 1, all pieces counted."""


def _other_kinds(name: str) -> str:
    kinds = [kind for kind, names in _HAS.items() if name in names]
    return f", or say kind: {' or '.join(kinds)}"
