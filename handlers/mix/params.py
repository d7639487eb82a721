"""What a `mix` step takes. Light: pydantic only, read by the daemon."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from handlers.audio.delivery.choices import MP3_MAX_RATE, Format, FormatChoice, WavSettings, check_formats
from handlers.contract import Handler, Params, Reference, Seconds
from handlers.mix.presets import Preset, fill
from handlers.mix.transitions import DURATION_S, Between, Transition

Extra = Literal["aligned", "reaper", "teaser"]


class Planned(Enum):
    """The order that is found, not given. No text, so that nobody takes it for the name of a step."""

    AUTO = "auto"


def _auto(value: object) -> object:
    return Planned.AUTO if value == "auto" else value


class Pin(Params):
    """A piece whose place is fixed in a planned order."""

    piece: Reference
    """One of the pieces: `beds/3`, `./tracks/a.flac`."""
    at: Annotated[int, Field(ge=1)] | Literal["first", "last"]
    """Its place, counted from 1, or `first` or `last`."""


class Tags(Params):
    """What is written into the files beside the title."""

    artist: Annotated[str, Field(max_length=200)] | None = None
    """Who made it."""
    album: Annotated[str, Field(max_length=200)] | None = None
    """What it is a part of."""
    genre: Annotated[str, Field(max_length=200)] | None = None
    """Such as Industrial."""
    date: Annotated[str, Field(max_length=32)] | None = None
    """A year, or a date as 2026-11-21."""
    comment: Annotated[str, Field(max_length=1000)] | None = None
    """Anything else."""


class MixParams(Params):
    """One continuous piece out of several: in a given order, by turns, or as it plans itself."""

    preset: Preset | None = None
    """`streaming`, `club`, `podcast` or `game-loop`: loudness, ceiling, formats and tags for that use. What the job names
    itself stands. `game-loop` also says `loop: true`."""
    order: Annotated[
        Annotated[list[Reference], Field(min_length=1, max_length=10_000)] | Planned | Reference | None,
        BeforeValidator(_auto, json_schema_input_type=list[str] | Literal["auto"] | str | None),
    ] = None
    """What is played, in order: a list of steps (all items of each), items (`beds/1`) and paths (`./tracks/a.flac`); or
    `auto`, which plans a set of `pieces`: near tempi and keys beside each other, energy that rises, peaks after two
    thirds and falls; or a path to an `order.txt` in ffmpeg's concat syntax, such as every mix writes."""
    interleave: Annotated[list[Reference], Field(min_length=1, max_length=100)] | None = None
    """In place of `order`: the first item of each of these, then the second of each, and so on; one that has no more is
    passed over."""
    pieces: Annotated[list[Reference], Field(min_length=1, max_length=10_000)] | None = None
    """What `order: auto` plans; and what the lines of an `order.txt` mean that name files elsewhere than beside it."""
    pin: Annotated[list[Pin], Field(max_length=10_000)] = []
    """With `order: auto`: pieces whose place is fixed, `[{piece: beds/3, at: first}]`."""
    repeat: Annotated[int, Field(ge=1, le=1000)] = 1
    """The whole order so many times."""
    length: Annotated[Seconds, Field(gt=0, le=86_400)] | None = None
    """How long the mix is to be, `60m`: the order is played again and again, or stopped, after the piece that ends
    nearest to it. A planned set takes as many pieces as fit and repeats none."""
    transition: Transition = Transition(kind="crossfade", duration=DURATION_S, curve="keep_level")
    """Between every two pieces."""
    transitions: list[Between] = []
    """Those that differ, each with the number of the piece it follows: `[{after: 2, kind: cut}]`."""
    loop: bool = False
    """The end leads back into the beginning by a transition of its own: played over and over, there is no seam."""
    match: Literal["loudness", "none"] | None = None
    """`loudness`: each piece is brought to one loudness first, by a linear gain of its own; `none`: levels between pieces
    stay. Without it `loudness` where the whole's loudness is asked for, else `none`: who names no level wants his own."""
    loudness: Annotated[float, Field(ge=-40, le=-5)] | None = None
    """Integrated loudness of the whole in LUFS, by one linear gain; only peaks that it would lift over the ceiling are
    limited, and the report says how far. Without it levels stay as they are."""
    ceiling: Annotated[float, Field(ge=-20, le=0)] = -1.0
    """Highest true peak in dBTP."""
    lossy_ceiling: Annotated[float, Field(ge=-20, le=0)] | None = None
    """Highest true peak of MP3, OGG and Opus files as they are decoded, in dBTP, where `loudness` is given; without it
    that of `ceiling`. A file that passes it is encoded once more."""
    formats: Annotated[list[Format], Field(min_length=1, max_length=5)] = [FormatChoice(wav=WavSettings())]
    """The first is the result itself, the others are renditions of it."""
    extras: Annotated[list[Extra], Field(max_length=3)] = []
    """What takes time or space: `aligned`, every piece as a WAV of the mix's length at its place, with a MIDI tempo map;
    `reaper`, a project for Reaper with every source on its track; `teaser`, 30 s of the best transition."""
    sample_rate: Annotated[int, Field(ge=8_000, le=192_000)] | None = None
    """Of the mix in Hz; without it the highest among the pieces. Opus is converted to 48000."""
    title: Annotated[str, Field(max_length=200)] | None = None
    """Written into the files' tags; without it the job's name."""
    tags: Tags = Tags()
    """More of them: `{artist: ..., genre: Industrial}`."""

    @property
    def references(self) -> list[str]:
        """All that it is made of, as written; an order that is a file is not among them."""
        if isinstance(self.order, list):
            return self.order
        return self.interleave or self.pieces or []

    @property
    def matches_loudness(self) -> bool:
        """Whether every piece is brought to one loudness."""
        return self.match == "loudness" or (self.match is None and self.loudness is not None)

    @model_validator(mode="before")
    @classmethod
    def _preset(cls, value: Any) -> Any:
        return fill(value) if isinstance(value, dict) else value

    @model_validator(mode="after")
    def _one_order(self) -> Self:
        if self.order is None and self.interleave is None:
            raise ValueError("order: Field required: a list of pieces, auto or an order.txt; or interleave: [...]")
        if self.order is not None and self.interleave is not None:
            raise ValueError("order and interleave exclude each other: keep one")
        if isinstance(self.order, str) and not self.order.endswith(".txt"):
            raise ValueError(f"order: {self.order!r} is neither a list, nor auto, nor a path to an order.txt")
        planned = self.order is Planned.AUTO
        if planned and self.pieces is None:
            raise ValueError("pieces: Field required: what order: auto is to plan, such as [beds, transitions]")
        if self.pieces is not None and not (planned or isinstance(self.order, str)):
            raise ValueError("pieces: needs order: auto, or an order.txt; a list of pieces is the order itself")
        if self.pin and not planned:
            raise ValueError("pin: needs order: auto; in a given order every piece has its place")
        places = [pin.at for pin in self.pin]
        for place in places:
            if places.count(place) > 1:
                raise ValueError(f"pin: two pieces are to be {place}; keep one")
        if self.repeat > 1 and self.length is not None:
            raise ValueError(f"repeat ({self.repeat}) and length ({self.length:g} s) exclude each other: keep one")
        if self.repeat > 1 and planned:
            raise ValueError(f"repeat: {self.repeat} has no meaning in a planned set, which plays every piece once")
        return self

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
    summary="one continuous set: order, transitions, loudness; WAV, FLAC, MP3, OGG, Opus, and what DJs and DAWs read",
    params=MixParams,
    lane="cpu",
    version="2",
    run="handlers.mix.mixdown:run",
    estimate="handlers.mix.outlook:estimate",
    describe="handlers.mix.outlook:describe",
)
