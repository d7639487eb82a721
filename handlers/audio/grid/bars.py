"""Bars: which beats begin one, and of how many beats it is.

Rival hypotheses are every meter in every phase: four of 4/4, three of 3/4, two of 6/8. Their traits are hits, levels and
novelty folded over the bar, votes of phrases of two, four and eight bars, and where the recording begins.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handlers.audio.grid.hypotheses import QUARTERS
from handlers.audio.grid.model import BEATS_PER_BAR, METERS, Meter
from handlers.audio.grid.traits import SPANS, Cells, by_place, novelty, peaks_of

PHRASES = (1, 2, 4, 8)


@dataclass(frozen=True)
class Bar:
    """A hypothesis: bars of a meter from one of its beats on."""

    meter: Meter
    first: int
    """Which beat begins the first whole bar, 0 .. beats - 1."""

    @property
    def beats(self) -> int:
        """Beats in a bar."""
        return BEATS_PER_BAR[self.meter]


BARS = tuple(Bar(meter, first) for meter in METERS for first in range(BEATS_PER_BAR[meter]))


def describe_bars(cells: Cells, beat: int) -> np.ndarray:
    """Traits of every bar of `BARS`, ``(9, traits)``.

    Parameters
    ----------
    cells
        A recording cut by the right lattice.
    beat
        Which of its first four points is a beat.
    """
    hits = cells.hits[beat:]
    hits = np.concatenate([hits, hits.mean(axis=1, keepdims=True)], axis=1)
    level = np.diff(cells.timbre, axis=0)[beat:]
    level = level.reshape(len(level), 4, -1).mean(axis=2)
    step = np.diff(level, axis=0, prepend=level[:1])
    curves = [novelty(running, span)[beat:] for running in (cells.timbre, cells.notes) for span in SPANS]
    peaks = [peaks_of(curve, SPANS[number % len(SPANS)]) for number, curve in enumerate(curves)]
    third = cells.twelfths[:, :, 0].reshape(-1, 12).mean(axis=0) if len(cells.twelfths) % 4 == 0 else None
    if third is None:
        third = by_place(cells.twelfths, QUARTERS).reshape(12, 2)[:, 0]
    third = np.roll(third, -3 * beat)
    triplets = (third[[4, 8]].sum() - third[[3, 6, 9]].sum() * 2 / 3) / (third.sum() + 1e-6)
    alike = {
        beats: [_alike(rows, beats * QUARTERS * phrase) for rows in (hits, level) for phrase in PHRASES[:3]]
        for beats in set(BEATS_PER_BAR.values())
    }
    rows = []
    for bar in BARS:
        cells_of_bar, first = bar.beats * QUARTERS, bar.first * QUARTERS
        row: list[float] = [float(bar.meter == meter) for meter in METERS]
        row += [triplets * (bar.meter == "6/8"), *alike[bar.beats]]
        for values in (hits, step):
            profile = np.roll(by_place(values, cells_of_bar), -first, axis=0)[::QUARTERS]
            spread = np.abs(profile).mean(axis=0) + 0.1
            row += [*((profile[0] - profile[1:].mean(axis=0)) / spread), *((profile[0] - profile.max(axis=0)) / spread)]
            middle = profile[len(profile) // 2] if bar.meter != "3/4" else profile[1:].mean(axis=0)
            row += [*((profile[0] - middle) / spread)]
            # The backbeat: the second and fourth against the first and third.
            back = profile[1::2].mean(axis=0) - profile[::2].mean(axis=0) if bar.beats != 3 else 0 * profile[0]
            row += [*(back / spread)]
        for curve, peak in zip(curves, peaks, strict=True):
            row.append(_share(np.roll(by_place(curve, cells_of_bar), -first)[::QUARTERS]))
            for phrase in PHRASES:
                votes = np.roll(by_place(peak, cells_of_bar * phrase), -first)
                on_bars = votes[::cells_of_bar]
                row.append(float(on_bars.max() / (votes[::QUARTERS].sum() + 1e-9)) * len(votes) / QUARTERS - 1)
        start = (cells.start - beat - first) % cells_of_bar
        row += [float(min(start, cells_of_bar - start) < 0.5), float(min(start, cells_of_bar - start) / cells_of_bar)]
        rows.append(row)
    return np.array(rows)


def _share(profile: np.ndarray) -> float:
    """How much of a profile's sum its first place has, 0 being an even share."""
    total = profile.sum()
    return float(profile[0] / total * len(profile) - 1) if total > 1e-9 else 0.0


def _alike(rows: np.ndarray, lag: int) -> float:
    """How alike cells are to those `lag` later, -1..1."""
    if len(rows) <= lag + 4:
        return 0.0
    rows = rows - rows.mean(axis=0)
    power = float(np.einsum("ij,ij->", rows, rows)) / len(rows) + 1e-9
    return float(np.einsum("ij,ij->", rows[lag:], rows[:-lag])) / (len(rows) - lag) / power
