"""Canvas: the clock of a made-up piece, and where its sounds are put."""

from __future__ import annotations

import numpy as np

from training.beats.patterns import Rng
from training.beats.voices import RATE


def draw_clock(rng: Rng, beats: int, tempo: float, drift: str | None) -> np.ndarray:
    """Time of every beat and of the end, ``(beats + 1,)`` seconds; `drift` as in :func:`training.beats.music.make_piece`."""
    pace = np.full(beats, tempo)
    if drift == "ramp":
        start, end = sorted(rng.integers(0, beats, 2)) if rng.random() < 0.4 else (0, beats)
        factor = float(np.exp(rng.uniform(-0.3, 0.3)))
        pace *= np.interp(np.arange(beats), [start, max(end, start + 8)], [1, factor])
    elif drift == "change":
        for place in rng.integers(beats // 6, max(beats * 5 // 6, beats // 6 + 1), rng.integers(1, 4)):
            pace[place // 4 * 4 :] *= np.exp(rng.uniform(-0.25, 0.25))
    elif drift in ("sway", "gentle"):
        knots = np.arange(0, beats + 16, 16)
        wide = 0.02 if drift == "sway" else 0.005
        pace *= np.exp(np.interp(np.arange(beats), knots, rng.normal(0, wide, len(knots))))
    elif drift == "step":
        for place in rng.integers(beats // 6, max(beats * 5 // 6, beats // 6 + 1), rng.integers(1, 3)):
            pace[place // 4 * 4 :] *= np.exp(rng.choice((-1, 1)) * rng.uniform(0.01, 0.06))
    elif drift == "late":
        last = int(rng.integers(4, 17))
        pace[-last:] *= np.linspace(1, rng.uniform(0.5, 0.85), last)
    elif drift == "pause":
        for place in rng.integers(beats // 6, max(beats * 5 // 6, beats // 6 + 1), rng.integers(1, 3)):
            pace[place // 4 * 4 + 3] /= 1 + rng.uniform(0.1, 1.5)
    pace = pace.clip(50 if drift not in ("late", "pause") else 20, 220)
    return np.concatenate([[0.0], np.cumsum(60 / pace)])


class Canvas:
    """Where the sounds of a piece are put, by beat.

    Parameters
    ----------
    rng
        Draws how loosely it is played.
    beat_s
        Time of every beat and of the end, ``(beats + 1,)``.
    """

    def __init__(self, rng: Rng, beat_s: np.ndarray) -> None:
        self._rng, self._beat_s = rng, beat_s
        self.sound = np.zeros(round(beat_s[-1] * RATE) + RATE, np.float32)
        self._loose_s = float(rng.choice((0.0, 0.0, 0.0, 0.003, 0.008)))

    def place(self, beat: float) -> int:
        """The sample at which a beat, or a part of one, is."""
        return round(float(np.interp(beat, np.arange(len(self._beat_s)), self._beat_s)) * RATE)

    def put(self, beat: float, sound: np.ndarray, gain: float, late: int = 0) -> None:
        """Add a sound at a beat; what reaches beyond the end is cut."""
        start = self.place(beat) + late
        if self._loose_s:
            start += round(abs(self._rng.normal(0, self._loose_s)) * RATE)
        part = sound[: max(0, len(self.sound) - start)]
        if start >= 0 and len(part):
            self.sound[start : start + len(part)] += np.float32(gain) * part.astype(np.float32)
