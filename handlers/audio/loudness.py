"""Loudness and peaks after ITU-R BS.1770-4 and EBU R 128, by libebur128 (pyebur128).

Loudness in LUFS, range in LU (EBU Tech 3342), true peak in dBTP (4x oversampled below 96 kHz), sample peak in dBFS.
Silence, and anything under the 400 ms of one gating block, has no loudness: minus infinity.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pyebur128
from pyebur128 import MeasurementMode

# Without MODE_HISTOGRAM: it rounds loudness to 0.1 LU, and every block's energy is only 1 MB an hour.
_MODE = (
    MeasurementMode.MODE_I
    | MeasurementMode.MODE_LRA
    | MeasurementMode.MODE_TRUE_PEAK
    | MeasurementMode.MODE_SAMPLE_PEAK
)


@dataclass(frozen=True)
class Loudness:
    """One measurement. Minus infinity where there is no signal."""

    integrated_lufs: float
    range_lu: float
    true_peak_dbtp: float
    sample_peak_dbfs: float

    def facts(self) -> dict[str, float | None]:
        """As JSON values, rounded to 0.01; `None` for silence, since JSON has no infinity."""
        values = {
            "integrated_lufs": self.integrated_lufs,
            "range_lu": self.range_lu,
            "true_peak_dbtp": self.true_peak_dbtp,
            "sample_peak_dbfs": self.sample_peak_dbfs,
        }
        return {name: round(value, 2) if math.isfinite(value) else None for name, value in values.items()}

    def shifted(self, gain_db: float) -> Loudness:
        """What the same audio measures after a linear gain."""
        return Loudness(
            self.integrated_lufs + gain_db,
            self.range_lu,
            self.true_peak_dbtp + gain_db,
            self.sample_peak_dbfs + gain_db,
        )


class Meter:
    """Measures a stream fed block by block."""

    def __init__(self, sample_rate: int, channels: int) -> None:
        self.channels = channels
        self._state = pyebur128.R128State(channels, sample_rate, _MODE)

    def feed(self, audio: np.ndarray) -> None:
        """Take the next ``(channels, samples)``."""
        if audio.shape[1]:
            self._state.add_frames(np.ascontiguousarray(audio.T, np.float32).ravel(), audio.shape[1])

    def result(self) -> Loudness:
        """What was measured so far."""
        channels = range(self.channels)
        return Loudness(
            pyebur128.get_loudness_global(self._state),
            pyebur128.get_loudness_range(self._state),
            decibels(max(pyebur128.get_true_peak(self._state, channel) for channel in channels)),
            decibels(max(pyebur128.get_sample_peak(self._state, channel) for channel in channels)),
        )


def integrated(blocks: Iterable[np.ndarray], sample_rate: int, channels: int) -> float:
    """Return the integrated loudness in LUFS of a stream of ``(channels, samples)``; a third of the work of a meter."""
    state = pyebur128.R128State(channels, sample_rate, MeasurementMode.MODE_I)
    for block in blocks:
        if block.shape[1]:
            state.add_frames(np.ascontiguousarray(block.T, np.float32).ravel(), block.shape[1])
    return pyebur128.get_loudness_global(state)


def measure(audio: np.ndarray, sample_rate: int) -> Loudness:
    """Measure ``(channels, samples)``, full scale ±1, at `sample_rate` Hz."""
    audio = np.atleast_2d(audio)
    meter = Meter(sample_rate, audio.shape[0])
    # In pieces: it is handed over interleaved, and a copy of a long recording is a lot of memory.
    for start in range(0, audio.shape[1], 1 << 18):
        meter.feed(audio[:, start : start + (1 << 18)])
    return meter.result()


def decibels(amplitude: float) -> float:
    """Return an amplitude in dB below full scale 1; minus infinity for 0."""
    return 20 * math.log10(amplitude) if amplitude > 0 else -math.inf
