"""Pulse: whether a recording has a beat at all, or is a drone, noise or lone events."""

from __future__ import annotations

import numpy as np

from handlers.audio.grid.features import FRAMES_PER_S
from handlers.audio.grid.hypotheses import fold, phase_of
from handlers.audio.grid.ranking import softmax
from handlers.audio.grid.tempi import Comb
from handlers.audio.grid.traits import Cells, by_place

_LONG_S = 4.0
_FIRST = 8
_KIN = np.array([1, 2, 1 / 2, 3, 1 / 3, 3 / 2, 2 / 3])
"""Of so many grids the winner stands out; tempi at these ratios are its kin."""


def describe_pulse(curve: np.ndarray, comb: Comb, tempo_bpm: float, cells: Cells) -> np.ndarray:
    """Traits by which the grid that won is believed or not, ``(11,)``.

    Parameters
    ----------
    curve
        Onset strength ``(frames,)`` on the grid's even clock.
    comb
        Of this curve.
    tempo_bpm, cells
        The grid that won, and the recording cut by it.
    """
    fit = float(comb.fit(np.array([tempo_bpm]))[0])
    length_s = len(curve) / FRAMES_PER_S
    profile = fold(curve, 60 / tempo_bpm, bins=96)
    _, beat_sharp = phase_of(profile)
    _, quarter_sharp = phase_of(profile.reshape(4, 24).mean(axis=0))
    spread = float(profile.std() / (profile.mean() + 1e-6))
    hits = cells.hits.mean(axis=1)
    places = by_place(hits, 4)
    centred = hits - hits.mean()
    power = float(centred @ centred) / len(centred) + 1e-9
    alike = [
        float(centred[lag:] @ centred[:-lag]) / len(centred) / power if len(centred) > lag + 4 else 0.0
        for lag in (4, 8, 16)
    ]
    return np.array(
        [
            np.log(fit + 0.1), fit / np.sqrt(length_s), np.log(length_s / _LONG_S), beat_sharp, quarter_sharp, spread,
            float(places.max() - places.min()), *alike, float(curve.std() / (curve.mean() + 1e-6)),
        ]
    )  # fmt: skip


def describe_victory(scores: np.ndarray, tempi_bpm: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """How clearly a grid won, and how many hits it rests on: traits ``(6,)`` that go with :func:`describe_pulse`.

    Where nothing has a beat, many grids are as likely as the one that wins.

    Parameters
    ----------
    scores, tempi_bpm
        Of every grid that may be, ``(grids,)``.
    hits
        Onset strength ``(cells,)`` at the quarter beats of the grid that won.
    """
    won = int(np.argmax(scores))
    chances, ratio = softmax(scores), tempi_bpm / tempi_bpm[won]
    kin = (np.abs(ratio[:, None] / _KIN - 1) < 0.02).any(axis=1)
    # As many equal hits would be as uneven.
    count = float(hits.sum() ** 2 / ((hits**2).sum() + 1e-9))
    return np.array(
        [
            scores[won], scores[won] - np.sort(scores)[-_FIRST:].mean(), np.log(chances[np.abs(ratio - 1) < 0.02].sum()),
            np.log(chances[kin].sum()), np.log1p(count), count / len(hits),
        ]
    )  # fmt: skip
