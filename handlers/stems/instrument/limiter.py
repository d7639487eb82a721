"""The limiter: one curve of gain over a whole stem, the same for both channels and for every layer.

It looks ahead, so that it turns down before a peak and never clips. Between samples it sees what a meter of four-times
oversampling sees.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from handlers.stems.instrument.bus import ramp

BLOCK = 32
"""Samples between two values of the curve, 0.7 ms."""
_PIECE = 1 << 16
_REACH = 12
"""Samples to each side that a value between two samples is computed from."""


class GainCurve:
    """A gain at the middle of every block of 32 samples, and straight lines between."""

    def __init__(self, values: np.ndarray) -> None:
        self.values = values

    def between(self, start: int, stop: int) -> np.ndarray:
        """Return the gain from sample `start` to `stop`: float32 ``(samples,)``."""
        # From the middles of blocks, so that it is flat over the first half of the first, and the last of the last.
        return ramp(np.pad(self.values, 1, mode="edge"), BLOCK, start + BLOCK // 2, stop + BLOCK // 2)


def limit(
    audio: np.ndarray,
    ceiling: float,
    *,
    hold_s: float,
    sample_rate: int,
    pulse: Callable[[float], None] = lambda done: None,
) -> GainCurve:
    """Return the gain that keeps the true peak of `audio`, ``(2, samples)``, under `ceiling` (linear).

    `pulse` is called often with the share done.
    """
    samples = audio.shape[1]
    peaks = np.zeros(-(-samples // BLOCK), np.float32)
    for start in range(0, samples, _PIECE):
        found = _true_peaks(audio, start, min(samples, start + _PIECE), 0.7 * ceiling)
        found = np.pad(found, (0, -len(found) % BLOCK)).reshape(-1, BLOCK).max(axis=1)
        peaks[start // BLOCK : start // BLOCK + len(found)] = found
        pulse(start / samples)
    needed = np.minimum(1.0, ceiling / np.maximum(peaks, 1e-9)).astype(np.float32)
    # Half of what is needed comes slowly, as a hand on the fader; the rest quickly.
    hold = max(3, round(hold_s * sample_rate / BLOCK)) | 1
    slow = _smooth(np.sqrt(needed), hold)
    fast = _smooth(np.minimum(1.0, needed / slow), 7)
    return GainCurve(slow * fast)


def _smooth(gain: np.ndarray, window: int) -> np.ndarray:
    """Lowest gain in reach, then smoothed over the same reach: never above what was asked for, and no corners."""
    lowest = ndimage.minimum_filter1d(gain, 2 * (window // 2) + 3, mode="nearest")
    return ndimage.uniform_filter1d(lowest, window, mode="nearest")


def _true_peaks(audio: np.ndarray, start: int, stop: int, floor: float) -> np.ndarray:
    """Return the peak at each sample ``start .. stop`` over both channels, and after it where it could pass `floor`."""
    before, after = min(start, _REACH), min(audio.shape[1] - stop, _REACH)
    around = np.pad(audio[:, start - before : stop + after], ((0, 0), (_REACH - before, _REACH - after)))
    level = np.abs(around).max(axis=0)
    peaks = level[_REACH:-_REACH].copy()
    candidates = np.flatnonzero(ndimage.maximum_filter1d(level, 3)[_REACH:-_REACH] > floor)
    if candidates.size:
        window = candidates[:, None] + np.arange(1, 2 * _REACH + 1)
        for channel in around:
            peaks[candidates] = np.maximum(peaks[candidates], np.abs(channel[window] @ _phases(_REACH)).max(axis=1))
    return peaks


def _phases(reach: int) -> np.ndarray:
    """Windowed-sinc taps for the quarter points between a sample and the next, ``(2 * reach, 3)``."""
    places = np.arange(-reach + 1, reach + 1)[:, None] - np.array([0.25, 0.5, 0.75])
    return (np.sinc(places) * np.cos(np.pi * places / (2 * reach + 1)) ** 2).astype(np.float32)
