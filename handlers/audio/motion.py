"""How a sound moves: whether it stands, rises, hits or comes back.

Audio is float32 ``(channels, samples)``, full scale ±1; levels in dBFS, never below `FLOOR_DB`.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

FLOOR_DB = -120.0
LEAST_LAG_S = 0.4
"""From here on likeness is repetition; nearer it is the grain or note that is still sounding."""


def measure_levels(audio: np.ndarray, sample_rate: int, window_s: float) -> np.ndarray:
    """Return the level of each whole window, all channels together; of less than one window, one."""
    window = min(max(1, round(window_s * sample_rate)), audio.shape[1])
    whole = audio[:, : audio.shape[1] // window * window].reshape(len(audio), -1, window)
    power = np.einsum("cws,cws->w", whole, whole, dtype=np.float32) / (window * len(audio))
    return 10 * np.log10(power + 10 ** (FLOOR_DB / 10))


def measure_range(levels_db: np.ndarray) -> float:
    """Return how far levels lie apart in dB: 95th beside 5th percentile."""
    low, high = np.percentile(levels_db, [5, 95])
    return float(high - low)


def measure_rise(levels_db: np.ndarray) -> tuple[float, float]:
    """Return Spearman's rank correlation of level with time, -1..1, and the rise in dB from first to last tenth."""
    count = len(levels_db)
    if count < 3:
        return 0.0, 0.0
    ranks = np.empty(count)
    ranks[np.argsort(levels_db, kind="stable")] = np.arange(count)
    tenth = max(1, count // 10)
    rise = float(levels_db[-tenth:].mean() - levels_db[:tenth].mean())
    return float(np.corrcoef(ranks, np.arange(count))[0, 1]), rise


def measure_hit(bands: np.ndarray, range_db: float = 40.0) -> float:
    """Return the sharpest rise of all bands at once, in dB from a frame to the one after next.

    Parameters
    ----------
    bands
        Power ``(frames, bands)``; what lies `range_db` under the loudest band is not heard.
    """
    if len(bands) < 3:
        return 0.0
    level = 10 * np.log10(bands + bands.mean(axis=0).max() * 10 ** (-range_db / 10) + 1e-20)
    return float(np.maximum(level[2:] - level[:-2], 0).mean(axis=1).max())


def measure_repetition(bands: np.ndarray, frame_s: float) -> float:
    """Return how much a sound comes back, -1..1: the highest correlation of its course with itself some time later.

    Parameters
    ----------
    bands
        Power ``(frames, bands)`` of a loop, taken around its seam.
    frame_s
        From one frame to the next.

    Notes
    -----
    Each band's course in dB, less its mean; lags from `LEAST_LAG_S` to half of the loop.
    """
    course = 10 * np.log10(bands + bands.mean() * 1e-5 + 1e-20)
    course -= course.mean(axis=0)
    first, last = max(1, round(LEAST_LAG_S / frame_s)), len(course) // 2
    if first > last or not np.any(course):
        return 0.0
    spectra = fft.rfft(course, axis=0)
    likeness = fft.irfft((spectra.real**2 + spectra.imag**2).sum(axis=1), n=len(course))
    return float(likeness[first : last + 1].max() / max(likeness[0], 1e-12))


def measure_echo(mono: np.ndarray, sample_rate: int) -> float:
    """Return the same of the waveform itself, 0..1: 1 where a loop holds the same samples twice."""
    spectra = fft.rfft(mono)
    likeness = fft.irfft(spectra.real**2 + spectra.imag**2, n=len(mono))
    first = round(LEAST_LAG_S * sample_rate)
    beyond = likeness[first : len(mono) // 2 + 1]
    return float(np.abs(beyond).max() / max(float(likeness[0]), 1e-20)) if len(beyond) else 0.0
