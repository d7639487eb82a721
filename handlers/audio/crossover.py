"""Splitting sound into what lies under a frequency and the rest, so that both add up to what they came from.

A symmetrical low-pass of a twentieth of a second: steep enough to tell a kick from a snare's body, and without delay.
Without scipy, whose filters take half a second of a processor to import.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

CROSSOVER_HZ = 180.0
HALF_S = 0.025
"""Half the filter's length."""
_BLOCK = 1 << 15


def reach(sample_rate: int) -> int:
    """Samples on either side that the lows of one sample depend on."""
    return round(HALF_S * sample_rate)


def lows(audio: np.ndarray, sample_rate: int) -> np.ndarray:
    """What lies under 180 Hz of ``(channels, samples)``, as float32 of the same shape; silence is assumed around it."""
    half, frames = reach(sample_rate), audio.shape[1]
    size, spectrum = _low_pass(sample_rate)
    step = size - 2 * half
    result = np.empty(audio.shape, np.float32)
    for start in range(0, frames, step):
        stop = min(frames, start + step)
        span = np.zeros((len(audio), size), np.float32)
        first, last = max(0, start - half), min(frames, stop + half)
        span[:, first - start + half : last - start + half] = audio[:, first:last]
        made = np.fft.irfft(np.fft.rfft(span, axis=1) * spectrum, size, axis=1)
        result[:, start:stop] = made[:, 2 * half : 2 * half + stop - start]
    return result


@lru_cache(maxsize=4)
def _low_pass(sample_rate: int) -> tuple[int, np.ndarray]:
    """Length of a transform, and the filter in it: a sinc under a Hamming window that passes 0 Hz as it is."""
    half = reach(sample_rate)
    taps = np.sinc(2 * CROSSOVER_HZ / sample_rate * np.arange(-half, half + 1)) * np.hamming(2 * half + 1)
    size = max(_BLOCK, 1 << (4 * half).bit_length())
    return size, np.fft.rfft((taps / taps.sum()).astype(np.float32), size)
