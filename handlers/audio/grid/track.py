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
from handlers.audio.grid.breaks import agreement_of, clock_through_breaks
from handlers.audio.grid.drift import Clock, moving_clock, place_moving, split
from handlers.audio.grid.features import Features, features_of
from handlers.audio.grid.hypotheses import Lattice, lay_lattices, unwarped
from handlers.audio.grid.model import Grid, Meter, Onsets, Segment
from handlers.audio.grid.network import load_networks, look, middle, score_bars, score_grids
from handlers.audio.grid.onsets import attack_curve, combined, find_onsets, onset_curves
from handlers.audio.grid.placing import place_even
from handlers.audio.grid.pulse import describe_pulse, describe_victory
from handlers.audio.grid.ranking import load_models, softmax
from handlers.audio.grid.tempi import HIGHEST_BPM, LOWEST_BPM, Comb, find_tempi
from handlers.audio.grid.traits import Cells, cut_cells, describe, gather_material

LEAST_ONSETS = 6
SHORTEST_S = 2.0
"""Less than these have no beat."""
LEAST_STATED = 0.05
"""How likely a beat must be where its tempo is stated."""
AT_START_S = 0.01
"""A beat this little before the first sample is at the first sample."""
STATED_BEATS = 0.1
"""A stated downbeat chooses among the grids that have a beat within this share of a beat."""
ALIKE = 0.05
"""How much more alike beats must sound (a correlation) on a tempo that moves."""
STATED_WITHIN = 0.04
"""A stated tempo is looked for within this share of it."""

Pulse = Callable[[float], None]


@dataclass(frozen=True)
class Hypothesis:
    """A grid that may be: a lattice and which of its quarters is the beat."""

    lattice: Lattice
    beat: int
    number: int = 0
    """Of the lattice, among all of the recording."""

    @property
    def first_s(self) -> float:
        """A beat, at most one beat from the start, on the even clock."""
        return self.lattice.first_s + self.beat * self.lattice.quarter_s


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
    if features.duration_s < SHORTEST_S or len(onsets.times_s) < LEAST_ONSETS:
        return no_beat(onsets, 1.0)
    pulse(0.2)
    clock = moving_clock(combined(curves))
    ranked = rank_grids(features, curves, clock, lowest, highest, first_downbeat_s)
    if clock:
        even = rank_grids(features, curves, None, lowest, highest, first_downbeat_s)
        # A path of tempo may fit by chance; then beats sound no more alike on it than on one tempo.
        if even.hypotheses and _likeness(ranked, curves, clock) < _likeness(even, curves, None) + ALIKE:
            clock, ranked = None, even
    if not ranked.hypotheses:
        return no_beat(onsets, 1.0)
    pulse(0.6)
    if (broken := clock_through_breaks(curves, clock, ranked.won.lattice.tempo_bpm, ranked.won.first_s)) is not None:
        clock = broken
        ranked = rank_grids(features, curves, clock, lowest, highest, first_downbeat_s)
    models, networks, won = load_models(), load_networks(), ranked.won
    cells = ranked.cut(won.lattice)
    heard = middle(cells)
    tempi = np.array([one.lattice.tempo_bpm for one in ranked.hypotheses])
    pulse_row = describe_pulse(ranked.curve, Comb(ranked.curve), won.lattice.tempo_bpm, cells)
    victory = describe_victory(ranked.scores, tempi, heard.hits.mean(axis=1))
    sure = models["beat"].chance(np.concatenate([pulse_row, victory]))
    if sure < (LEAST_STATED if tempo_bpm is not None else 0.5):
        return no_beat(onsets, 1 - sure)
    beats_s, number = _place(features, won, clock)
    steady = clock is None
    if first_downbeat_s is not None and len(beats_s):
        # What is stated is right: the grid goes through it, if only by some milliseconds.
        beats_s = beats_s + (first_downbeat_s - beats_s[int(np.argmin(np.abs(beats_s - first_downbeat_s)))])
    inside = (beats_s >= -AT_START_S) & (beats_s < features.duration_s)
    beats_s, number = beats_s[inside].clip(0), number[inside]
    if len(beats_s) < 2:
        return no_beat(onsets, 0.5)
    pulse(0.9)
    bar_scores = score_bars(models["bar"], networks["bar"], describe_bars(cells, won.beat), look(heard)[won.beat :])
    bar_chances = softmax(bar_scores / models["bar"].temper)
    allowed = np.array([meter in (None, bar.meter) for bar in BARS])
    bar = BARS[int(np.argmax(np.where(allowed, bar_chances, -1)))]
    first = (bar.first - int(number[0])) % bar.beats
    if first_downbeat_s is not None:
        first = int(np.argmin(np.abs(beats_s - first_downbeat_s))) % bar.beats
    segments = _segments(beats_s, features.duration_s, steady)
    tempo = segments[0].tempo_bpm if steady else won.lattice.tempo_bpm
    return Grid(
        has_beat=True,
        confidence=sure,
        tempo_bpm=tempo,
        tempo_confidence=_tempo_chance(ranked, tempo),
        alternatives=_alternatives(ranked, tempo),
        beats_s=beats_s,
        downbeats=np.arange(first, len(beats_s), bar.beats),
        meter=bar.meter,
        meter_confidence=1.0
        if meter
        else float(sum(chance for one, chance in zip(BARS, bar_chances, strict=True) if one.meter == bar.meter)),
        steady=steady,
        segments=segments,
        onsets=onsets,
    )


