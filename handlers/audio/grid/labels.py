"""Names for sections: letters for what repeats, and what each is for (intro, build, drop, breakdown, outro).

Letters come from how alike sections sound and not from where they stand: parts that change places take their letters
along, up to which of them is called A (:mod:`handlers.audio.grid.repeats`). What a section is for follows from rules
(:mod:`handlers.audio.grid.functions`). A section for which no rule speaks is named by its letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handlers.audio.grid.features import Features
from handlers.audio.grid.functions import RISE_DB, name_functions, quarters
from handlers.audio.grid.pitches import Notes
from handlers.audio.grid.repeats import Repeats, bare, name_repeats, tell_apart
from handlers.audio.grid.sections import (
    LONGEST_BARS,
    Bars,
    bar_edges,
    centre,
    cut,
    describe_bars,
    first_sound_s,
)

ENERGY_RANGE_DB = 30.0
FILL_BARS = 2
"""What is no longer than this is a fill or a break of the section before it."""
RINGING_BARS = 3
"""From so many bars on a last section may be known without its last bar."""
PHRASE_BARS = 8
LOOP_TURNS, LOOP_BARS = (2, 3, 4), 4
"""How many stretches may take turns in a loop, and the bars that each has at most."""


@dataclass(frozen=True)
class Section:
    """A part of a recording."""

    start_s: float
    end_s: float
    first_bar: int
    """The bar it begins with, counted from 0."""
    bars: int
    label: str
    """``intro``, ``build``, ``drop``, ``breakdown``, ``outro``, or its letter."""
    letter: str
    """``A``, ``B``, ... in order of appearance; ``A'`` for a variation of A."""
    energy: float
    """0..1: level (30 dB under the loudest bar is 0) and onsets (none is 0) against the most of the recording."""
    brightness: float
    """0..1: centre of gravity of the spectrum, 100 Hz to 10 kHz by octaves."""


def find_sections(features: Features, notes: Notes, downbeats_s: np.ndarray, duration_s: float) -> list[Section]:
    """Find and name the sections of a recording.

    Parameters
    ----------
    features, notes
        Of the whole recording.
    downbeats_s
        In seconds, increasing; where there are none, sections begin on windows of 2 s.
    duration_s
        Of the recording.

    Returns
    -------
    sections
        One after the other without a gap, from the first downbeat, or the start if something sounds before it, to the
        end.
    """
    return name_sections(bars_of(features, notes, downbeats_s, duration_s), has_beat=len(downbeats_s) > 1)


def bars_of(features: Features, notes: Notes, downbeats_s: np.ndarray, duration_s: float) -> Bars:
    """Describe the bars of a recording; parameters as in :func:`find_sections`."""
    start_s = first_sound_s(features, downbeats_s)
    return describe_bars(features, notes, bar_edges(downbeats_s, duration_s, start_s))


def name_sections(bars: Bars, *, has_beat: bool = True) -> list[Section]:
    """Cut bars into sections and name them; without a beat by letters alone."""
    repeats = Repeats(bars.tones)
    edges = cut(bars.rows, repeats)
    edges = _join_fills(edges, _letters(bars, edges, repeats))
    edges = _join_long(edges, _letters(bars, edges, repeats))
    letters = _letters(bars, edges, repeats)
    edges = _join_loops(edges, list(zip(letters, name_functions(bars, edges, letters), strict=True)))
    # A build whose second half climbs further is one.
    edges = _join_builds(bars, edges, name_functions(bars, edges, _letters(bars, edges, repeats)))
    letters = _letters(bars, edges, repeats)
    labels = name_functions(bars, edges, letters) if has_beat else [""] * len(letters)
    energy = _energy(bars)
    return [
        Section(
            start_s=float(bars.edges_s[start]),
            end_s=float(bars.edges_s[end]),
            first_bar=start,
            bars=end - start,
            label=label or letter,
            letter=letter,
            energy=float(energy[start:end].mean()),
            brightness=float(bars.brightness[start:end].mean()),
        )
        for start, end, label, letter in zip(edges[:-1], edges[1:], labels, letters, strict=True)
    ]


