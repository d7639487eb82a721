"""Breaks: where music leaves its even grid for good or for a while: a pause, a bar cut short, an end that slows down.

What a beat of this recording mostly sounds like, in onsets, is looked for at every moment; dynamic programming finds the
beats that follow each other most evenly where it is found (after Ellis, "Beat Tracking by Dynamic Programming", JNMR
2007), free to leap at a price. Only where much more of the recording agrees with these than with the even grid are they
taken.
"""

from __future__ import annotations

import numpy as np

from handlers.audio.grid.drift import Clock
from handlers.audio.grid.features import FRAMES_PER_S

BINS = 48
"""Of each beat."""
WINDOW, AROUND = 16, 8
"""Beats from which the pattern of a beat is learned, and over which agreement is averaged."""
SHORTEST, LONGEST = 0.45, 1.8
"""Shares of a beat from one to the next."""
BEND, LEAP = 8.0, 2.5
"""What a beat longer or shorter costs, times the square of the logarithm, and a leap, in beats that agree."""
NEAR = 4
"""Bins within which a beat is on the grid."""
WORTH, UNLIKE = 6.0, 0.7
"""How much agreement (a correlation, of each beat) a stretch off the grid must win, and what share of its own agreement
the grid may have there."""
MOST_UNEVEN = 0.08
"""Share of uneven beats beyond which they wander: with made-up pauses 0.05 at most, where a steady piece was left 0.16."""
EVEN = 0.05
"""Beats whose distance is within this share of the usual one are even."""
LEAST_EVEN, EVENLY = 8, 0.8
"""Of so many beats a grid is made; a stretch off the grid has such a share of even ones."""


def clock_through_breaks(curves: np.ndarray, clock: Clock | None, tempo_bpm: float, first_s: float) -> Clock | None:
    """The clock on which a grid that breaks off and goes on is even; None where the grid holds.

    Parameters
    ----------
    curves
        Onset strength ``(3, frames)`` at `FRAMES_PER_S`.
    clock
        That of the grid; None where it is the recording's own.
    tempo_bpm, first_s
        The grid, on its clock.
    """
    beats_s = find_breaks(_on_clock(curves, clock), 60 / tempo_bpm, first_s)
    if beats_s is None:
        return None
    real_s = clock.warp(beats_s) if clock else beats_s
    even_s = 60 / tempo_bpm * np.arange(len(real_s))
    pace = np.diff(real_s)
    # As far before the first beat as it has been on, so that nothing is before the start.
    before = max(0.0, float(real_s[0])) / pace[0] * even_s[1]
    return Clock(
        np.concatenate([[0.0], before + even_s]) if real_s[0] > 0 else even_s,
        np.concatenate([[0.0], real_s]) if real_s[0] > 0 else real_s,
        float(pace.max() / pace.min() - 1),
        30 / tempo_bpm,
    )


def agreement_of(curves: np.ndarray, clock: Clock | None, tempo_bpm: float, first_s: float) -> float:
    """How much the beats of a grid sound alike, -1..1, NaN for few beats; parameters as in :func:`clock_through_breaks`."""
    rows = _cut(_on_clock(curves, clock), 60 / tempo_bpm, first_s % (60 / tempo_bpm))
    return float(_agreement(rows)[::BINS].mean()) if len(rows) >= 2 * WINDOW * BINS else np.nan


def _on_clock(curves: np.ndarray, clock: Clock | None) -> np.ndarray:
    """Curves ``(3, frames)`` as they are on a clock."""
    return np.stack([clock.straighten(one) for one in curves]) if clock else curves


def _cut(curves: np.ndarray, period_s: float, first_s: float) -> np.ndarray:
    """Onset strength in bins of whole beats, its root, from an eighth of a beat before the first on: ``(bins, 3)``."""
    beats = int((curves.shape[1] / FRAMES_PER_S - first_s) / period_s)
    # A little early, so that an attack is whole.
    times = (first_s - period_s / 8 + period_s / BINS * (np.arange(beats * BINS) + 0.5)) * FRAMES_PER_S
    return np.sqrt(np.stack([np.interp(times, np.arange(curves.shape[1]), one, 0, 0) for one in curves], axis=1))


def find_breaks(curves: np.ndarray, period_s: float, first_s: float) -> np.ndarray | None:
    """Find beats that leave an even grid; None where the grid holds.

    Parameters
    ----------
    curves
        Onset strength ``(3, frames)`` on the clock of the grid, at `FRAMES_PER_S`.
    period_s, first_s
        The grid.

    Returns
    -------
    beats_s
        ``(beats,)`` on that clock, increasing.
    """
    first_s %= period_s
    rows = _cut(curves, period_s, first_s)
    if len(rows) < 2 * WINDOW * BINS:
        return None
    agreement = _agreement(rows)
    places = _follow(agreement)
    if not _is_worth_it(agreement, places):
        return None
    return first_s + _straight(places) * period_s / BINS


