"""Audio files: look at one, read it, write it, whole or in blocks.

Arrays are float32 of shape ``(channels, samples)``, full scale ±1. What is wrong with a file is said as
:class:`~handlers.contract.Invalid` with its name, the value and what to do; a disk that fails is
:class:`~handlers.contract.Transient`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from handlers.audio.formats import BLOCK, TAGS, Encoding
from handlers.audio.reader import AudioInfo, Reader, probe
from handlers.audio.resample import resample
from handlers.audio.writer import Writer, quantize

__all__ = ["BLOCK", "TAGS", "AudioInfo", "Reader", "Writer", "probe", "quantize", "read", "write"]


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
