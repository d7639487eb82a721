"""Lossy files under a ceiling: what a decoder gives back is measured, and where it is too loud, written again softer.

Encoders move peaks by up to some dB; nobody knows before by how much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from handlers.audio.files import BLOCK, Reader, Writer
from handlers.audio.formats import Encoding
from handlers.audio.loudness import Loudness, Meter

TRIES = 4
MARGIN_DB = 0.1
"""Turned down by this much more than was too loud: softer audio is encoded differently."""


def write_under(
    path: Path,
    audio: np.ndarray,
    sample_rate: int,
    ceiling_dbtp: float,
    *,
    how: Encoding,
    tags: Mapping[str, str],
    pulse: Callable[[], None] = lambda: None,
) -> tuple[Loudness, float]:
    """Write a lossy file whose decoded true peak stays under a ceiling.

    Parameters
    ----------
    path
        The file; its suffix is that of `how`.
    audio
        ``(channels, samples)``, full scale ±1.
    sample_rate
        Hz.
    ceiling_dbtp
        Highest true peak after decoding, in dBTP.
    how, tags
        As :class:`~handlers.audio.writer.Writer` takes them.
    pulse
        Called with every block; may raise to stop.

    Returns
    -------
    loudness
        Of the file as it is decoded.
    gain_db
        By how much the audio was turned down for it; 0 or less.
    """
    gain_db = 0.0
    for _ in range(TRIES):
        gain = np.float32(10 ** (gain_db / 20))
        with Writer(path, sample_rate, audio.shape[0], how=how, tags=tags) as writer:
            for start in range(0, audio.shape[1], BLOCK):
                pulse()
                block = audio[:, start : start + BLOCK]
                writer.write(block * gain if gain_db else block)
        decoded = _measure(path, audio.shape, pulse)
        excess_db = decoded.true_peak_dbtp - ceiling_dbtp
        if excess_db <= 0:
            return decoded, gain_db
        gain_db -= excess_db + MARGIN_DB
    raise RuntimeError(
        f"{path.name}: {TRIES} times softer, and the encoder still goes {excess_db:.2f} dB over the ceiling"
    )


def _measure(path: Path, shape: tuple[int, ...], pulse: Callable[[], None]) -> Loudness:
    with Reader(path) as reader:
        if (reader.info.channels, reader.info.frames) != shape:
            raise RuntimeError(f"{path.name} holds {reader.info.channels} x {reader.info.frames} samples, not {shape}")
        meter = Meter(reader.info.sample_rate, reader.info.channels)
        for block in reader.blocks():
            pulse()
            meter.feed(block)
        return meter.result()