def phrases_of(bars: Bars, sections: Sequence[Section]) -> list[tuple[float, float]]:
    """Start and end in seconds of the first bar of every phrase of 8 bars, counted from where sections begin."""
    firsts = [bar for one in sections for bar in range(one.first_bar, one.first_bar + one.bars, PHRASE_BARS)]
    return [(float(bars.edges_s[bar]), float(bars.edges_s[bar + 1])) for bar in firsts]


def _letters(bars: Bars, edges: Sequence[int], repeats: Repeats) -> list[str]:
    spans = list(zip(edges[:-1], edges[1:], strict=True))
    distance = _tell_apart(bars, spans, repeats)
    start, end = spans[-1]
    if end - start >= RINGING_BARS:
        # The last bar may ring out.
        distance = np.minimum(distance, _tell_apart(bars, [*spans[:-1], (start, end - 1)], repeats))
    return name_repeats(distance)


def _tell_apart(bars: Bars, spans: Sequence[tuple[int, int]], repeats: Repeats) -> np.ndarray:
    return tell_apart([centre(bars.rows[start:end]) for start, end in spans], spans, repeats)


def _join_fills(edges: Sequence[int], letters: Sequence[str]) -> list[int]:
    """Join a bar or two with what stands before, and that with what goes on after them."""
    kept, first = [edges[0]], 0
    while first < len(letters):
        end = first + 1
        while end < len(letters) and edges[end + 1] - edges[end] <= FILL_BARS:
            end += 1
            if end < len(letters) and bare(letters[end]) == bare(letters[first]):
                end += 1
        kept.append(edges[end])
        first = end
    return kept


def _join_long(edges: Sequence[int], letters: Sequence[str]) -> list[int]:
    """Join neighbours of one name that were cut for their length alone."""
    kept = [edges[0]]
    for number in range(1, len(letters)):
        if letters[number] != letters[number - 1] or edges[number + 1] - edges[number - 1] <= LONGEST_BARS:
            kept.append(edges[number])
    return [*kept, edges[-1]]


def _join_builds(bars: Bars, edges: Sequence[int], labels: Sequence[str]) -> list[int]:
    """Join a build and the next where the highs of the second go on from where the first has climbed to."""
    kept = [edges[0]]
    for number in range(1, len(labels)):
        before, here = (quarters(bars.high_db[edges[place] : edges[place + 1]]) for place in (number - 1, number))
        if labels[number - 1 : number + 1] != ["build", "build"] or here[0] < before[1] - RISE_DB:
            kept.append(edges[number])
    return [*kept, edges[-1]]


def _join_loops(edges: Sequence[int], names: Sequence[tuple[str, str]]) -> list[int]:
    """Join short stretches that take turns and are for the same: a loop of chords, half of which sounds like a section.

    `names` are letter and function of each.
    """
    kept, first = [edges[0]], 0
    while first < len(names):
        end = first + 1
        for turn in LOOP_TURNS:
            last = first + turn
            while last < len(names) and names[last] == names[last - turn]:
                last += 1
            inside = slice(first, last)
            if (
                last > max(end, first + turn)
                and len({function for _, function in names[inside]}) == 1
                and max(np.diff(edges[first : last + 1])) <= LOOP_BARS
            ):
                end = last
        kept.append(edges[end])
        first = end
    return kept


def _energy(bars: Bars) -> np.ndarray:
    """0..1 for each bar: geometric mean of level and onsets against the most."""
    level = 1 + (bars.level_db - bars.level_db.max()) / ENERGY_RANGE_DB
    onsets = bars.onsets / max(float(np.percentile(bars.onsets, 95)), 1e-9)
    return np.sqrt(level.clip(0, 1) * onsets.clip(0, 1))
