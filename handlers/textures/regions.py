"""Where a recording is steady: the cost of every place for a pad, and the choice among them.

Cost is in dB, the sum of three: how much the level wanders (standard deviation), how much the colour wanders (mean
standard deviation of the bands, smoothed over 0.2 s, so that noise is steady too), and a quarter of the sharpest rise
(a hit).
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from handlers.textures.features import Features

RANGE_DB = 50.0
"""Bands this far under the recording's loud level are as good as silent."""
SILENT_DBFS = -70.0
"""Under this RMS a region is silence, whatever the rest."""
QUIET_DB = 40.0
"""Regions this far under the recording's loud level (95th percentile) would be mostly its noise."""
SMOOTH_FRAMES = 5
HIT_WEIGHT = 0.25
STEADY_DB = 6.0
"""Cost of a region that is half steady. Measured: drones 0, filtered noise 1, detuned chords 1 to 2.5, an ambient bed
of ours 2.5 to 5.5, an industrial one with its drums 4 to 7.5, bare drum patterns 20 and more."""
UNSTEADY_DB = 12.0
"""Cost over which a region is no pad to the ear, though it may be the steadiest there is."""


@dataclass(frozen=True)
class Region:
    """A place for a pad: `start` .. `end` in samples, all of which it may use."""

    start: int
    end: int
    cost_db: float
    level_db: float
    """Mean level, dBFS."""

    @property
    def steadiness(self) -> float:
        """1 (nothing moves) .. 0; 0.5 at `STEADY_DB`."""
        return 1 / (1 + self.cost_db / STEADY_DB)


class Choice:
    """Hands out the steadiest places of one recording, none twice.

    Parameters
    ----------
    features
        Of the recording.
    """

    def __init__(self, features: Features) -> None:
        self._features = features
        level = 10 * np.log10(features.bands.sum(axis=1, dtype=np.float64) + 1e-12)
        self.loud_db = float(np.percentile(level, 95)) if len(level) else -math.inf
        """Level of the recording's loud parts, dBFS; minus infinity for less than one frame."""
        floor = 10 ** ((self.loud_db - RANGE_DB) / 10) / features.bands.shape[1] if len(level) else 1.0
        smooth = (
            uniform_filter1d(features.bands, SMOOTH_FRAMES, axis=0, mode="nearest") if len(level) else features.bands
        )
        colour = 10 * np.log10(smooth + floor)
        sharp = 10 * np.log10(features.bands + floor)
        rise = np.zeros(len(level))
        # Two frames apart: those between share samples with both.
        rise[2:] = np.maximum(sharp[2:] - sharp[:-2], 0).mean(axis=1)
        self._power = _sums(10 ** (level / 10))
        self._level, self._level2 = _sums(level), _sums(level**2)
        self._colour, self._colour2 = _sums(colour), _sums(colour.astype(np.float64) ** 2)
        self._rise = rise
        self._taken: list[tuple[int, int]] = []
        self._refused: list[tuple[int, int]] = []

    def best(self, samples: int, others: Sequence[int] = ()) -> Region | None:
        """The steadiest free region of that many samples that is no silence; `None` if there is none left.

        Where it can be had, one that leaves room for regions of `others` samples too.
        """
        features = self._features
        count = features.frames_within(samples)
        last = (features.length - samples) // features.hop
        if count < 1 or last < 0:
            return None
        starts = np.arange(last + 1)
        ends = starts + count
        level_db = 10 * np.log10((self._power[ends] - self._power[starts]) / count + 1e-12)
        wander = _deviation(self._level, self._level2, starts, ends)
        colour = _deviation(self._colour, self._colour2, starts, ends).mean(axis=1)
        # The first two frames' rise began before the region.
        inner = count - 2
        hit = maximum_filter1d(self._rise, inner, mode="constant")[starts + 2 + inner // 2] if inner > 0 else 0.0
        cost = wander + colour + HIT_WEIGHT * hit
        cost[(level_db < SILENT_DBFS) | (level_db < self.loud_db - QUIET_DB)] = np.inf
        at = starts * features.hop
        for start, end in self._taken:
            cost[(at < end) & (at + samples > start)] = np.inf
        for start, length in self._refused:
            cost[(np.abs(at - start) < length / 4) & (length == samples)] = np.inf
        order = np.argsort(cost, kind="stable")
        order = order[np.isfinite(cost[order])]
        if not len(order):
            return None
        gaps = self._gaps()
        # A region begins with a frame, so up to one hop before each is lost.
        others = [length + features.hop for length in others]
        fitting = (index for index in order if _fit(others, _without(gaps, int(at[index]), int(at[index]) + samples)))
        chosen = next(fitting, order[0]) if others and _fit([samples, *others], gaps) else order[0]
        start = int(at[chosen])
        return Region(start, start + samples, float(cost[chosen]), float(level_db[chosen]))

    def _gaps(self) -> list[tuple[int, int]]:
        gaps = [(0, self._features.length)]
        for start, end in self._taken:
            gaps = _without(gaps, start, end)
        return gaps

    def take(self, start: int, end: int) -> None:
        """No later region overlaps these samples."""
        self._taken.append((start, end))

    def refuse(self, region: Region) -> None:
        """Do not offer this region, or one near it, again at its length."""
        self._refused.append((region.start, region.end - region.start))


def _without(gaps: list[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    """The gaps that are left when one region is taken out of them."""
    left = []
    for first, last in gaps:
        left += [(first, last)] if end <= first or start >= last else [(first, start), (end, last)]
    return [(first, last) for first, last in left if last > first]


def _fit(lengths: Sequence[int], gaps: list[tuple[int, int]]) -> bool:
    """Whether regions of these lengths fit into the gaps: the longest first, each into the narrowest that takes it."""
    rooms = sorted(last - first for first, last in gaps)
    for length in sorted(lengths, reverse=True):
        room = next((room for room in rooms if room >= length), None)
        if room is None:
            return False
        rooms.remove(room)
        bisect.insort(rooms, room - length)
    return True


def _sums(values: np.ndarray) -> np.ndarray:
    """Running sums with a leading 0, so that ``sums[b] - sums[a]`` is the sum of ``values[a:b]``."""
    return np.concatenate([np.zeros((1, *values.shape[1:])), np.cumsum(values, axis=0, dtype=np.float64)])


def _deviation(sums: np.ndarray, squares: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> np.ndarray:
    count = (ends - starts).reshape(-1, *[1] * (sums.ndim - 1))
    mean = (sums[ends] - sums[starts]) / count
    return np.sqrt(np.maximum((squares[ends] - squares[starts]) / count - mean**2, 0))
