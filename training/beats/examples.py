"""Examples: what a piece of known grid teaches, its hypotheses' traits beside which of them are right."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handlers.audio.grid.bars import BARS, describe_bars
from handlers.audio.grid.features import features_of
from handlers.audio.grid.onsets import combined, onset_curves
from handlers.audio.grid.pulse import describe_pulse
from handlers.audio.grid.tempi import HIGHEST_BPM, LOWEST_BPM, Comb
from handlers.audio.grid.track import Hypothesis, hypothesise
from training.beats.music import Piece

WINDOW_S = 0.07
RIGHT, NEARLY = 0.85, 0.02
"""A hypothesis is right with this F-measure, and no more than this under the best."""


@dataclass(frozen=True)
class Example:
    """One piece, as the ranker sees it."""

    name: str
    source: str
    rows: np.ndarray
    """float32 ``(hypotheses, traits)``."""
    f_measure: np.ndarray
    """``(hypotheses,)``; all 0 where there is no beat."""
    tempi_bpm: np.ndarray
    """``(hypotheses,)``."""
    true_bpm: float
    bar_rows: np.ndarray
    """float32 ``(9, traits)`` for the right grid; empty where none is right."""
    bar: int
    """Which of `BARS` is right; -1 where it is not known."""
    pulse_rows: np.ndarray
    """float32 ``(hypotheses, traits)``: whether there is a beat, asked of each hypothesis."""
    lattice: np.ndarray
    """Int ``(hypotheses,)``: on which lattice each lies."""
    beat: np.ndarray
    """Int ``(hypotheses,)``: which of the lattice's quarters is its beat."""
    seen: np.ndarray
    """float16 ``(cells of all lattices, SEEN)``: see :func:`handlers.audio.grid.network.look`."""
    sizes: np.ndarray
    """Int ``(lattices,)``: how many of these cells each lattice has."""

    @property
    def right(self) -> np.ndarray:
        """Which hypotheses are right, bool ``(hypotheses,)``."""
        return (self.f_measure >= RIGHT) & (self.f_measure >= self.f_measure.max() - NEARLY)

    def seen_of(self, lattice: int) -> np.ndarray:
        """The cells of one lattice, float16 ``(cells, SEEN)``."""
        start = int(self.sizes[:lattice].sum())
        return self.seen[start : start + int(self.sizes[lattice])]


def make_example(piece: Piece) -> Example | None:
    """Describe a piece; None for one too short or silent to have hypotheses."""
    features = features_of([piece.audio], piece.sample_rate)
    curves = onset_curves(features)
    curve = combined(curves)
    hypotheses, rows, seen, cut = hypothesise(features, curves, curve, LOWEST_BPM, HIGHEST_BPM)
    if not hypotheses:
        return None
    f_measure = np.zeros(len(hypotheses))
    if len(piece.beats_s):
        f_measure = np.array([judge(one, piece) for one in hypotheses])
    best = int(np.argmax(f_measure))
    comb = Comb(curve)
    bar_rows, bar = np.zeros((0, 0)), -1
    if f_measure[best] >= RIGHT and len(piece.downbeats) > 1:
        won = hypotheses[best]
        cells = cut(won.lattice)
        bar_rows = describe_bars(cells, won.beat)
        bar = _true_bar(cells.points_s[won.beat :: 4], piece)
    lattices = {id(one.lattice): one.lattice for one in hypotheses}
    pulses = {key: describe_pulse(curve, comb, one.tempo_bpm, cut(one)) for key, one in lattices.items()}
    tempo = 60 / float(np.median(np.diff(piece.beats_s))) if len(piece.beats_s) > 1 else 0.0
    return Example(
        piece.name, piece.source, rows.astype(np.float32), f_measure,
        np.array([one.lattice.tempo_bpm for one in hypotheses]), tempo, bar_rows.astype(np.float32), bar,
        np.array([pulses[id(one.lattice)] for one in hypotheses], np.float32),
        np.array([one.number for one in hypotheses]), np.array([one.beat for one in hypotheses]),
        np.concatenate(seen), np.array([len(cells) for cells in seen]),
    )  # fmt: skip


def judge(hypothesis: Hypothesis, piece: Piece) -> float:
    """F-measure of a hypothesis' even grid between the first and the last true beat."""
    lattice, beats = hypothesis.lattice, piece.beats_s
    period = 4 * lattice.quarter_s
    first = lattice.first_s + hypothesis.beat * lattice.quarter_s
    number = (beats - first) / period
    matched = np.sum(np.abs(number - np.round(number)) * period <= WINDOW_S)
    count = (beats[-1] - beats[0] + 2 * WINDOW_S) / period + (1 if period > 0 else 0)
    return float(2 * min(matched, count) / (count + len(beats)))


def _true_bar(beats_s: np.ndarray, piece: Piece) -> int:
    """Which of `BARS` the true downbeats are, -1 where none is nearly always."""
    downs = piece.beats_s[piece.downbeats]
    near = np.abs(beats_s[:, None] - downs).argmin(axis=0)
    near = near[np.abs(beats_s[near] - downs) < WINDOW_S]
    if not len(near):
        return -1
    for number, bar in enumerate(BARS):
        if bar.meter == piece.meter and np.mean(near % bar.beats == bar.first) > 0.85:
            return number
    return -1


def save(examples: list[Example], path: Path) -> None:
    """Write examples as one file of arrays."""
    packed: dict[str, np.ndarray] = {}
    for number, one in enumerate(examples):
        for key, value in vars(one).items():
            packed[f"{number}.{key}"] = np.asarray(value)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, count=len(examples), **packed)


def load(path: Path) -> list[Example]:
    """Read what :func:`save` wrote."""
    with np.load(path) as file:
        count = int(file["count"])
        kept = {name: file[name] for name in file.files}
    names = Example.__dataclass_fields__
    return [
        Example(**{key: kept[f"{n}.{key}"] if kept[f"{n}.{key}"].ndim else kept[f"{n}.{key}"].item() for key in names})
        for n in range(count)
    ]
