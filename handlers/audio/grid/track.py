"""Track: from sound to its beat grid.

The ladder: samples → bands (:mod:`features`) → onset curves (:mod:`onsets`) → tempo hypotheses (:mod:`tempi`) → grids
(:mod:`hypotheses`, :mod:`traits`) → the ranked grid (:mod:`ranking`) → exact places (:mod:`placing`) → bars
(:mod:`bars`). Each rung is callable by itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from handlers.audio.grid.bars import BARS, describe_bars
from handlers.audio.grid.features import Features, features_of
from handlers.audio.grid.hypotheses import Lattice, lay_lattices, unwarped
from handlers.audio.grid.model import Grid, Meter, Onsets, Segment
from handlers.audio.grid.onsets import attack_curve, combined, find_onsets, onset_curves
from handlers.audio.grid.placing import place_even
from handlers.audio.grid.pulse import describe_pulse
from handlers.audio.grid.ranking import load_models, softmax
from handlers.audio.grid.tempi import HIGHEST_BPM, LOWEST_BPM, Comb, find_tempi
from handlers.audio.grid.traits import Cells, cut_cells, describe, gather_material

SHORTEST_S = 2.0
"""Less than this has no beat."""
STATED_WITHIN = 0.04
"""A stated tempo is looked for within this share of it."""

Pulse = Callable[[float], None]


@dataclass(frozen=True)
class Hypothesis:
    """A grid that may be: a lattice and which of its quarters is the beat."""

    lattice: Lattice
    beat: int


def find_grid(
    audio: np.ndarray,
    sample_rate: int,
    *,
    tempo_bpm: float | None = None,
    tempo_range_bpm: tuple[float, float] | None = None,
    meter: Meter | None = None,
    first_downbeat_s: float | None = None,
    pulse: Pulse = lambda done: None,
) -> Grid:
    """Find the beats and bars of a recording.

    Parameters
    ----------
    audio
        float32 ``(channels, samples)`` or ``(samples,)``, full scale ±1.
    sample_rate
        Hz, 1000 or more.
    tempo_bpm
        The tempo, if it is known: only tempi within 4 % of it are looked at.
    tempo_range_bpm
        Lowest and highest tempo to look at; without it 40 to 240.
    meter
        The time signature, if it is known.
    first_downbeat_s
        Where a bar begins, if it is known: the beat nearest to it begins one, and the bars before and after follow.
    pulse
        Called with the share done, 0..1; may raise to stop.

    Raises
    ------
    Invalid
        When the audio holds NaN or infinity.
    """
    features = features_of([audio], sample_rate)
    pulse(0.6)
    return find_grid_in(
        features, tempo_bpm=tempo_bpm, tempo_range_bpm=tempo_range_bpm, meter=meter, first_downbeat_s=first_downbeat_s,
        pulse=lambda done: pulse(0.6 + 0.4 * done),
    )  # fmt: skip


def find_grid_in(
    features: Features,
    *,
    tempo_bpm: float | None = None,
    tempo_range_bpm: tuple[float, float] | None = None,
    meter: Meter | None = None,
    first_downbeat_s: float | None = None,
    pulse: Pulse = lambda done: None,
) -> Grid:
    """Find the grid in features that are there; parameters as in :func:`find_grid`."""
    curves = onset_curves(features)
    onsets = find_onsets(features, curves)
    lowest, highest = tempo_range_bpm or (LOWEST_BPM, HIGHEST_BPM)
    if tempo_bpm is not None:
        lowest, highest = tempo_bpm * (1 - STATED_WITHIN), tempo_bpm * (1 + STATED_WITHIN)
    if features.duration_s < SHORTEST_S or not curves.any():
        return no_beat(onsets, 1.0)
    pulse(0.2)
    hypotheses, rows, cells = hypothesise(features, curves, lowest, highest)
    if not hypotheses:
        return no_beat(onsets, 1.0)
    pulse(0.6)
    models = load_models()
    chances = softmax(models["grid"].score(rows))
    best = int(np.argmax(chances))
    won, curve = hypotheses[best], combined(curves)
    sure = models["beat"].chance(describe_pulse(curve, Comb(curve), won.lattice.tempo_bpm, cells[best], won.beat))
    stated = tempo_bpm is not None
    if sure < (0.1 if stated else 0.5):
        return no_beat(onsets, 1 - sure)
    period_s, first_s = 60 / won.lattice.tempo_bpm, won.lattice.first_s + won.beat * won.lattice.quarter_s
    period_s, first_s = place_even(attack_curve(features), period_s, first_s % period_s, features.duration_s)
    beats_s = np.arange(first_s, features.duration_s, period_s)
    pulse(0.9)
    bar_chances = softmax(models["bar"].score(describe_bars(cells[best], won.beat)))
    allowed = np.array([meter in (None, bar.meter) for bar in BARS])
    bar = BARS[int(np.argmax(np.where(allowed, bar_chances, -1)))]
    # The first beat of the lattice and the first of the grid may be some beats apart.
    skipped = round((won.lattice.first_s + won.beat * won.lattice.quarter_s - first_s) / period_s)
    first_bar = (bar.first + skipped) % bar.beats
    if first_downbeat_s is not None and len(beats_s):
        first_bar = int(np.argmin(np.abs(beats_s - first_downbeat_s))) % bar.beats
    tempo = 60 / period_s
    return Grid(
        has_beat=True,
        confidence=sure,
        tempo_bpm=tempo,
        tempo_confidence=_tempo_chance(hypotheses, chances, tempo),
        alternatives=_alternatives(hypotheses, chances, tempo),
        beats_s=beats_s,
        downbeats=np.arange(first_bar, len(beats_s), bar.beats),
        meter=bar.meter,
        meter_confidence=float(
            sum(chance for one, chance in zip(BARS, bar_chances, strict=True) if one.meter == bar.meter)
        ),
        steady=True,
        segments=(Segment(0.0, features.duration_s, tempo, float(first_s)),),
        onsets=onsets,
    )


def hypothesise(
    features: Features, curves: np.ndarray, lowest_bpm: float, highest_bpm: float
) -> tuple[list[Hypothesis], np.ndarray, list[Cells]]:
    """Return every grid that may be, their traits ``(n, traits)``, and the recording cut by each."""
    curve = combined(curves)
    tempi, fit = find_tempi(curve, lowest_bpm=lowest_bpm, highest_bpm=highest_bpm)
    if not len(tempi):
        return [], np.zeros((0, 0)), []
    material = gather_material(features, curves)
    hypotheses, rows, cells = [], [], []
    for lattice in lay_lattices(curve, tempi, fit):
        cut = cut_cells(material, lattice, unwarped)
        rows.append(describe(cut, lattice))
        hypotheses += [Hypothesis(lattice, beat) for beat in lattice.beats]
        cells += [cut] * len(lattice.beats)
    return hypotheses, np.concatenate(rows), cells


def no_beat(onsets: Onsets, confidence: float) -> Grid:
    """A recording without a beat."""
    return Grid(False, confidence, None, 0.0, (), np.zeros(0), np.zeros(0, int), None, 0.0, False, (), onsets)


def _tempo_chance(hypotheses: list[Hypothesis], chances: np.ndarray, tempo_bpm: float) -> float:
    near = [abs(one.lattice.tempo_bpm / tempo_bpm - 1) < 0.02 for one in hypotheses]
    return float(chances[near].sum())


def _alternatives(
    hypotheses: list[Hypothesis], chances: np.ndarray, tempo_bpm: float
) -> tuple[tuple[float, float], ...]:
    found: dict[float, float] = {}
    for one, chance in zip(hypotheses, chances, strict=True):
        if abs(one.lattice.tempo_bpm / tempo_bpm - 1) >= 0.02:
            found[one.lattice.tempo_bpm] = found.get(one.lattice.tempo_bpm, 0.0) + float(chance)
    best = sorted(found.items(), key=lambda pair: -pair[1])[:4]
    return tuple((float(bpm), chance) for bpm, chance in best)
