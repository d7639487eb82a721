"""Alter: no piece is learned from twice the same. Each time it is in another key, of another balance, and deaf in places.

What is learned then rests on no one piece of evidence alone. Grids that are right of 100, unseen songs, unseen made-up
pieces, and modules where none had been heard, after eight epochs: 92.5, 94.0, 82.5; without this 91.4, 92.0, 81.9.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from handlers.audio.grid.network import BASS, BETWEEN, HITS, LEVELS, NOTES, NOVELTIES, SEEN
from handlers.audio.grid.traits import GROUPS

BALANCE, DEAF, MISSING = 0.22, 0.12, 0.06
"""How much louder or softer what is seen gets, a deviation of the logarithm; how often a group of bands is not heard, and how
often a whole kind is not."""
UNSURE = 0.3
"""Deviation by which traits are all off alike, in their own deviations; each rival is off by half as much again."""

Alteration = Callable[[np.ndarray], np.ndarray]


def draw_alteration(rng: np.random.Generator) -> Alteration:
    """Draw how a piece is heard this time: from cells as seen ``(cells, SEEN)`` to float32 of the same shape.

    Rivals of one piece are altered alike.
    """
    key = int(rng.integers(12))
    gain = np.ones(SEEN, np.float32)
    for kind in (HITS, BETWEEN, LEVELS):
        gain[kind] = np.exp(rng.normal(0, BALANCE, kind.stop - kind.start))
    for kind in (NOTES, BASS, *NOVELTIES):
        gain[kind] = np.exp(rng.normal(0, BALANCE))
    gain[LEVELS] *= rng.random(GROUPS) >= DEAF
    for kind in (HITS, BETWEEN, NOTES, BASS, *NOVELTIES):
        gain[kind] *= rng.random() >= MISSING

    def alter(seen: np.ndarray) -> np.ndarray:
        altered = seen * gain
        for kind in (NOTES, BASS):
            altered[:, kind] = np.roll(altered[:, kind], key, axis=1)
        return altered

    return alter


def unsettle(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Standardised traits ``(rivals, traits)`` that are not quite certain, float32."""
    alike, each = rng.normal(0, UNSURE, (1, rows.shape[1])), rng.normal(0, UNSURE / 2, rows.shape)
    return (rows + alike + each).astype(np.float32)
