"""Functions of sections: which of them is an intro, a build, a drop, a breakdown, an outro.

Rules on level, low end and how the highs move, all against the full parts of the same recording, and on letters: what
stands first or last and nowhere between only begins or ends the recording, however full it is. Limits were set on
arranged songs and stems of the instrument (seeds that no figure of the documentation comes from).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import numpy as np

from handlers.audio.grid.repeats import bare
from handlers.audio.grid.sections import Bars

FULL = ((-2.5, -4.0), (-4.0, -1.5))
"""A full section: no further under the loud bars (90th percentile), in all bands and below 130 Hz, than one of these
pairs. Pads may be louder than a drop, but its kick and bass are all there."""
EMPTY_DB, LOW_EMPTY_DB = -8.0, -10.0
"""An empty one: further under them in all, or below 130 Hz."""
RISE_DB = 4.0
"""A climb: highs that rise at least this much from its first to its last quarter, and half of it from half to half."""
STEP_DB = 0.7
"""What is louder than its neighbour by this is louder to the ear."""
BEYOND_DB = 2.0
"""A riser ends above what it leads to by more than this (builds 3 to 9 dB, songs' 6 to 16); a filter that opens does not
(a breakdown's last quarter is at -2 to 1 dB)."""


def name_functions(bars: Bars, edges: Sequence[int], letters: Sequence[str]) -> list[str]:
    """Say what each section is for.

    Parameters
    ----------
    bars
        Of the recording.
    edges
        Bars at which sections begin, and the number of bars.
    letters
        Of the sections, from :func:`~handlers.audio.grid.repeats.name_repeats`.

    Returns
    -------
    functions
        ``intro``, ``build``, ``drop``, ``breakdown``, ``outro``, or an empty string where no rule speaks.
    """
    count = len(edges) - 1
    if count < 2:
        return [""] * count
    level, low, high = (_under_loud(getattr(bars, name), edges) for name in ("level_db", "low_db", "high_db"))
    is_empty = (level <= EMPTY_DB) | (low <= LOW_EMPTY_DB)
    is_full = np.any([(level >= all_db) & (low >= low_db) for all_db, low_db in FULL], axis=0)
    builds = _find_builds(bars.high_db, edges, high, level, is_full, is_empty)
    groups = [bare(letter) for letter in letters]
    head = len(list(takewhile(lambda group: group == groups[0], groups)))
    tail = len(list(takewhile(lambda group: group == groups[-1], groups[::-1])))
    is_full &= ~builds
    middle = {groups[number] for number in range(head, count - tail) if is_full[number]}
    if middle:
        is_full &= np.isin(groups, sorted(middle))
    fulls = np.flatnonzero(is_full)
    names: list[str] = []
    for number in range(count):
        follows = fulls[fulls > number]
        if is_full[number]:
            name = "drop"
        elif number < head < count:
            name = "intro"
        elif builds[number] and number < count - tail:
            name = "build"
        elif len(fulls) and not len(follows) and (number >= count - tail or not is_empty[number]):
            name = "outro"
        elif is_empty[number]:
            # A rest is one from something.
            name = "intro" if len(fulls) and set(names) == {"intro"} else "breakdown"
        else:
            name = "build" if len(follows) and not is_empty[number : follows[0]].any() else ""
        names.append(name)
    return names


def _under_loud(level_db: np.ndarray, edges: Sequence[int]) -> np.ndarray:
    """Mean level of each section against the loud bars of the recording."""
    loud = float(np.percentile(level_db, 90))
    return np.array([level_db[start:end].mean() for start, end in zip(edges[:-1], edges[1:], strict=True)]) - loud


def _find_builds(
    high_db: np.ndarray,
    edges: Sequence[int],
    high: np.ndarray,
    level: np.ndarray,
    is_full: np.ndarray,
    is_empty: np.ndarray,
) -> np.ndarray:
    """Which sections climb to what follows: bool ``(sections,)``."""
    spans = list(zip(edges[:-1], edges[1:], strict=True))
    climbs = np.array([_climbs(high_db[start:end]) for start, end in spans])
    end_db = np.array([quarters(high_db[start:end])[1] for start, end in spans]) - np.percentile(high_db, 90)
    # Against the full parts' highs too, for what follows may have hardly any.
    beyond = end_db >= np.append(high[1:], np.inf).clip(-BEYOND_DB / 2) + BEYOND_DB
    louder = np.append(level[1:] - level[:-1] >= STEP_DB, False)
    leads = louder | np.append(is_full[1:], False) & ~is_full
    builds = climbs & (beyond | leads & ~is_empty)
    # Some climb by steps: what is louder and brighter than what it follows, and goes on to a build, is one.
    for number in range(len(spans) - 2, 0, -1):
        steps_up = high[number] - high[number - 1] >= RISE_DB and level[number] - level[number - 1] >= STEP_DB
        builds[number] |= builds[number + 1] and steps_up and not is_full[number]
    return builds


def _climbs(level_db: np.ndarray) -> bool:
    first, last = quarters(level_db)
    half = len(level_db) // 2
    evenly = half < 2 or level_db[half:].mean() - level_db[:half].mean() >= RISE_DB / 2
    return bool(last - first >= RISE_DB and evenly)


def quarters(level_db: np.ndarray) -> tuple[float, float]:
    """A level's mean over its first and over its last quarter."""
    quarter = max(1, len(level_db) // 4)
    return float(level_db[:quarter].mean()), float(level_db[-quarter:].mean())
