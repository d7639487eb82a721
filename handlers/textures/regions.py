"""Where in a recording a texture is best taken from: what every place would cost, and the choice among the free ones.

Costs are in dB. For a pad a place should stand: how much its level and its colour wander (standard deviations, bands
smoothed over 0.2 s, so that noise is steady too) and a quarter of its sharpest rise. Airs, hiss and flickers seek what
is bright, clouds what varies. All shun what is soft, unlike the recording as a whole, or like another place that a
texture of their kind has been taken from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from handlers.textures.features import BANDS, Features

Aim = Literal["pads", "warm", "airy", "drone", "clouds", "hiss", "flickers"]
RANGE_DB = 50.0
"""Bands this far under the recording's loud level are as good as silent."""
SILENT_DBFS = -70.0
"""Under this RMS a region is silence, whatever the rest."""
QUIET_DB = 40.0
"""Regions this far under the recording's loud level (95th percentile) would be mostly its noise."""
SMOOTH_FRAMES = 5
STRIDE = 8
"""Places are a so-manieth of a region apart."""
STEADY_DB = 6.0
"""How far a place may move to be cut as a pad. Measured: drones 0, filtered noise 1, detuned chords 1 to 2.5, an
ambient bed 2.5 to 5.5, an industrial one with its drums 4 to 7.5, bare drum patterns 20 and more."""
BRIGHT_HZ = 4000.0
UNLIKE_DB = 6.0
"""Places further apart than this are unlike enough."""

CHROMA_DB = 40.0
"""What wholly other pitch classes count for; two chords of one piece have a cosine of 0.9."""

# What each counts for: moving, noisiness, dullness, few hits in the highs, unlike the whole, like another.
_WEIGHTS: dict[Aim, tuple[float, float, float, float, float, float]] = {
    "pads": (1.0, 0.1, 0.0, 0.0, 0.8, 0.3),
    "warm": (0.3, 0.1, 0.0, 0.0, 1.2, 0.3),
    "airy": (0.2, 0.0, 0.2, 0.0, 1.2, 0.3),
    "drone": (0.3, 0.2, 0.0, 0.0, 1.2, 0.3),
    "clouds": (-0.1, 0.0, 0.0, 0.0, 1.2, 0.3),
    "hiss": (0.1, -0.1, 0.4, 0.0, 1.0, 0.3),
    "flickers": (0.0, 0.0, 0.3, 0.4, 0.6, 0.3),
}


@dataclass(frozen=True)
class Region:
    """A place: `start` .. `end` in samples."""

    start: int
    end: int
    cost_db: float
    moving_db: float
    """How far level and colour wander there, and a quarter of the sharpest hit."""
    colour: np.ndarray
    """Mean level of its bands, dB."""


