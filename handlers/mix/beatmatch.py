"""Beat-matching: two pieces overlap for some bars, downbeat on downbeat, while the tempo of one becomes that of the other.

Only the overlap is stretched; before and after it both pieces are their own samples. Inside it every beat of either
piece is moved to a common beat, whose distance goes from the leaving piece's to the entering piece's, or stays the
leaving piece's. The bass changes hands on a downbeat in the middle, so that two kicks never add up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from handlers.audio.crossfade import gains
from handlers.audio.crossover import lows, reach
from handlers.audio.formats import BLOCK
from handlers.audio.stretch import JOIN_S, MARGIN_S, warp
from handlers.mix.bars import Bars

REACH = 0.08
"""Tempi may differ by so much: beyond it stretched drums are heard."""
PHRASES = ((16, 8.0), (8, 6.0), (4, 3.0))
"""A piece is best left at a bar that begins a phrase of so many: worth as much as so many bars of it, ..."""
GIVEN_UP = 1 / 8
"""... but no more of the piece is given up for it than this share: a short passage ends with what it leads to."""
SWAP_BEATS = 0.25
"""How long the bass takes to change hands, before its downbeat."""


@dataclass(frozen=True)
class Match:
    """An overlap. Positions in samples at the mix's rate."""

    leaving: tuple[float, ...]
    """Beats of the leaving piece, in it; the first is where it begins to be stretched, the last where it is gone."""
    entering: tuple[float, ...]
    """The same number of beats of the entering piece, in it."""
    target: tuple[float, ...]
    """Where both go: from 0."""
    swap: float
    """Where the bass changes hands, counted like `target`."""

    @property
    def frames(self) -> int:
        """Length of the overlap."""
        return round(self.target[-1])


def match(leaving: Bars, entering: Bars, bars: int, *, earliest: float, hold: bool = False) -> Match | str:
    """Find where two pieces overlap.

    Parameters
    ----------
    leaving, entering
        Their beats.
    bars
        Length of the overlap in bars of the leaving piece.
    earliest
        The leaving piece plays on its own at least to this sample of it.
    hold
        The overlap keeps the leaving piece's tempo, instead of going over into the other's.

    Returns
    -------
    match
        Or, where there is none, why.
    """
    begin = _leave(leaving, bars, earliest)
    if begin is None:
        return f"the piece before has no {bars} whole bars left"
    if len(entering.downbeats) <= bars:
        return f"the piece after has {len(entering.downbeats) - 1} whole bars, not {bars}"
    out = leaving.beats[leaving.downbeats[begin] : leaving.downbeats[begin + bars] + 1]
    into = entering.beats[entering.downbeats[0] : entering.downbeats[bars] + 1]
    if len(out) != len(into):
        return f"{bars} bars are {len(out) - 1} beats before and {len(into) - 1} after: another meter"
    ratio = float(np.diff(out).mean() / np.diff(into).mean())
    if abs(ratio - 1) > REACH:
        return f"its tempo is {100 * (ratio - 1):+.1f} % away, more than the {100 * REACH:g} % that may be stretched"
    beats = len(out) - 1
    blend = (np.arange(beats) + 0.5) / beats
    steps = np.diff(out) if hold else np.diff(out) * (1 - blend) + np.diff(into) * blend
    target = np.concatenate([[0.0], np.cumsum(steps)])
    middle = leaving.downbeats[begin + (bars + 1) // 2] - leaving.downbeats[begin]
    return Match(tuple(out), tuple(into), tuple(target), float(target[middle]))


def _leave(bars: Bars, count: int, earliest: float) -> int | None:
    """The number of the downbeat at which a piece is best left for an overlap of `count` bars."""
    last = len(bars.downbeats) - 1 - count
    candidates = [number for number in range(last + 1) if bars.beats[bars.downbeats[number]] >= earliest]
    if not candidates:
        return None

    def worth(number: int) -> float:
        phrase = next((value for size, value in PHRASES if number and number % size == 0), 0.0)
        return number + (phrase if last - number <= GIVEN_UP * len(bars.downbeats) else 0.0)

    return max(candidates, key=worth)


def span_of(points: tuple[float, ...], sample_rate: int) -> tuple[int, int]:
    """From where to where a piece is needed to be warped by :func:`overlap`: its points and a margin."""
    margin = round((MARGIN_S + JOIN_S) * sample_rate) + 2
    return round(points[0]) - margin, round(points[-1]) + margin


def overlap(
    found: Match,
    leaving: Callable[[], np.ndarray],
    entering: Callable[[], np.ndarray],
    sample_rate: int,
    *,
    bass_swap: bool,
) -> Iterator[np.ndarray]:
    """Play an overlap, block by block.

    Parameters
    ----------
    found
        From :func:`match`.
    leaving, entering
        Read each piece's :func:`span_of` its points, ``(channels, samples)``; called in turn, for a long overlap is a lot
        of memory: never more than three of these lie in it.
    sample_rate
        Hz.
    bass_swap
        Below 180 Hz only one of the two is heard at a time.

    Yields
    ------
    audio
        ``(channels, samples)``, `found.frames` in all. They continue the leaving piece, and the entering piece continues
        them, sample on sample.
    """
    join = round(JOIN_S * sample_rate)
    fade_out, fade_in = gains(join, "linear")
    span = leaving()
    out = onto(found.leaving, found, span, sample_rate)
    own = span[:, round(found.leaving[0]) - span_of(found.leaving, sample_rate)[0] :][:, :join]
    out[:, :join] = own * fade_out + out[:, :join] * fade_in
    del span, own
    span = entering()
    into = onto(found.entering, found, span, sample_rate)
    own = span[:, : round(found.entering[-1]) - span_of(found.entering, sample_rate)[0]][:, -join:]
    into[:, -join:] = into[:, -join:] * fade_out + own * fade_in
    del span, own
    for start in range(0, found.frames, BLOCK):
        place = np.arange(start, min(start + BLOCK, found.frames))
        block = slice(start, start + len(place))
        down, up = gains(found.frames, start=start, count=len(place))
        mixed = out[:, block] * down + into[:, block] * up
        if bass_swap:
            # The lows follow a curve of their own instead: what that is more or less than the other is added.
            swap = SWAP_BEATS * found.frames / (len(found.target) - 1)
            handed = np.clip((place - found.swap + swap) / swap, 0.0, 1.0).astype(np.float32)
            mixed += _lows(out, block, sample_rate) * (1 - handed - down)
            mixed += _lows(into, block, sample_rate) * (handed - up)
        yield mixed


def onto(points: tuple[float, ...], found: Match, span: np.ndarray, sample_rate: int) -> np.ndarray:
    """Move a piece's beats (`span`: its :func:`span_of` them) onto the common ones; where they are there already, its
    samples are left alone.
    """
    first = span_of(points, sample_rate)[0]
    if np.ptp(np.asarray(points) - found.target) < 1.0:
        start = round(points[0]) - first
        return span[:, start : start + found.frames].copy()
    return warp(span, sample_rate, [point - first for point in points], found.target)


def _lows(audio: np.ndarray, span: slice, sample_rate: int) -> np.ndarray:
    first = max(0, span.start - reach(sample_rate))
    made = lows(audio[:, first : span.stop + reach(sample_rate)], sample_rate)[:, span.start - first :]
    return made[:, : min(span.stop, audio.shape[1]) - span.start]
