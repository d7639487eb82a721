"""Grid hypotheses: each tempo that may be, laid over the recording in each phase that may be.

A grid is counted in quarters of a beat. Its phase is known to a quarter beat by folding the onset curve; which of the
four quarters is the beat, the ranker says. Where thirds of a beat carry more, or late sixteenths hide the half beat, the
phases that folding by these gives are tried as well.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from handlers.audio.grid.features import FRAMES_PER_S

QUARTERS = 4
SWUNG = 0.15
"""Share of a quarter beat by which folding over the half beat must differ to be tried as well."""
THIRDS = 1.2
"""How much more thirds must stand out than quarters to be tried."""
_FOLD_BINS = 32

Warp = Callable[[np.ndarray], np.ndarray]
"""From times on the grid's even clock to times in the recording, seconds; where the tempo is constant, the same."""


def unwarped(times_s: np.ndarray) -> np.ndarray:
    """The clock of constant tempo."""
    return times_s


@dataclass(frozen=True)
class Lattice:
    """An even lattice of quarter beats; its beats are every fourth point, from one of four on."""

    tempo_bpm: float
    first_s: float
    """The first point, 0 .. a quarter beat."""
    fit: float
    """How well the comb liked the tempo, the best of the recording being 1."""
    beats: tuple[int, ...] = (0, 1, 2, 3)
    """Which of the first four points may be the beat."""

    @property
    def quarter_s(self) -> float:
        """Between points."""
        return 60 / self.tempo_bpm / QUARTERS

    def points(self, end_s: float) -> np.ndarray:
        """Every point up to `end_s`, ``(n,)`` seconds on the even clock."""
        return self.first_s + self.quarter_s * np.arange(max(0, int((end_s - self.first_s) / self.quarter_s) + 1))


def fold(curve: np.ndarray, period_s: float, frames_per_s: float = FRAMES_PER_S, bins: int = _FOLD_BINS) -> np.ndarray:
    """Mean of a curve at each phase of a period, float64 ``(bins,)``."""
    phase = np.arange(len(curve)) * (bins / (period_s * frames_per_s))
    place = phase.astype(np.int64) % bins
    count = np.bincount(place, minlength=bins)
    return np.bincount(place, curve, minlength=bins) / count.clip(1)


def phase_of(profile: np.ndarray) -> tuple[float, float]:
    """Where a folded profile is strongest, as a share 0..1 of the period, and how much stronger than its mean."""
    bins = len(profile)
    smooth = np.zeros(bins)
    for shift, weight in ((-2, 0.25), (-1, 0.75), (0, 1.0), (1, 0.75), (2, 0.25)):
        smooth += weight / 3 * np.roll(profile, shift)
    top = int(np.argmax(smooth))
    before, here, after = smooth[top - 1], smooth[top], smooth[(top + 1) % bins]
    bend = before - 2 * here + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    return ((top + 0.5 + shift) / bins) % 1.0, float(here - smooth.mean())


def lay_lattices(curve: np.ndarray, tempi_bpm: np.ndarray, fit: np.ndarray) -> list[Lattice]:
    """Lay lattices of quarter beats over a recording, at most two for each tempo.

    Parameters
    ----------
    curve
        Onset strength ``(frames,)`` on the even clock, at `FRAMES_PER_S`.
    tempi_bpm, fit
        From :func:`handlers.audio.grid.tempi.find_tempi`.
    """
    lattices = []
    for tempo, value in zip(tempi_bpm, fit / fit.max(), strict=True):
        beat_s = 60 / float(tempo)
        profile = fold(curve, beat_s, bins=96)
        quarter, sharp = phase_of(profile.reshape(4, 24).mean(axis=0))
        third, sharp_third = phase_of(profile.reshape(3, 32).mean(axis=0))
        half, _ = phase_of(profile.reshape(2, 48).mean(axis=0))
        lattices.append(Lattice(float(tempo), quarter * beat_s / 4, float(value)))
        # Late sixteenths may outweigh the straight ones.
        away = abs((2 * half - quarter + 0.5) % 1 - 0.5)
        turned = [(half + turn) / 2 for turn in range(2)] if away > SWUNG else []
        if sharp_third > THIRDS * sharp:
            turned += [(third + turn) / 3 for turn in range(3)]
        for phase in turned:
            beat, first = divmod(phase * 4, 1)
            lattices.append(Lattice(float(tempo), first * beat_s / 4, float(value), (int(beat) % 4,)))
    return lattices