class Choice:
    """Offers the best free region of a recording, again and again.

    Parameters
    ----------
    features
        Of the whole recording.
    """

    def __init__(self, features: Features) -> None:
        self._features = features
        power = features.bands.sum(axis=1, dtype=np.float64)
        level = 10 * np.log10(power + 1e-12)
        self.loud_db = float(np.percentile(level, 95)) if len(level) else -math.inf
        """Level of the recording's loud parts, dBFS; minus infinity for less than one frame."""
        floor = np.float32(10 ** ((self.loud_db - RANGE_DB) / 10) / BANDS) if len(level) else np.float32(1)
        smooth = features.bands
        if len(level):
            smooth = uniform_filter1d(smooth, SMOOTH_FRAMES, axis=0, mode="nearest")
        colour, sharp = 10 * np.log10(smooth + floor), 10 * np.log10(features.bands + floor)
        self._rise, self._spark = np.zeros(len(level)), np.zeros(len(level))
        high = int(np.searchsorted(features.edges_hz, BRIGHT_HZ))
        high = min(high, BANDS - 1)
        # Two frames apart: those between share samples with both.
        up = np.maximum(sharp[2:] - sharp[:-2], 0)
        self._rise[2:], self._spark[2:] = up.mean(axis=1), up[:, high:].mean(axis=1)
        bright = 10 * np.log10(features.bands[:, high:].sum(axis=1, dtype=np.float64) + 1e-12)
        self._typical = colour.mean(axis=0) if len(level) else np.zeros(BANDS)
        self._power, self._level, self._level2 = _sums(power), _sums(level), _sums(level**2)
        self._colour, self._colour2 = _sums(colour), _sums(np.square(colour, dtype=np.float64))
        self._noisy, self._bright = _sums(features.noisiness), _sums(bright)
        self._chroma = _sums(features.chroma)
        self._typical_chroma = _unit(self._chroma[-1])
        self.mean_chroma = _unit(features.chroma).mean(axis=0) if len(level) else np.ones(12)
        """Mean share of each pitch class from A on, each frame counting the same."""
        self._taken: list[tuple[int, int]] = []
        self._refused: list[tuple[int, int]] = []
        self._chosen: dict[Aim, list[np.ndarray]] = {}

    @property
    def usable_s(self) -> float:
        """How many seconds are not silent."""
        if self.loud_db < SILENT_DBFS:
            return 0.0
        power = np.diff(self._power)
        least = 10 ** (max(SILENT_DBFS, self.loud_db - QUIET_DB) / 10)
        return float(np.count_nonzero(power >= least)) * self._features.hop / self._features.sample_rate

    def best(self, aim: Aim, samples: int) -> Region | None:
        """The best free region of that many samples that is no silence; `None` if there is none left."""
        features = self._features
        count, last = features.frames_within(samples), (features.length - samples) // features.hop
        if count < 1 or last < 0:
            return None
        starts = np.arange(0, last + 1, max(1, count // STRIDE))
        at = starts * features.hop
        free = np.ones(len(starts), bool)
        for start, end in self._taken:
            free &= (at >= end) | (at + samples <= start)
        for start, length in self._refused:
            free &= (np.abs(at - start) >= length / 4) | (length != samples)
        starts = starts[free]
        ends = starts + count
        level_db = 10 * np.log10((self._power[ends] - self._power[starts]) / count + 1e-12)
        heard = (level_db >= SILENT_DBFS) & (level_db >= self.loud_db - QUIET_DB)
        starts, ends, level_db = starts[heard], ends[heard], level_db[heard]
        if not len(starts):
            return None
        colour = (self._colour[ends] - self._colour[starts]) / count
        # The first two frames' rise began before the region.
        inner = count - 2
        middle = np.minimum(starts + 2 + inner // 2, len(self._rise) - 1)
        hit = maximum_filter1d(self._rise, inner, mode="constant")[middle] if inner > 0 else np.zeros(len(starts))
        moving = (
            _deviation(self._level, self._level2, starts, ends)
            + _deviation(self._colour, self._colour2, starts, ends).mean(axis=1)
            + 0.25 * hit
        )
        weights = _WEIGHTS[aim]
        cost = weights[0] * moving + 0.15 * (self.loud_db - level_db)
        cost += weights[1] * (self._noisy[ends] - self._noisy[starts]) / count
        cost += weights[2] * (self.loud_db - (self._bright[ends] - self._bright[starts]) / count)
        if weights[3] and inner > 0:
            cost -= weights[3] * maximum_filter1d(self._spark, inner, mode="constant")[middle]
        chroma = _unit(self._chroma[ends] - self._chroma[starts])
        foreign = np.abs(colour - self._typical).mean(axis=1) + CHROMA_DB * (1 - chroma @ self._typical_chroma)
        cost += weights[4] * foreign
        for other in self._chosen.get(aim, []):
            likeness = UNLIKE_DB - np.minimum(np.abs(colour - other).mean(axis=1), UNLIKE_DB)
            cost += weights[5] * likeness / len(self._chosen[aim]) ** 0.5
        best = int(np.argmin(cost))
        start = int(starts[best]) * features.hop
        return Region(start, start + samples, float(cost[best]), float(moving[best]), colour[best])

    def take(self, start: int, end: int) -> None:
        """No later region overlaps these samples."""
        self._taken.append((start, end))

    def remember(self, aim: Aim, region: Region) -> None:
        """Prefer what does not sound like this for later ones of the same aim."""
        self._chosen.setdefault(aim, []).append(region.colour)

    def refuse(self, region: Region) -> None:
        """Do not offer this region, or one near it, again at its length."""
        self._refused.append((region.start, region.end - region.start))


def _sums(values: np.ndarray) -> np.ndarray:
    """Running sums with a leading 0, so that ``sums[b] - sums[a]`` is the sum of ``values[a:b]``."""
    return np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0, dtype=np.float64)])


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Of length 1; a vector of zeros stays one."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-20)


def _deviation(sums: np.ndarray, squares: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    count = (ends - starts).reshape(-1, *[1] * (sums.ndim - 1))
    mean = (sums[ends] - sums[starts]) / count
    return np.sqrt(np.maximum((squares[ends] - squares[starts]) / count - mean**2, 0))
