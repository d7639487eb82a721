"""An audio file being read, in order and in blocks, with every way it can be wrong said in words.

Arrays are ``(channels, samples)``, full scale ±1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
import soundfile as sf

from handlers.audio.formats import BLOCK, READABLE, UNSUPPORTED
from handlers.contract import Invalid

# libsndfile reads what is there of a WAV or AIFF cut short, and says so only in its log.
_SHORT_CHUNK = re.compile(r"^ ?(?:data|SSND) : (\d+) \(should be (\d+)\)", re.MULTILINE)
RATES_HZ, MOST_CHANNELS = range(1_000, 768_001), 64
"""What recordings have; seventh-order ambisonics has 64 channels. A header that says more asks for gigabytes of filters."""
_UNKNOWN_LENGTH = 0x7FFFF000
"""A program that writes to a pipe cannot know the length and puts the largest number there."""


@dataclass(frozen=True)
class AudioInfo:
    """What a file's header says."""

    sample_rate: int
    """Hz."""
    channels: int
    frames: int
    """Samples of each channel."""
    duration_s: float
    format: str
    """libsndfile's name: WAV, FLAC, MP3, OGG, AIFF."""
    subtype: str
    """How samples are stored: PCM_16, PCM_24, FLOAT, VORBIS, ..."""


class _Sequential(sf.SoundFile):
    """A file that is not sought behind our back.

    soundfile seeks to where it is after every read of a seekable file. In an MP3 that loses the decoder's memory:
    read in blocks, it differed from itself read whole by as much as half of full scale at every block's start.
    """

    def seekable(self) -> bool:
        return False


PREROLL = 9216
"""Samples decoded and thrown away before a place in an MP3 or OGG: eight MP3 frames, more than the longest Vorbis
block. Frames lean on those before them; without it up to the first 757 samples after a seek were measured wrong."""


class Reader:
    """An open audio file, read in order; never holds more than was asked for.

    Parameters
    ----------
    path
        The file.
    dtype
        ``float32``; ``float64`` where the last bits of 32-bit PCM matter.

    Raises
    ------
    Invalid
        When the file is missing, of an unsupported type, damaged or empty.
    """

    def __init__(self, path: Path | str, *, dtype: Literal["float32", "float64"] = "float32") -> None:
        self.path = Path(path)
        self._dtype = dtype
        self._file = _open(self.path)
        self.position = 0
        """Frames read so far."""
        try:
            self.info = _info(self.path, self._file)
        except Invalid:
            self._file.close()
            raise
        # Only floating point can hold what is not a number.
        self._may_hold_nan = self.info.subtype in ("FLOAT", "DOUBLE")

    def read(self, frames: int) -> np.ndarray:
        """Return the next `frames` samples as ``(channels, frames)``; fewer at the end of the file, 0 after it.

        Raises
        ------
        Invalid
            When the file ends before its header says, cannot be decoded, or holds NaN or infinity.
        """
        wanted = min(frames, self.info.frames - self.position)
        if wanted <= 0:
            return np.zeros((self.info.channels, 0), self._dtype)
        try:
            block = self._file.read(wanted, dtype=self._dtype, always_2d=True)
        except sf.LibsndfileError as error:
            raise Invalid(
                f"{self.path}: cannot be decoded somewhere after {self.position / self.info.sample_rate:.2f} s "
                f"({error.error_string}): the file is damaged; replace it with an intact copy"
            ) from error
        if len(block) < wanted:
            ended = (self.position + len(block)) / self.info.sample_rate
            raise Invalid(
                f"{self.path}: ends after {ended:.2f} s of {self.info.duration_s:.2f} s: "
                "the file is truncated or damaged; copy it again"
            )
        if self._may_hold_nan and not np.isfinite(block).all():
            frame, channel = np.argwhere(~np.isfinite(block))[0]
            raise Invalid(
                f"{self.path}: holds {block[frame, channel]} at "
                f"{(self.position + frame) / self.info.sample_rate:.4f} s, channel {channel + 1}: export it again without NaN or infinity"
            )
        self.position += len(block)
        return np.ascontiguousarray(block.T)

    def seek(self, frame: int) -> None:
        """Go to `frame`, 0 .. frames; exact in every format."""
        preroll = min(frame, PREROLL) if self.info.format in ("MP3", "OGG") else 0
        self._file.seek(frame - preroll)
        if preroll:
            self._file.read(preroll, dtype=self._dtype)
        self.position = frame

    def blocks(self, frames: int = BLOCK) -> Iterator[np.ndarray]:
        """Yield the rest of the file in blocks of `frames`, the last one shorter."""
        while (block := self.read(frames)).shape[1]:
            yield block

    def close(self) -> None:
        """Close the file; a second time does nothing."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def probe(path: Path | str) -> AudioInfo:
    """Read a file's header. A truncated FLAC or MP3 passes (only decoding shows it); a truncated OGG shows nowhere.

    Raises
    ------
    Invalid
        When the file is missing, of an unsupported type, damaged or empty.
    """
    path = Path(path)
    with _open(path) as file:
        return _info(path, file)


def _open(path: Path) -> _Sequential:
    suffix = path.suffix.lower()
    if not path.is_file():
        raise Invalid(f"{path}: there is no such file; was it moved or deleted?")
    if suffix not in READABLE:
        named = f"{suffix} audio" if suffix in UNSUPPORTED else f"{suffix or 'a file without suffix'!r}"
        raise Invalid(f"{path}: {named} cannot be read here; convert it to .flac or .wav, for example with ffmpeg -i")
    try:
        return _Sequential(path)
    except sf.LibsndfileError as error:
        raise Invalid(
            f"{path}: cannot be read as audio ({error.error_string.rstrip('.')}); "
            "it is damaged or not what its suffix says: replace it with an intact copy"
        ) from error


def _info(path: Path, file: sf.SoundFile) -> AudioInfo:
    if file.frames <= 0:
        raise Invalid(f"{path}: holds 0 frames of audio; replace it with a file that has sound in it")
    if file.samplerate not in RATES_HZ or file.channels > MOST_CHANNELS:
        raise Invalid(
            f"{path}: has {file.channels} channels at {file.samplerate} Hz; up to {MOST_CHANNELS} channels at {RATES_HZ[0]} to "
            f"{RATES_HZ[-1]} Hz are read: its header is damaged, or it is no recording"
        )
    short = _SHORT_CHUNK.search(file.extra_info)
    if short and int(short[2]) < int(short[1]) < _UNKNOWN_LENGTH:
        raise Invalid(
            f"{path}: holds {int(short[2])} of {int(short[1])} bytes of audio: "
            "the file is truncated or still being copied; copy it again"
        )
    return AudioInfo(
        sample_rate=file.samplerate,
        channels=file.channels,
        frames=file.frames,
        duration_s=file.frames / file.samplerate,
        format=file.format,
        subtype=file.subtype,
    )
