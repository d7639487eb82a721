"""Tempo hypotheses: which tempi an onset curve may have, by a comb over the spectrum of the whole of it.

The right tempo is among these times small ratios nearly always; which of them it is, the ranker says
(:mod:`handlers.audio.grid.ranking`).
"""

from __future__ import annotations

import numpy as np
from scipy import fft

from handlers.audio.grid.features import FRAMES_PER_S

LOWEST_BPM, HIGHEST_BPM = 40.0, 240.0
RATIOS = (1, 2, 1 / 2, 3 / 2, 2 / 3, 4 / 3, 3 / 4)
_TEETH = np.array([1, 2, 3, 4, 6, 8])
_WEIGHTS = np.array([1.0, 1.0, 0.5, 1.0, 0.5, 0.6])
_BEST = 6
_APART = 0.02
SAME = 0.006
"""Tempi nearer than this are one."""


class Comb:
    """The spectrum of an onset curve, and how well a tempo fits it.

    Parameters
    ----------
    curve
        ``(frames,)`` at `frames_per_s`.
    """

    def __init__(self, curve: np.ndarray, frames_per_s: float = FRAMES_PER_S) -> None:
        # Without its slow movement, which is no beat.
        centred = (curve - curve.mean()).astype(np.float32)
        size = fft.next_fast_len(2 * len(centred), real=True)
        self._spectrum = np.abs(fft.rfft(centred, size))
        self._spectrum /= float(np.sqrt(np.mean(centred**2) * len(centred))) + 1e-9
        self._bins_per_bpm = size / frames_per_s / 60
        self.finest_bpm = 1 / self._bins_per_bpm / 8

    def fit(self, tempi_bpm: np.ndarray) -> np.ndarray:
        """How well tempi fit, ``(n,)``: magnitudes of the spectrum at their multiples, weighted."""
        bins = tempi_bpm[:, None] * (_TEETH * self._bins_per_bpm)
        whole = bins.astype(int)
        inside = whole < len(self._spectrum) - 1
        whole = np.minimum(whole, len(self._spectrum) - 2)
        share = (bins - whole).astype(np.float32)
        value = self._spectrum[whole] * (1 - share) + self._spectrum[whole + 1] * share
        return (value * inside) @ _WEIGHTS


def find_tempi(
    curve: np.ndarray,
    *,
    lowest_bpm: float = LOWEST_BPM,
    highest_bpm: float = HIGHEST_BPM,
    frames_per_s: float = FRAMES_PER_S,
) -> tuple[np.ndarray, np.ndarray]:
    """Find the tempi that a curve may have.

    Parameters
    ----------
    curve
        Onset strength ``(frames,)``.
    lowest_bpm, highest_bpm
        Only tempi between these are returned.

    Returns
    -------
    tempi_bpm, fit
        ``(n,)`` each, no two the same, best fit first.
    """
    comb = Comb(curve, frames_per_s)
    step = min(comb.finest_bpm, 0.05)
    around = np.arange(LOWEST_BPM, HIGHEST_BPM + step, step)
    fit = comb.fit(around)
    order = np.argsort(fit)[::-1]
    best: list[float] = []
    for place in order[:4000]:
        tempo = float(around[place])
        if all(abs(tempo - other) > _APART * other for other in best):
            best.append(tempo)
            if len(best) == _BEST:
                break
    wanted: list[float] = []
    for tempo in best:
        for ratio in RATIOS:
            other = tempo * ratio
            if lowest_bpm <= other <= highest_bpm:
                other = refine_tempo(comb, other)
                if lowest_bpm <= other <= highest_bpm and all(abs(other - one) > SAME * one for one in wanted):
                    wanted.append(other)
    tempi = np.array(wanted)
    if not len(tempi):
        return tempi, tempi
    fit = comb.fit(tempi)
    order = np.argsort(fit)[::-1]
    return tempi[order], fit[order]


def refine_tempo(comb: Comb, tempo_bpm: float, within: float = 0.004) -> float:
    """The best fit near a tempo, in BPM; `within` is a share of it."""
    step = min(comb.finest_bpm / 2, tempo_bpm * within / 4)
    count = min(int(tempo_bpm * within / step) + 1, 2000)
    around = tempo_bpm * (1 + within * np.linspace(-1, 1, 2 * count + 1))
    return float(around[np.argmax(comb.fit(around))])
