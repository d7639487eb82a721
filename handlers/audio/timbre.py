"""What a sound is made of: its spectrum over the whole of it, its pitch classes, and how unlike another it is.

Audio is float32 ``(channels, samples)``, full scale ±1.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import fft

BANDS = 24
LOWEST_HZ, HIGHEST_HZ = 40.0, 16_000.0
WINDOW_S = 0.046
HEARD_DB = 50.0
"""Bands this far under the loudest count as this far under it: nobody hears how much less there is."""


@dataclass(frozen=True)
class Spectrogram:
    """Power spectra of a sound, its channels' powers added.

    Attributes
    ----------
    power
        float32 ``(frames, bins)``.
    hertz
        ``(bins,)``.
    """

    power: np.ndarray
    hertz: np.ndarray
    frame_s: float

    def bands(self) -> np.ndarray:
        """Power ``(frames, BANDS)``, logarithmic in frequency."""
        edges = np.searchsorted(self.hertz, np.geomspace(LOWEST_HZ, min(HIGHEST_HZ, self.hertz[-1]), BANDS + 1)[:-1])
        edges = np.minimum(np.maximum(edges, np.arange(1, BANDS + 1)), len(self.hertz) - 1)
        return np.add.reduceat(self.power, edges, axis=1)


def mix_down(audio: np.ndarray) -> np.ndarray:
    """Return ``(1, samples)``: the mean of the channels; where they cancel, the first alone."""
    mono = audio.mean(axis=0, keepdims=True, dtype=np.float32)
    if np.mean(mono**2) < 0.05 * np.mean(audio[0] ** 2):
        return audio[:1].astype(np.float32)
    return mono


def analyse(audio: np.ndarray, sample_rate: int, *, loop: bool = False) -> Spectrogram:
    """Take Hann windows of about 46 ms, half overlapping; of a loop also those across its seam."""
    window = 2 ** max(6, round(np.log2(sample_rate * WINDOW_S)))
    hop = window // 2
    if loop:
        audio = np.concatenate([audio, audio[:, :window]], axis=1)
    if audio.shape[1] < window:
        audio = np.pad(audio, ((0, 0), (0, window - audio.shape[1])))
    taper = _taper(window)
    count = (audio.shape[1] - window) // hop + 1
    power = np.zeros((count, window // 2 + 1), np.float32)
    for channel in audio:
        frames = np.lib.stride_tricks.sliding_window_view(channel, window)[::hop]
        # In handfuls that stay in the processor's cache.
        for start in range(0, count, 64):
            spectra = fft.rfft(frames[start : start + 64] * taper, axis=1)
            power[start : start + 64] += spectra.real**2 + spectra.imag**2
    return Spectrogram(power, fft.rfftfreq(window, 1 / sample_rate), hop / sample_rate)


@lru_cache(maxsize=8)
def _taper(window: int) -> np.ndarray:
    return np.hanning(window + 1)[:-1].astype(np.float32)


def measure_share(mean_power: np.ndarray, hertz: np.ndarray, from_hz: float) -> float:
    """Return the share of the energy above a frequency, 0..1."""
    return float(mean_power[hertz >= from_hz].sum() / max(float(mean_power.sum()), 1e-30))


def measure_flatness(spectrogram: Spectrogram, from_hz: float, to_hz: float) -> float:
    """Return the geometric beside the arithmetic mean of the power in a band, mean of all frames: 1 flat, 0 a tone."""
    inside = (spectrogram.hertz >= from_hz) & (spectrogram.hertz <= to_hz)
    power = spectrogram.power[:, inside] + spectrogram.power.max() * 1e-12 + 1e-30
    return float((np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1)).mean())


def measure_spread(mean_power: np.ndarray, hertz: np.ndarray) -> float:
    """Return how wide the energy lies in pitch: standard deviation in octaves, `LOWEST_HZ` to `HIGHEST_HZ`."""
    heard = (hertz >= LOWEST_HZ) & (hertz <= HIGHEST_HZ)
    weights, octaves = mean_power[heard].astype(np.float64), np.log2(hertz[heard])
    total = max(float(weights.sum()), 1e-30)
    middle = float((weights * octaves).sum()) / total
    return float(np.sqrt((weights * (octaves - middle) ** 2).sum() / total))


def describe(mean_bands: np.ndarray) -> np.ndarray:
    """Return the colour of a sound: its bands in dB, less their mean, from `HEARD_DB` under the loudest."""
    level = 10 * np.log10(mean_bands + mean_bands.max() * 10 ** (-HEARD_DB / 10) + 1e-30)
    return level - level.mean()


def measure_distance(one: np.ndarray, other: np.ndarray) -> float:
    """Return how far two colours lie apart, mean over the bands in dB."""
    return float(np.abs(one - other).mean())
