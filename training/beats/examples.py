"""Examples: what a piece of known grid teaches, its hypotheses' traits beside which of them are right."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handlers.audio.grid.bars import BARS, describe_bars
from handlers.audio.grid.drift import moving_clock
from handlers.audio.grid.features import features_of
from handlers.audio.grid.network import SEEN, look
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

    def seen_of_right(self) -> np.ndarray:
        """The cells of the lattice whose grid is best, from one of its beats on: float16 ``(cells, SEEN)``."""
        best = int(np.argmax(self.f_measure))
        return self.seen_of(int(self.lattice[best]))[int(self.beat[best]) :]


def make_example(piece: Piece) -> Example | None:
    """Describe a piece; None for one too short or silent to have hypotheses."""
    features = features_of([piece.audio], piece.sample_rate)
    curves = onset_curves(features)
    curve = combined(curves)
    # What has no beat may be taken for what moves.
    clock = None if piece.steady and len(piece.beats_s) else moving_clock(curve)
    if clock:
        curve = clock.straighten(curve)
    hypotheses, rows, middles, cut = hypothesise(features, curves, curve, LOWEST_BPM, HIGHEST_BPM, clock)
    if not hypotheses:
        return None
    f_measure = np.zeros(len(hypotheses))
    if len(piece.beats_s):
        even_s = clock.unwarp(piece.beats_s) if clock else piece.beats_s
        f_measure = np.array([judge(one, even_s) for one in hypotheses])
    best, seen = int(np.argmax(f_measure)), [look(cells) for cells in middles]
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


def judge(hypothesis: Hypothesis, beats_s: np.ndarray) -> float:
    """F-measure of a hypothesis' even grid between the first and the last of true beats, ``(beats,)`` seconds."""
    lattice = hypothesis.lattice
    period = 4 * lattice.quarter_s
    first = lattice.first_s + hypothesis.beat * lattice.quarter_s
    number = (beats_s - first) / period
    matched = np.sum(np.abs(number - np.round(number)) * period <= WINDOW_S)
    count = (beats_s[-1] - beats_s[0] + 2 * WINDOW_S) / period + (1 if period > 0 else 0)
    return float(2 * min(matched, count) / (count + len(beats_s)))


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
    """Write examples: what networks see into an array beside `path` that is read where it lies, all else into `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    total = sum(len(one.seen) for one in examples)
    seen = np.lib.format.open_memmap(path.with_suffix(".npy"), "w+", np.float16, (total, SEEN))
    packed: dict[str, np.ndarray] = {}
    start = 0
    for number, one in enumerate(examples):
        seen[start : start + len(one.seen)] = one.seen
        start += len(one.seen)
        for key, value in vars(one).items():
            if key != "seen":
                packed[f"{number}.{key}"] = np.asarray(value)
    seen.flush()
    np.savez(path, count=len(examples), **packed)


def load(path: Path) -> list[Example]:
    """Read what :func:`save` wrote."""
    with np.load(path) as file:
        count = int(file["count"])
        kept = {name: file[name] for name in file.files}
    names = [name for name in Example.__dataclass_fields__ if name != "seen"]
    seen, start, found = np.load(path.with_suffix(".npy"), mmap_mode="r"), 0, []
    for number in range(count):
        given = {key: kept[f"{number}.{key}"] for key in names}
        given = {key: value if value.ndim else value.item() for key, value in given.items()}
        end = start + int(given["sizes"].sum())
        found.append(Example(**given, seen=seen[start:end]))
        start = end
    return found
