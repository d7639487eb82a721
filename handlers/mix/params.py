"""What a `mix` step takes. Light: pydantic only, read by the daemon."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from handlers.audio.delivery.choices import MP3_MAX_RATE, Format, FormatChoice, WavSettings, check_formats
from handlers.contract import Handler, Params, Reference, Seconds

DURATION_S = 4.0
"""Of a crossfade that names none."""
BARS = 8
"""Of a beatmatch that names none."""


class Transition(Params):
    """How one piece becomes the next."""

    kind: Literal["cut", "crossfade", "beatmatch"] = "crossfade"
    """`cut`: sample after sample, nothing lost; `crossfade`: the two overlap; `beatmatch`: they overlap downbeat on
    downbeat, the tempo of one becoming that of the other. Where a grid is missing or the tempi are more than 8 % apart
    it becomes a crossfade, and the report says so."""
    duration: Annotated[Seconds, Field(gt=0, le=120)] | None = None
    """Length of a crossfade in seconds, 4 without it; at most half of either piece, else it is shortened with a
    warning."""
    bars: Annotated[int, Field(ge=1, le=64)] | None = None
    """Length of a beatmatch in bars of the piece that leaves, 8 without it; also of a crossfade, in place of `duration`."""
    curve: Literal["equal_power", "linear"] | None = None
    """Of a crossfade: `equal_power` (without it) keeps the level of unlike pieces; `linear` that of the same material."""
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
        match value.get("kind", "crossfade"):
            case "crossfade":
                length = {} if "bars" in chosen else {"duration": DURATION_S}
                return {"kind": "crossfade", "curve": "equal_power", **length, **chosen}
            case "beatmatch":
                return {"bars": BARS, "bass_swap": True, **chosen}
        return value

    @model_validator(mode="after")
    def _has_what_its_kind_has(self) -> Self:
        has = {"cut": (), "crossfade": ("duration", "bars", "curve"), "beatmatch": ("bars", "bass_swap")}[self.kind]
        for name in ("duration", "bars", "curve", "bass_swap"):
            if name not in has and getattr(self, name) is not None:
                raise ValueError(
                    f"a {self.kind} has no {name}: remove it{', or say kind: crossfade' if name in ('duration', 'curve') else ''}"
                )
        if self.duration is not None and self.bars is not None:
            raise ValueError(f"duration ({self.duration:g} s) and bars ({self.bars}) exclude each other: keep one")
        return self


class Between(Transition):
    """A transition of its own between two pieces."""

    after: Annotated[int, Field(ge=1)]
    """The number of the piece it follows, from 1, all pieces counted."""


class MixParams(Params):
    """One continuous piece out of several, in the given order."""

    order: Annotated[list[Reference], Field(min_length=1, max_length=10_000)]
    """What is played, in order: a step (all its items), one item (`beds/1`), or a path (`./tracks/a.flac`)."""
    transition: Transition = Transition(kind="crossfade", duration=DURATION_S, curve="equal_power")
    """Between every two pieces."""
    transitions: list[Between] = []
    """Those that differ, each with the number of the piece it follows: `[{after: 2, kind: cut}]`."""
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
    def _transitions_differ(self) -> Self:
        places = [between.after for between in self.transitions]
        for place in places:
            if places.count(place) > 1:
                raise ValueError(f"transitions: two follow piece {place}; keep one")
        return self

    @model_validator(mode="after")
    def _rate_fits(self) -> Self:
        if self.sample_rate and self.sample_rate > MP3_MAX_RATE and any(f.name == "mp3" for f in self.formats):
            raise ValueError(f"sample_rate: mp3 holds at most {MP3_MAX_RATE} Hz, not {self.sample_rate}")
        return self


HANDLER = Handler(
    name="mix",
    summary="one continuous piece: cuts, crossfades or matched beats, loudness, WAV, FLAC, MP3, OGG",
    params=MixParams,
    lane="cpu",
    run="handlers.mix.mixdown:run",
    estimate="handlers.mix.outlook:estimate",
    describe="handlers.mix.outlook:describe",
)
