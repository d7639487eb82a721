"""Formats as a job file names them: `flac`, `{mp3: {kbps: 192}}`. Light: pydantic only, read by the daemon."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, model_validator

from handlers.contract import Params

NAMES = ("wav", "flac", "mp3", "ogg", "opus")
MP3_MAX_RATE = 48_000
"""The highest sample rate that MP3 holds, in Hz."""
OPUS_RATE = 48_000
"""The sample rate of Opus files, in Hz."""
MP3_VBR = 2.0
"""Quality of an MP3 that names none."""


class WavSettings(Params):
    """Settings of WAV."""

    bits: Literal[16, 24, 32] | None = None
    """16 or 24 bits, 32 = floating point; without it 24, and for plain cuts of like files what the files have."""


class FlacSettings(Params):
    """Settings of FLAC."""

    bits: Literal[16, 24] | None = None
    """16 or 24 bits; without it 24, and for plain cuts of like files what the files have."""


class Mp3Settings(Params):
    """Settings of MP3; without any, `vbr: 2`."""

    kbps: Annotated[int, Field(ge=32, le=320)] | None = None
    """Constant bit rate in kbit/s."""
    vbr: Annotated[float, Field(ge=0, le=9)] | None = None
    """Variable bit rate: LAME's quality from 0 (best, about 245 kbit/s) to 9."""

    @model_validator(mode="after")
    def _one_rate(self) -> Self:
        if self.kbps is not None and self.vbr is not None:
            raise ValueError(f"kbps ({self.kbps}) and vbr ({self.vbr:g}) exclude each other: keep one")
        return self


class OggSettings(Params):
    """Settings of OGG Vorbis."""

    quality: Annotated[float, Field(ge=0, le=10)] = 6.0
    """From 0 to 10 (best); 6 is about 190 kbit/s."""


class OpusSettings(Params):
    """Settings of Opus, which is always of 48000 Hz; other rates are converted."""

    kbps: Annotated[int, Field(ge=24, le=256)] = 128
    """Variable bit rate in kbit/s, about, of both channels together."""


def _named(value: object) -> object:
    """Turn ``"mp3"`` into ``{"mp3": {}}``."""
    if isinstance(value, str):
        if value not in NAMES:
            raise ValueError(f"{value!r} is not a format: one of {', '.join(NAMES)}")
        return {value: {}}
    return value


class FormatChoice(Params):
    """One format with its settings: exactly one of the five keys."""

    wav: WavSettings | None = None
    flac: FlacSettings | None = None
    mp3: Mp3Settings | None = None
    ogg: OggSettings | None = None
    opus: OpusSettings | None = None

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        named = [name for name in NAMES if getattr(self, name) is not None]
        if len(named) != 1:
            raise ValueError(f"names {' and '.join(named) or 'no format'}: one format per list entry")
        return self

    @property
    def name(self) -> str:
        """`wav`, `flac`, `mp3`, `ogg` or `opus`; also the suffix."""
        return next(name for name in NAMES if getattr(self, name) is not None)


Format = Annotated[
    FormatChoice,
    BeforeValidator(_named, json_schema_input_type=Literal["wav", "flac", "mp3", "ogg", "opus"] | FormatChoice),
]
"""A format by its name, or as `{mp3: {kbps: 192}}` with settings."""


def check_formats(formats: list[FormatChoice]) -> None:
    """Raise ``ValueError`` when a format is asked for twice: its two files would have one name."""
    names = [choice.name for choice in formats]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"formats: {name} is asked for twice; two files would have one name")
