"""Audio files: look at one, read it, write it, whole or in blocks.

Arrays are float32 of shape ``(channels, samples)``, full scale ±1. What is wrong with a file is said as
:class:`~handlers.contract.Invalid` with its name, the value and what to do; a disk that fails is
:class:`~handlers.contract.Transient`.

Samples are turned into integers here, not by libsndfile: it multiplies by 2**15 - 1 on the way out and divides by
2**15 on the way in, so a 16-bit file read and written again would not be the same samples.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import numpy as np
import soundfile as sf

from handlers.audio.formats import READABLE, UNSUPPORTED, WAV_LIMIT_BYTES, Encoding, check_rate, encoding
from handlers.audio.resample import resample
from handlers.contract import Invalid, Transient

BLOCK = 65_536
"""Frames handed to libsndfile at once. A long array written to OGG Vorbis in one call crashes it (60 s and up)."""

TAGS = ("title", "artist", "album", "comment", "date", "genre", "license", "software", "tracknumber", "copyright")
"""Tags that libsndfile writes."""


# libsndfile reads what is there of a WAV or AIFF cut short, and says so only in its log.
_SHORT_CHUNK = re.compile(r"^(?:data|SSND) : (\d+) \(should be (\d+)\)", re.MULTILINE)
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
                f"{self.path}: cannot be decoded at {self.position / self.info.sample_rate:.2f} s "
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
                f"{self.path}: holds {block[frame, channel]} at {(self.position + frame) / self.info.sample_rate:.4f} s, "
                f"channel {channel + 1}: export it again without NaN or infinity"
            )
        self.position += len(block)
        return np.ascontiguousarray(block.T)

    def seek(self, frame: int) -> None:
        """Go to `frame`, 0 .. frames."""
        self._file.seek(frame)
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


class Writer:
    """An audio file being written block by block.

    Parameters
    ----------
    path
        Its suffix chooses the format: .wav .flac .aiff .mp3 .ogg .opus
    sample_rate
        Hz.
    channels
        Of every block.
    subtype
        As :func:`write`.
    how
        An :class:`Encoding` from :func:`~handlers.audio.formats.encoding`, instead of `subtype`.
    tags
        Of :data:`TAGS`.
    fsync
        Flush to the disk before :meth:`close` returns.
    """

    def __init__(
        self,
        path: Path | str,
        sample_rate: int,
        channels: int,
        *,
        subtype: str | None = None,
        how: Encoding | None = None,
        tags: Mapping[str, str] | None = None,
        fsync: bool = False,
    ) -> None:
        self.path = Path(path)
        self.channels = channels
        self.frames = 0
        """Frames written so far."""
        self.encoding = how or encoding(self.path, subtype=subtype)
        self._fsync = fsync
        check_rate(self.path, sample_rate)
        if unknown := sorted(set(tags or {}) - set(TAGS)):
            raise Invalid(f"{self.path}: unknown tag {unknown[0]!r}; one of {', '.join(TAGS)}")
        try:
            self._file = sf.SoundFile(
                self.path,
                "w",
                sample_rate,
                channels,
                subtype=self.encoding.subtype,
                format=self.encoding.format,
                compression_level=self.encoding.compression_level,
                bitrate_mode=self.encoding.bitrate_mode,
            )
        except ValueError as error:
            raise Invalid(f"{self.path}: {error}") from error
        except sf.LibsndfileError as error:
            if not os.access(self.path.parent, os.W_OK):
                raise Transient(f"{self.path}: cannot be created ({error.error_string})") from error
            raise Invalid(
                f"{self.path}: {channels} channels at {sample_rate} Hz cannot be written as "
                f"{self.encoding.format}/{self.encoding.subtype} ({error.error_string})"
            ) from error
        for name, value in (tags or {}).items():
            setattr(self._file, name, value)

    def write(self, audio: np.ndarray) -> None:
        """Append ``(channels, samples)``; integers formats clip at full scale.

        Raises
        ------
        Invalid
            For another number of channels, NaN or infinity, or a WAV that would pass 4 GiB.
        Transient
            When the disk does not take it.
        """
        if audio.ndim != 2 or audio.shape[0] != self.channels:
            raise Invalid(f"{self.path}: audio has shape {audio.shape}, expected ({self.channels}, samples)")
        if not np.isfinite(audio).all():
            raise Invalid(f"{self.path}: the audio to write holds NaN or infinity")
        self.frames += audio.shape[1]
        width = {"FLOAT": 4, "DOUBLE": 8}.get(self.encoding.subtype, (self.encoding.bits or 0) // 8)
        if self.encoding.format == "WAV" and self.frames * self.channels * width > WAV_LIMIT_BYTES:
            raise Invalid(f"{self.path}: a WAV file holds at most 4 GiB; ask for flac instead")
        for start in range(0, audio.shape[1], BLOCK):
            block = audio[:, start : start + BLOCK].T
            if self.encoding.bits:
                block = quantize(block, self.encoding.bits)
            try:
                self._file.write(np.ascontiguousarray(block))
            except sf.LibsndfileError as error:
                raise Transient(f"{self.path}: cannot be written ({error.error_string}); is the disk full?") from error

    def close(self) -> None:
        """Finish the file; a second time does nothing."""
        if self._file.closed:
            return
        self._file.close()
        if self._fsync:
            descriptor = os.open(self.path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

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


def read(path: Path | str, *, sample_rate: int | None = None, mono: bool = False) -> tuple[np.ndarray, int]:
    """Read a whole file.

    Parameters
    ----------
    path
        The file.
    sample_rate
        Convert to this rate in Hz (soxr VHQ); default: as it is.
    mono
        Average the channels.

    Returns
    -------
    audio
        float32 of shape ``(channels, samples)``.
    sample_rate
        Hz.

    Raises
    ------
    Invalid
        As :class:`Reader`.
    """
    with Reader(path) as reader:
        rate = reader.info.sample_rate
        blocks = (block.mean(axis=0, keepdims=True) if mono else block for block in reader.blocks())
        audio = np.concatenate(list(blocks), axis=1)
    if sample_rate and sample_rate != rate:
        return resample(audio, rate, sample_rate), sample_rate
    return audio, rate


def write(
    path: Path | str,
    audio: np.ndarray,
    sample_rate: int,
    *,
    subtype: str | None = None,
    how: Encoding | None = None,
    tags: Mapping[str, str] | None = None,
    fsync: bool = False,
) -> None:
    """Write a whole array.

    Parameters
    ----------
    path
        Its suffix chooses the format: .wav .flac .aiff .mp3 .ogg .opus
    audio
        ``(channels, samples)``, or ``(samples,)`` for one channel; full scale ±1.
    sample_rate
        Hz.
    subtype
        ``PCM_16``, ``PCM_24`` (default for wav, flac, aiff), ``PCM_32``, ``FLOAT``.
    how
        An :class:`Encoding`, for the settings of lossy formats.
    tags
        Of :data:`TAGS`.
    fsync
        Flush to the disk before returning.
    """
    audio = np.atleast_2d(audio)
    with Writer(path, sample_rate, audio.shape[0], subtype=subtype, how=how, tags=tags, fsync=fsync) as writer:
        writer.write(audio)


def quantize(audio: np.ndarray, bits: int) -> np.ndarray:
    """Round full scale ±1 to `bits`-bit integers, left-aligned in int32 as libsndfile takes them; clips.

    Exact for what was read from a file of no more than `bits` bits.
    """
    scale = 2.0 ** (bits - 1)
    # 2**31 - 1 has no float32, so the widest integers are clipped in double precision.
    wide = audio.astype(np.float64) if bits > 24 else audio
    steps = np.clip(np.rint(wide * wide.dtype.type(scale)), -scale, scale - 1)
    return steps.astype(np.int32) << (32 - bits)


def _open(path: Path) -> sf.SoundFile:
    suffix = path.suffix.lower()
    if not path.is_file():
        raise Invalid(f"{path}: there is no such file; was it moved or deleted?")
    if suffix not in READABLE:
        named = f"{suffix} audio" if suffix in UNSUPPORTED else f"{suffix or 'a file without suffix'!r}"
        raise Invalid(f"{path}: {named} cannot be read here; convert it to .flac or .wav, for example with ffmpeg -i")
    try:
        return sf.SoundFile(path)
    except sf.LibsndfileError as error:
        raise Invalid(
            f"{path}: cannot be read as audio ({error.error_string.rstrip('.')}); "
            "it is damaged or not what its suffix says: replace it with an intact copy"
        ) from error


def _info(path: Path, file: sf.SoundFile) -> AudioInfo:
    if file.frames <= 0:
        raise Invalid(f"{path}: holds 0 frames of audio; replace it with a file that has sound in it")
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
