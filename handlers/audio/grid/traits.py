"""Traits of grid hypotheses: what tells the beat from the off-beat and the tempo from its double.

For each lattice of quarter beats the recording is cut into cells. Onsets are folded over beat, bar and triplet; novelty of
timbre and of notes over spans of 2, 4, 16 and 64 cells tells where chords and sections change. Every trait is free of
loudness and, but for the tempo itself, of tempo.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import maximum_filter1d

from handlers.audio.grid.features import ATTACKS_PER_S, FRAMES_PER_S, NOTE_FRAMES_PER_S, Features
from handlers.audio.grid.hypotheses import Lattice, Warp

SPANS = (2, 4, 16, 64)
PERIODS = (8, 12, 16, 32)
LAGS = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
GROUPS = 12
BASS_OCTAVES = 2
RANGE_DB = 60.0
_NEAR_FRAMES = 5


@dataclass(frozen=True)
class Material:
    """What traits are made of: prepared once for a recording."""

    onsets: np.ndarray
    """float32 ``(frames, 3)``: onset curves, the maximum of two frames either way."""
    timbre: np.ndarray
    """float64 ``(frames + 1, GROUPS)``: running sum of levels in groups of bands, in 10 dB."""
    notes: np.ndarray
    """float64 ``(note frames + 1, 12)``: running sum of pitch classes' shares."""
    bass: np.ndarray
    """The same of the lowest two octaves."""
    start_s: float
    """Where the first sound begins."""
    duration_s: float


def gather_material(features: Features, curves: np.ndarray) -> Material:
    """Prepare a recording's features and its onset curves ``(3, frames)``."""
    power = features.power
    groups = np.array_split(np.arange(power.shape[1]), GROUPS)
    grouped = np.add.reduceat(power, [group[0] for group in groups], axis=1)
    loud = np.percentile(grouped[:: max(1, len(grouped) // 4000)], 95, axis=0)
    floor = (np.maximum(loud, loud.max() * 1e-3) * 10 ** (-RANGE_DB / 20)).astype(np.float32) + np.float32(1e-14)
    level = np.log10(grouped + floor)
    octaves = features.notes.reshape(len(features.notes), -1, 12)
    return Material(
        onsets=np.ascontiguousarray(maximum_filter1d(curves, _NEAR_FRAMES, axis=1).T),
        timbre=_running(level, FRAMES_PER_S),
        notes=_running(np.sqrt(_of_whole(octaves.sum(axis=1))), NOTE_FRAMES_PER_S),
        bass=_running(np.sqrt(_of_whole(octaves[:, :BASS_OCTAVES].sum(axis=1))), NOTE_FRAMES_PER_S),
        start_s=first_sound_s(features),
        duration_s=features.duration_s,
    )


def _of_whole(classes: np.ndarray) -> np.ndarray:
    """Pitch classes ``(frames, 12)`` as shares of each frame, less where it is quiet."""
    return classes / (classes.sum(axis=1, keepdims=True) + 0.05 * classes.sum(axis=1).mean() + 1e-9)


def first_sound_s(features: Features) -> float:
    """Where the first sound begins: 40 dB under the loud moments."""
    energy = features.attacks[:, 0]
    loud = energy > np.percentile(energy, 95) * 1e-4
    return float(np.argmax(loud)) / ATTACKS_PER_S


def _running(rows: np.ndarray, frames_per_s: float) -> np.ndarray:
    return np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0, dtype=np.float64)]) / frames_per_s