@dataclass(frozen=True)
class Ranked:
    """All grids that may be, and how likely each is."""

    hypotheses: list[Hypothesis]
    scores: np.ndarray
    """``(hypotheses,)``, from :func:`handlers.audio.grid.network.score_grids`."""
    chances: np.ndarray
    """``(hypotheses,)``, of sum 1."""
    curve: np.ndarray
    """Onset strength ``(frames,)`` on the clock of the grids."""
    cut: Callable[[Lattice], Cells]
    """Cuts the recording by a lattice."""

    @property
    def won(self) -> Hypothesis:
        """The likeliest."""
        return self.hypotheses[int(np.argmax(self.chances))]


def rank_grids(
    features: Features, curves: np.ndarray, clock: Clock | None, lowest_bpm: float, highest_bpm: float,
    first_downbeat_s: float | None = None,
) -> Ranked:  # fmt: skip
    """Rank every grid that may be on a clock; parameters as in :func:`hypothesise` and :func:`find_grid`."""
    curve = clock.straighten(combined(curves)) if clock else combined(curves)
    hypotheses, rows, middles, cut = hypothesise(features, curves, curve, lowest_bpm, highest_bpm, clock)
    if not hypotheses:
        return Ranked([], np.zeros(0), np.zeros(0), curve, cut)
    model, networks = load_models()["grid"], load_networks()["grid"]
    handicap: np.ndarray | float = 0.0
    if first_downbeat_s is not None:
        handicap = _through(hypotheses, float(clock.unwarp(first_downbeat_s)) if clock else first_downbeat_s)
    lattices, beats = (np.array([getattr(one, name) for one in hypotheses]) for name in ("number", "beat"))
    scores = score_grids(model, networks, rows, lambda number: look(middles[number]), lattices, beats)
    return Ranked(hypotheses, scores, softmax(scores / model.temper + handicap), curve, cut)


def hypothesise(
    features: Features,
    curves: np.ndarray,
    curve: np.ndarray,
    lowest_bpm: float,
    highest_bpm: float,
    clock: Clock | None = None,
) -> tuple[list[Hypothesis], np.ndarray, list[Cells], Callable[[Lattice], Cells]]:
    """Return every grid that may be, its traits, what the network hears, and what cuts the recording by a lattice.

    Parameters
    ----------
    features, curves
        The recording, and its onset curves ``(3, frames)``.
    curve
        Onset strength ``(frames,)`` on the even clock.
    lowest_bpm, highest_bpm
        Tempi to look at.
    clock
        The even clock; None where it is the recording's own.

    Returns
    -------
    hypotheses, rows, middles, cut
        The n hypotheses, their traits ``(n, traits)``, the middle of each lattice's cells, and what cuts the recording by
        the lattice of one.
    """
    tempi, fit = find_tempi(curve, lowest_bpm=lowest_bpm, highest_bpm=highest_bpm)
    material, warp = gather_material(features, curves), clock.warp if clock else unwarped
    if not len(tempi):
        return [], np.zeros((0, 0)), [], lambda lattice: cut_cells(material, lattice, warp)
    hypotheses, rows, middles = [], [], []
    for number, lattice in enumerate(lay_lattices(curve, tempi, fit)):
        cells = cut_cells(material, lattice, warp)
        rows.append(describe(cells, lattice))
        middles.append(middle(cells))
        hypotheses += [Hypothesis(lattice, beat, number) for beat in lattice.beats]
    return hypotheses, np.concatenate(rows), middles, lambda lattice: cut_cells(material, lattice, warp)