def _is_worth_it(agreement: np.ndarray, places: np.ndarray) -> bool:
    """Whether beats that leave the grid agree, somewhere for some time, where the grid does not."""
    if np.mean(np.abs(np.diff(places) / BINS - 1) >= EVEN) > MOST_UNEVEN:
        return False
    # The pattern may be that of a stretch off the grid: the grid is where most beats are.
    shift = int(np.bincount(places % BINS, minlength=BINS).argmax())
    nearest = np.round((places - shift) / BINS).astype(int) * BINS + shift
    won = agreement[places] - agreement[nearest.clip(0, len(agreement) - 1)]
    away = np.abs(places - nearest) > NEAR
    for first, end in _runs(away):
        here, gaps = agreement[places[first:end]], np.diff(places[first:end]) / BINS
        evenly = len(gaps) and np.mean(np.abs(gaps - 1) < EVEN) >= EVENLY
        if evenly and won[first:end].sum() >= WORTH and (here - won[first:end]).mean() <= UNLIKE * here.mean():
            return True
    return False


def _runs(flags: np.ndarray) -> np.ndarray:
    """Where flags are set without a gap: int ``(runs, 2)``, the first and the one after the last."""
    return np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(int))).reshape(-1, 2)


def _agreement(rows: np.ndarray) -> np.ndarray:
    """How much a beat from each bin on is like the pattern of a beat: a correlation, ``(bins,)``."""
    beats = rows.reshape(-1, BINS, rows.shape[1])
    beats = beats - beats.mean(axis=1, keepdims=True)
    flat = beats.reshape(len(beats), -1)
    floor = 0.5 * np.sqrt((flat**2).sum(axis=1)).mean() + 1e-9
    unit = flat / np.maximum(np.sqrt((flat**2).sum(axis=1, keepdims=True)), floor)
    patterns = np.stack(
        [flat[start : start + WINDOW].mean(axis=0) for start in range(0, len(flat) - WINDOW + 1, AROUND)]
    )
    patterns /= np.sqrt((patterns**2).sum(axis=1, keepdims=True)) + 1e-9
    # The pattern that beats are most like, in high measure: one of a stretch across a break is a little like many.
    best = patterns[np.argmax((np.maximum(unit @ patterns.T, 0) ** 8).sum(axis=0))].reshape(BINS, -1)
    padded = np.concatenate([rows, np.zeros((BINS, rows.shape[1]))])
    hit = sum(np.correlate(padded[:, band], best[:, band], "valid") for band in range(rows.shape[1]))[: len(rows)]
    power = np.zeros(len(rows))
    for band in range(rows.shape[1]):
        total, square = (np.concatenate([[0.0], np.cumsum(padded[:, band] ** order)]) for order in (1, 2))
        power += ((square[BINS:] - square[:-BINS]) - (total[BINS:] - total[:-BINS]) ** 2 / BINS)[: len(rows)]
    return hit / np.maximum(np.sqrt(power.clip(0)), floor)


def _follow(agreement: np.ndarray) -> np.ndarray:
    """Bins of the beats that agree best and follow most evenly: int ``(beats,)``, increasing."""
    gaps = np.arange(round(SHORTEST * BINS), round(LONGEST * BINS) + 1)
    price = BEND * np.log(gaps / BINS) ** 2
    count, reach, nearest = len(agreement), int(gaps[-1]), int(gaps[0])
    total = np.concatenate([np.zeros(reach), np.zeros(count)])
    came = np.full(count, -1)
    best, best_at = 0.0, -1
    for place in range(count):
        here = place + reach
        before = total[here - gaps] - price
        step = int(before.argmax())
        value, origin = before[step], place - int(gaps[step])
        if place >= nearest and total[here - nearest] > best:
            best, best_at = float(total[here - nearest]), place - nearest
        if best - LEAP > value:
            value, origin = best - LEAP, best_at
        came[place] = origin
        total[here] = agreement[place] + value
    ends = total[reach:][-reach:]
    place = count - len(ends) + int(ends.argmax())
    path = []
    while place >= 0:
        path.append(place)
        place = came[place]
    return np.array(path[::-1])


def _straight(places: np.ndarray) -> np.ndarray:
    """Places of beats, those of even stretches on even grids: float64 ``(beats,)``."""
    straight = places.astype(np.float64)
    even = np.abs(np.diff(places) / BINS - 1) < EVEN
    for first, last in _runs(even):
        if last - first >= LEAST_EVEN:
            number = np.arange(last - first + 1)
            straight[first : last + 1] = number * BINS + np.median(places[first : last + 1] - number * BINS)
    return straight
