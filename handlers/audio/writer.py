"""An audio file being written block by block.

Arrays are ``(channels, samples)``, full scale ±1. Samples are turned into integers here, not by libsndfile: it
multiplies by 2**15 - 1 on the way out and divides by 2**15 on the way in, so a 16-bit file read and written again
would not be the same samples.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import soundfile as sf

from handlers.audio.formats import BLOCK, TAGS, Encoding, check_length, check_rate, encoding
from handlers.contract import Invalid, Transient

SYSTEM_ERROR = 2
"""libsndfile's SF_ERR_SYSTEM: what the operating system refused."""


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
            if error.code == SYSTEM_ERROR:
                raise Transient(f"{self.path}: cannot be created; is the disk full or the folder gone?") from error
            raise Invalid(
                f"{self.path}: {channels} channels at {sample_rate} Hz cannot be written as "
                f"{self.encoding.format}/{self.encoding.subtype} ({error.error_string})"
            ) from error
        for name, value in (tags or {}).items():
            setattr(self._file, name, value)

    def write(self, audio: np.ndarray) -> None:
        """Append ``(channels, samples)``; integer formats clip at full scale.

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
        check_length(self.path, self.encoding, self.frames, self.channels)
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
        try:
            self._file.close()
        except sf.LibsndfileError as error:
            raise Transient(f"{self.path}: cannot be finished ({error.error_string}); is the disk full?") from error
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


def quantize(audio: np.ndarray, bits: int) -> np.ndarray:
    """Round full scale ±1 to `bits`-bit integers, left-aligned in int32 as libsndfile takes them; clips.

    Exact for what was read from a file of no more than `bits` bits.
    """
    scale = 2.0 ** (bits - 1)
    # 2**31 - 1 has no float32, so the widest integers are clipped in double precision.
    wide = audio.astype(np.float64) if bits > 24 else audio
    steps = wide * wide.dtype.type(scale)
    np.rint(steps, out=steps)
    np.clip(steps, -scale, scale - 1, out=steps)
    whole = steps.astype(np.int32)
    whole <<= 32 - bits
    return whole