def _read(rows: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Rows at fractional places, linear between them."""
    places = places.clip(0, len(rows) - 1.001)
    whole = places.astype(int)
    share = (places - whole)[:, None].astype(rows.dtype)
    return rows[whole] * (1 - share) + rows[np.minimum(whole + 1, len(rows) - 1)] * share


@dataclass(frozen=True)
class Cells:
    """A recording cut by a lattice of quarter beats."""

    hits: np.ndarray
    """``(cells, 3)``: onset strength at each point, by band, against the recording's mean."""
    twelfths: np.ndarray
    """``(cells, 3, 2)``: the same at points of a twelfth of a beat from each on; sums over bands, and low."""
    timbre: np.ndarray
    """``(cells + 1, GROUPS)``: running sum, one cell being 1."""
    notes: np.ndarray
    """``(cells + 1, 12)``: the same of notes."""
    bass: np.ndarray
    """``(cells + 1, 12)``: and of the lowest two octaves."""
    start: float
    """The place of the first sound, in cells."""
    points_s: np.ndarray
    """``(cells + 1,)``: where cells begin, in the recording."""


def cut_cells(material: Material, lattice: Lattice, warp: Warp) -> Cells:
    """Cut a recording into quarter beats."""
    end_s = material.duration_s
    even = lattice.points(end_s * 1.5)
    points = warp(even)
    even = even[points < end_s]
    points = points[points < end_s]
    if len(points) < 2:
        points, even = np.array([0.0, end_s / 2]), np.array([0.0, end_s / 2])
    mean = material.onsets.mean(axis=0) + 1e-6
    steps = (even[:, None] + lattice.quarter_s / 3 * np.arange(3)).reshape(-1)
    fine = _read(material.onsets, warp(steps) * FRAMES_PER_S) / mean
    fine = fine.reshape(-1, 3, 3)
    return Cells(
        hits=fine[:-1, 0],
        twelfths=np.stack([fine[:-1].mean(axis=2), fine[:-1, :, 0]], axis=2),
        timbre=_read(material.timbre, points * FRAMES_PER_S + 0.5) / np.diff(points).mean(),
        notes=_read(material.notes, points * NOTE_FRAMES_PER_S + 0.5) / np.diff(points).mean(),
        bass=_read(material.bass, points * NOTE_FRAMES_PER_S + 0.5) / np.diff(points).mean(),
        start=float(np.interp(material.start_s, points, np.arange(len(points))))
        if material.start_s > points[0]
        else (material.start_s - points[0]) / (points[1] - points[0]),
        points_s=points,
    )


def novelty(running: np.ndarray, span: int) -> np.ndarray:
    """How unlike the `span` cells after each point are the `span` cells before it, ``(cells + 1,)``; 0 near the ends."""
    cells = len(running) - 1
    result = np.zeros(cells + 1)
    if cells > 2 * span:
        bend = (running[2 * span :] - 2 * running[span:-span] + running[: -2 * span]) / span
        result[span:-span] = np.sqrt(np.einsum("ij,ij->i", bend, bend))
    return result


def by_place(values: np.ndarray, period: int) -> np.ndarray:
    """Mean of values at each place of a period of cells: ``(period, ...)``."""
    whole = len(values) // period * period
    if not whole:
        padded = np.zeros((period, *values.shape[1:]))
        padded[: len(values)] = values
        return padded
    return values[:whole].reshape(-1, period, *values.shape[1:]).mean(axis=0)


def peaks_of(curve: np.ndarray, span: int) -> np.ndarray:
    """A novelty curve without all that is not the highest within half a span."""
    reach = max(3, span // 2 * 2 + 1)
    return np.where((curve == maximum_filter1d(curve, reach)) & (curve > 0), curve, 0)


def describe(cells: Cells, lattice: Lattice) -> np.ndarray:
    """Traits of a lattice's grids, one for each quarter that may be the beat: ``(beats, traits)``."""
    beats = np.array(lattice.beats)

    def turned(profile: np.ndarray, unit: int = 1) -> np.ndarray:
        """A profile as it is from each beat on, ``(beats, period, ...)``; `unit` places are a quarter."""
        return profile[(unit * beats[:, None] + np.arange(len(profile))) % len(profile)]

    hits = np.concatenate([cells.hits, cells.hits.mean(axis=1, keepdims=True)], axis=1)
    f, e, s = (turned(by_place(hits, period)) for period in (4, 8, 16))
    t = turned(by_place(cells.twelfths, 4).reshape(12, 2), 3)
    level = np.diff(cells.timbre, axis=0).reshape(len(cells.timbre) - 1, 4, -1).mean(axis=2)
    level = by_place(level, 4)
    turn = _against(e[:, 0], e[:, 4])
    inner = _against(f[:, 0], f[:, 2])
    fourths = s[:, ::4]
    low, high = fourths.min(axis=1), fourths.max(axis=1)
    rows = [
        f, np.abs(turn), turn[:, :1] * turn[:, 1:3], np.abs(_against(e[:, 2], e[:, 6])), inner,
        inner[:, :1] * inner[:, 1:3], (high - low) / (fourths.sum(axis=1) + 0.2), t, turned(level - level.mean(axis=0)),
        (f[:, 0, 3] - f[:, [1, 3], 3].mean(axis=1)) / (f[:, :, 3].sum(axis=1) + 0.2),
    ]  # fmt: skip
    spans = [(running, span) for running in (cells.timbre, cells.notes) for span in SPANS]
    curves = np.stack([novelty(running, span) for running, span in spans], axis=1)
    peaks = np.stack([peaks_of(curve, span) for curve, (_, span) in zip(curves.T, spans, strict=True)], axis=1)
    # Of every curve one after the other: mean and votes at each quarter, then votes of longer periods.
    changes = [quarters for values in (curves, peaks) for quarters in _by_quarter(turned(_shares(by_place(values, 4))))]
    for period in PERIODS:
        on = turned(_shares(by_place(peaks, period)))[:, ::4]
        changes += [on.max(axis=1), on.max(axis=1) - on.mean(axis=1)]
    # Pieces mostly begin on a beat.
    away = np.abs((cells.start - beats[:, None]) % 4 - np.arange(4))
    rows += [np.stack(changes, axis=2), (1 - 2 * np.minimum(away, np.abs(away - 4))).clip(0)]
    shared = np.tile(_shared(cells, lattice), (len(beats), 1))
    return np.concatenate([*(row.reshape(len(beats), -1) for row in rows), shared], axis=1)


def _against(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """How much stronger one hit is than another, -1..1, near 0 where both are weak."""
    return (one - other) / (one + other + 0.2)


def _by_quarter(profile: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of profiles ``(beats, 4, curves)`` the beat, the off-beat, and both others: ``(beats, curves)`` each."""
    return profile[:, 0], profile[:, 2], profile[:, 1] + profile[:, 3]


def _shared(cells: Cells, lattice: Lattice) -> list[float]:
    """Traits that the four grids of a lattice have in common."""
    octave = float(np.log2(lattice.tempo_bpm / 120))
    row = [octave, abs(octave), octave**2, lattice.fit]
    for hits in (cells.hits.mean(axis=1), cells.hits[:, 0], cells.hits[:, 1]):
        row += _alike(hits[:, None])
    for running in (cells.timbre, cells.notes):
        row += _alike(np.diff(running, axis=0))
    # Hits at quarters, at thirds, and late eighths of swing.
    twelve = by_place(cells.twelfths, 4).reshape(12, 2)[:, 0]
    total = twelve.sum() + 1e-6
    row += [twelve[[0, 3, 6, 9]].sum() / total, twelve[[0, 4, 8]].sum() / total, twelve[[2, 6, 10]].sum() / total]
    return row


def _alike(rows: np.ndarray) -> list[float]:
    """How alike cells are to those some cells later, -1..1, for each of `LAGS`."""
    rows = rows - rows.mean(axis=0)
    power = float(np.einsum("ij,ij->", rows, rows)) / len(rows) + 1e-9
    return [
        float(np.einsum("ij,ij->", rows[lag:], rows[:-lag])) / (len(rows) - lag) / power if len(rows) > lag + 4 else 0.0
        for lag in LAGS
    ]


def _shares(profiles: np.ndarray) -> np.ndarray:
    """Profiles ``(period, curves)`` as shares of their sums, the mean share being 0."""
    total = profiles.sum(axis=0)
    return np.where(total > 1e-9, profiles / total.clip(1e-9) * len(profiles) - 1, 0)