def _likeness(ranked: Ranked, curves: np.ndarray, clock: Clock | None) -> float:
    """How much beats sound alike on the grid that won; NaN without one, or with few beats."""
    if not ranked.hypotheses:
        return np.nan
    return agreement_of(curves, clock, ranked.won.lattice.tempo_bpm, ranked.won.first_s)


def _place(features: Features, won: Hypothesis, clock: Clock | None) -> tuple[np.ndarray, np.ndarray]:
    """Beats on their attacks, ``(beats,)`` seconds, and their numbers, that of the lattice's first beat being 0."""
    period_s = 60 / won.lattice.tempo_bpm
    first_s = won.first_s
    attacks = attack_curve(features)
    if clock is None:
        period_s, placed_s = place_even(attacks, period_s, first_s, features.duration_s)
        number = np.arange(-1, int((features.duration_s - placed_s) / period_s) + 1)
        return placed_s + number * period_s, number + round((placed_s - first_s) / period_s)
    number = np.arange(-1, int((clock.unwarp(features.duration_s) - first_s) / period_s) + 1)
    return place_moving(attacks, clock.warp(first_s + number * period_s)), number


def _through(hypotheses: list[Hypothesis], moment_s: float) -> np.ndarray:
    """What hypotheses without a beat at a moment lose, ``(n,)``; nothing if all are without."""
    away = []
    for one in hypotheses:
        beats = (moment_s - one.lattice.first_s) / one.lattice.quarter_s / 4 - one.beat / 4
        away.append(abs(beats - round(beats)))
    return np.where(np.array(away) < STATED_BEATS, 0.0, -20.0)


def _segments(beats_s: np.ndarray, duration_s: float, steady: bool) -> tuple[Segment, ...]:
    edges = [0, len(beats_s) - 1] if steady else split(beats_s)
    found = []
    for first, last in zip(edges[:-1], edges[1:], strict=True):
        start_s = 0.0 if first == 0 else float(beats_s[first])
        end_s = duration_s if last == len(beats_s) - 1 else float(beats_s[last])
        tempo = 60 * (last - first) / (beats_s[last] - beats_s[first])
        found.append(Segment(start_s, end_s, float(tempo), float(beats_s[first])))
    return tuple(found)


def no_beat(onsets: Onsets, confidence: float) -> Grid:
    """A recording without a beat."""
    return Grid(False, confidence, None, 0.0, (), np.zeros(0), np.zeros(0, int), None, 0.0, False, (), onsets)


def _tempo_chance(ranked: Ranked, tempo_bpm: float) -> float:
    near = [abs(one.lattice.tempo_bpm / tempo_bpm - 1) < 0.02 for one in ranked.hypotheses]
    return float(ranked.chances[near].sum())


def _alternatives(ranked: Ranked, tempo_bpm: float) -> tuple[tuple[float, float], ...]:
    found: dict[float, float] = {}
    for one, chance in zip(ranked.hypotheses, ranked.chances, strict=True):
        if abs(one.lattice.tempo_bpm / tempo_bpm - 1) >= 0.02:
            found[one.lattice.tempo_bpm] = found.get(one.lattice.tempo_bpm, 0.0) + float(chance)
    best = sorted(found.items(), key=lambda pair: -pair[1])[:4]
    return tuple((float(bpm), chance) for bpm, chance in best)
