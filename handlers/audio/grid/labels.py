"""Names for sections: letters for what repeats, and what each is for (intro, build, drop, breakdown, outro).

Letters come from how alike sections sound and not from where they stand: parts that change places take their letters
along, up to which of them is called A. What a section is for follows from rules on its level, its low end and how its
highs move, all against the full parts of the same recording. A section for which no rule speaks is named by its letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handlers.audio.grid.features import Features
from handlers.audio.grid.pitches import Notes
from handlers.audio.grid.sections import Bars, bar_edges, centre, cut, describe_bars, first_sound_s

SAME, ALIKE = 0.8, 1.7
"""Distance between the typical bars of two sections: under `SAME` one is a repeat, under `ALIKE` a variation (A').
In stems of our own, two sections that differ by one quiet part (hats, a lead) are 0.4 to 1.5 apart, drop and breakdown
5 and more."""
FULL_DB, LOW_FULL_DB = -2.5, -4.0
"""A full section: at most this far under the loud bars (90th percentile), all bands and below 130 Hz."""
MID_FULL_DB, HIGH_FULL_DB = -4.0, -8.0
"""A full first or last section: also no more than this under them from 200 Hz to 2 kHz, and above 2 kHz."""
EMPTY_DB, LOW_EMPTY_DB, FEW_ONSETS = -8.0, -10.0, 0.7
"""A breakdown: this far under them in all, or below 130 Hz with this share of their onsets."""
RISE_DB = 4.0
"""A build: highs that climb at least this much from its first to its last quarter."""
STEP_DB = 0.7
"""What is louder than its neighbour by this is louder to the ear."""
OPENING_DB = -6.0
"""A full first section is an intro all the same if its highs are this far under those of the next."""
ENERGY_RANGE_DB = 30.0
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
    return name_sections(bars_of(features, notes, downbeats_s, duration_s))


def bars_of(features: Features, notes: Notes, downbeats_s: np.ndarray, duration_s: float) -> Bars:
    """Describe the bars of a recording; parameters as in :func:`find_sections`."""
    start_s = first_sound_s(features, downbeats_s)
    return describe_bars(features, notes, bar_edges(downbeats_s, duration_s, start_s))


def name_sections(bars: Bars) -> list[Section]:
    """Cut bars into sections and name them."""
    edges = cut(bars.rows)
    # What repeats at once is one section, and so is a build whose second half climbs further.
    edges = _join(edges, _letters(bars, edges))
    edges = _join_loops(edges, list(zip(_letters(bars, edges), name_functions(bars, edges), strict=True)))
    labels = name_functions(bars, edges)
    edges = _join_builds(bars, edges, labels)
    letters, labels = _letters(bars, edges), name_functions(bars, edges)
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


def _letters(bars: Bars, edges: Sequence[int]) -> list[str]:
    return name_repeats([centre(bars.rows[start:end]) for start, end in zip(edges[:-1], edges[1:], strict=True)])


def _join(edges: Sequence[int], names: Sequence[str]) -> list[int]:
    """Join neighbours of one name."""
    return [
        *(edges[number] for number in range(len(names)) if number == 0 or names[number] != names[number - 1]),
        edges[-1],
    ]


def _join_builds(bars: Bars, edges: Sequence[int], labels: Sequence[str]) -> list[int]:
    """Join a build and the next where the highs of the second go on from where the first has climbed to."""
    kept = [edges[0]]
    for number in range(1, len(labels)):
        before, here = (_quarter(bars.high_db[edges[place] : edges[place + 1]]) for place in (number - 1, number))
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


def name_repeats(centres: Sequence[np.ndarray]) -> list[str]:
    """Letter sections by likeness: average linkage, cut at `ALIKE` for letters and at `SAME` for variations."""
    groups, kinds = _cluster(centres, ALIKE), _cluster(centres, SAME)
    letters: dict[int, str] = {}
    variants: dict[int, list[int]] = {}
    names = []
    for group, kind in zip(groups, kinds, strict=True):
        letter = letters.setdefault(group, _letter(len(letters)))
        known = variants.setdefault(group, [])
        if kind not in known:
            known.append(kind)
        names.append(letter + "'" * known.index(kind))
    return names


def _cluster(points: Sequence[np.ndarray], apart: float) -> list[int]:
    """Number of the cluster of each point; clusters are merged while their mean distance is under `apart`."""
    stacked = np.stack(points)
    distance = np.sqrt(((stacked[:, None] - stacked[None]) ** 2).sum(axis=2))
    np.fill_diagonal(distance, np.inf)
    number, size = np.arange(len(points)), np.ones(len(points))
    while distance.min() < apart:
        one, other = sorted(divmod(int(np.argmin(distance)), len(points)))
        joined = (size[one] * distance[one] + size[other] * distance[other]) / (size[one] + size[other])
        distance[one], distance[:, one] = joined, joined
        distance[one, one] = np.inf
        distance[other], distance[:, other] = np.inf, np.inf
        size[one] += size[other]
        number[number == other] = one
    return number.tolist()


def _letter(number: int) -> str:
    """A .. Z, AA, AB, ..."""
    return (_letter(number // 26 - 1) if number >= 26 else "") + chr(ord("A") + number % 26)


def name_functions(bars: Bars, edges: Sequence[int]) -> list[str]:
    """Say what each section is for; an empty string where no rule speaks."""
    spans = list(zip(edges[:-1], edges[1:], strict=True))
    if len(spans) < 2:
        return [""] * len(spans)
    full = {name: np.percentile(getattr(bars, name), 90) for name in ("level_db", "low_db", "mid_db", "high_db")}
    level, low, mid, high = (
        np.array([getattr(bars, name)[start:end].mean() - full[name] for start, end in spans]) for name in full
    )
    most = max(float(np.percentile(bars.onsets, 90)), 1e-9)
    onsets = np.array([bars.onsets[start:end].mean() for start, end in spans]) / most
    rise = np.array([_rise(bars.high_db[start:end]) for start, end in spans])
    is_full = (level >= FULL_DB) & (low >= LOW_FULL_DB)
    climbs = rise >= RISE_DB
    # Highs that climb into something louder are a build, however full they are.
    is_full[:-1] &= ~(climbs[:-1] & (level[1:] - level[:-1] >= STEP_DB))
    # What begins or ends with drums alone only begins or ends.
    at_ends = np.isin(np.arange(len(spans)), (0, len(spans) - 1))
    is_full &= ~at_ends | ((mid >= MID_FULL_DB) & (high >= HIGH_FULL_DB))
    # Many attacks that climb are no rest, however little else there is.
    is_empty = (level <= EMPTY_DB) & ~(climbs & (onsets > FEW_ONSETS)) | (low <= LOW_EMPTY_DB) & (onsets <= FEW_ONSETS)
    fulls = np.flatnonzero(is_full)
    labels = []
    for number in range(len(spans)):
        follows = fulls[fulls > number]
        if is_full[number] and (number or high[number] >= high[1] + OPENING_DB):
            label = "drop"
        elif number == 0:
            label = "intro"
        elif len(fulls) and not len(follows) and (number == len(spans) - 1 or not is_empty[number]):
            label = "outro"
        elif is_empty[number]:
            label = "breakdown"
        else:
            label = "build" if len(follows) and not is_empty[number : follows[0]].any() else ""
        labels.append(label)
    return labels


def _quarter(level_db: np.ndarray) -> tuple[float, float]:
    """A level's mean over its first and over its last quarter."""
    quarter = max(1, len(level_db) // 4)
    return float(level_db[:quarter].mean()), float(level_db[-quarter:].mean())


def _rise(level_db: np.ndarray) -> float:
    """How much a level climbs from the first to the last quarter."""
    first, last = _quarter(level_db)
    return last - first


def _energy(bars: Bars) -> np.ndarray:
    """0..1 for each bar: geometric mean of level and onsets against the most."""
    level = 1 + (bars.level_db - bars.level_db.max()) / ENERGY_RANGE_DB
    onsets = bars.onsets / max(float(np.percentile(bars.onsets, 95)), 1e-9)
    return np.sqrt(level.clip(0, 1) * onsets.clip(0, 1))
