"""A tempo meter: how fast a short recording goes, for those who need no beats, such as what verifies a stem's tempo."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handlers.audio.grid.features import features_of
from handlers.audio.grid.hypotheses import fold, phase_of
from handlers.audio.grid.onsets import attack_curve, combined, onset_curves
from handlers.audio.grid.placing import place_even
from handlers.audio.grid.tempi import Comb
from handlers.audio.grid.track import SHORTEST_S, find_grid_in

NEAR = 0.08
"""A tempo is looked for within this share of the one stated."""
_SUBDIVISIONS = (1, 2, 4, 3)
_NOISE_FIT, _SURE_FIT = 4.0, 12.0
"""Fit of the comb in noise (at most 4.0 in 40 s of it), and in plain music (12 and more)."""


@dataclass(frozen=True)
class Tempo:
    """How fast a recording goes."""

    bpm: float | None
    """None where there is no beat."""
    confidence: float
    """0..1."""


def measure_tempo(audio: np.ndarray, sample_rate: int, *, near_bpm: float | None = None) -> Tempo:
    """Measure a recording's tempo.

    Parameters
    ----------
    audio
        float32 ``(channels, samples)`` or ``(samples,)``, full scale ±1; of one tempo throughout.
    sample_rate
        Hz.
    near_bpm
        What it should be: the best tempo within 8 % of it is returned. Without it the ranked grid's.

    Raises
    ------
    Invalid
        When the audio holds NaN or infinity.
    """
    features = features_of([audio], sample_rate)
    if near_bpm is None:
        grid = find_grid_in(features)
        return Tempo(grid.tempo_bpm, grid.tempo_confidence if grid.has_beat else grid.confidence)
    curves = onset_curves(features)
    curve = combined(curves)
    if features.duration_s < SHORTEST_S or not curve.any():
        return Tempo(None, 1.0)
    comb = Comb(curve)
    around = near_bpm * np.exp(np.linspace(-np.log1p(NEAR), np.log1p(NEAR), 4001))
    fit = comb.fit(around)
    tempo = float(around[np.argmax(fit)])
    beat_s = 60 / tempo
    # Attacks stand on beats or their parts; the part that stands out most tells where.
    profile = fold(curve, beat_s, bins=96)
    parts = [phase_of(profile.reshape(part, 96 // part).mean(axis=0)) + (part,) for part in _SUBDIVISIONS]
    phase, _, part = max(parts, key=lambda one: one[1] * np.sqrt(one[2]))
    period_s, _ = place_even(attack_curve(features), beat_s / part, phase * beat_s / part, features.duration_s)
    sure = float(np.clip((fit.max() - _NOISE_FIT) / (_SURE_FIT - _NOISE_FIT), 0, 1))
    return Tempo(60 / (period_s * part), sure)
