"""What a `mix` step takes. Light: pydantic only, read by the daemon."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from handlers.audio.delivery.choices import MP3_MAX_RATE, Format, FormatChoice, WavSettings, check_formats
from handlers.contract import Handler, Params, Reference
from handlers.mix.transitions import DURATION_S, Between, Transition


class MixParams(Params):
    """One continuous piece out of several, in the given order."""

    order: Annotated[list[Reference], Field(min_length=1, max_length=10_000)]
    """What is played, in order: a step (all its items), one item (`beds/1`), or a path (`./tracks/a.flac`)."""
    transition: Transition = Transition(kind="crossfade", duration=DURATION_S, curve="keep_level")
    """Between every two pieces."""
    transitions: list[Between] = []
    """Those that differ, each with the number of the piece it follows: `[{after: 2, kind: cut}]`."""
    match: Literal["loudness", "none"] | None = None
    """`loudness`: each piece is brought to one loudness first, by a linear gain of its own; `none`: levels between pieces
    stay. Without it `loudness` where the whole's loudness is asked for, else `none`: who names no level wants his own."""
    loudness: Annotated[float, Field(ge=-40, le=-5)] | None = None
    """Integrated loudness of the whole in LUFS, by one linear gain; only peaks that it would lift over the ceiling are
    limited, and the report says how far. Without it levels stay as they are."""
    ceiling: Annotated[float, Field(ge=-20, le=0)] = -1.0
    """Highest true peak in dBTP."""
    lossy_ceiling: Annotated[float, Field(ge=-20, le=0)] | None = None
    """Highest true peak of MP3 and OGG files as they are decoded, in dBTP, where `loudness` is given; without it that of
    `ceiling`. A file that passes it is encoded once more."""
    formats: Annotated[list[Format], Field(min_length=1, max_length=4)] = [FormatChoice(wav=WavSettings())]
    """The first is the result itself, the others are renditions of it."""
    sample_rate: Annotated[int, Field(ge=8_000, le=192_000)] | None = None
    """Of the mix in Hz; without it the highest among the pieces."""
    title: Annotated[str, Field(max_length=200)] | None = None
    """Written into the files' tags; without it the job's name."""

    @property
    def matches_loudness(self) -> bool:
        """Whether every piece is brought to one loudness."""
        return self.match == "loudness" or (self.match is None and self.loudness is not None)

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
