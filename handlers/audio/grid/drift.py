"""Drift: tempi that move. A path of tempo through the recording, and the even clock on which it stands still.

The onset curve is combed in windows of some seconds; dynamic programming finds the path of tempo through them that fits
best, free to glide, and to jump at a price. Read on the clock of that path the recording has one tempo, and all that
follows is as for any other. Whether it has to be is told by evidence: how much better the path fits than one tempo.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy import fft
from scipy.ndimage import median_filter, uniform_filter1d

from handlers.audio.grid.features import ATTACKS_PER_S, FRAMES_PER_S
from handlers.audio.grid.onsets import EARLY_S
from handlers.audio.grid.tempi import Comb

WINDOW_S, HOP_S = 9.0, 1.0
LOWEST_BPM, HIGHEST_BPM, STEP = 55.0, 220.0, 0.006
GLIDE, JUMP = 0.12, 3.0
"""What a step of tempo costs from one window to the next, and a jump to anywhere, in units of the fit's deviation."""
BAND, BANDS = 0.25, 5
"""A path's tempi are within this (logarithm) of one of so many tempi that fit on the whole."""
SHORTEST_BEAT_S = 0.15
GAIN = 1.15
"""How much better the path must fit than one tempo to be looked at. Of 145 made-up pieces of one tempo one in 100 reaches
1.17; where the tempo moves by 4 % and more it is 1.3 and more, mostly over 2."""
LEAST_CHANGE = 0.008
"""A path that moves less than this share is one tempo."""
_TEETH = np.array([1, 2, 3, 4, 6, 8])
_WEIGHTS = np.array([1.0, 1.0, 0.5, 1.0, 0.5, 0.6])


@dataclass(frozen=True)
class Clock:
    """An even clock: on it a recording whose tempo moves has one tempo."""

    even_s: np.ndarray
    """``(knots,)``: times on the even clock, increasing."""
    real_s: np.ndarray
    """``(knots,)``: the same moments in the recording."""
    change: float
    """Largest over smallest tempo, less one."""
    pulse_s: float
    """Between pulses that can be heard, on the even clock."""

    def warp(self, even_s: np.ndarray | float) -> np.ndarray:
        """From times on the even clock to times in the recording."""
        return _through(even_s, self.even_s, self.real_s)

    def unwarp(self, real_s: np.ndarray | float) -> np.ndarray:
        """The other way."""
        return _through(real_s, self.real_s, self.even_s)

    def straighten(self, curve: np.ndarray) -> np.ndarray:
        """A curve read on the even clock, ``(frames,)`` at the same rate."""
        count = int(self.unwarp(len(curve) / FRAMES_PER_S) * FRAMES_PER_S)
        times = self.warp(np.arange(count) / FRAMES_PER_S) * FRAMES_PER_S
        return np.interp(times, np.arange(len(curve)), curve).astype(np.float32)


def _through(times: np.ndarray | float, given: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Linear between knots, and on with the last slope beyond them."""
    inside = np.interp(times, given, wanted)
    slope = (wanted[-1] - wanted[-2]) / (given[-1] - given[-2])
    return np.where(times > given[-1], wanted[-1] + (times - given[-1]) * slope, inside)


def find_clock(curve: np.ndarray) -> Clock | None:
    """Find the even clock of a recording; None for less than two windows.

    Parameters
    ----------
    curve
        Onset strength ``(frames,)`` at `FRAMES_PER_S`.
    """
    centres_s, tempi, fit = tempogram(curve)
    if len(centres_s) < int(WINDOW_S / HOP_S):
        return None
    path = tempi[_best_of_bands(fit)]
    length_s = len(curve) / FRAMES_PER_S
    knots = np.concatenate([[0.0], centres_s, [length_s]])
    pace = np.concatenate([path[:1], path, path[-1:]])
    middle = float(np.median(path))
    fine = np.arange(0, length_s + 0.25, 0.25)
    speed = np.interp(fine, knots, pace) / middle
    even = np.concatenate([[0.0], np.cumsum((speed[1:] + speed[:-1]) / 2 * np.diff(fine))])
    return Clock(even, fine, float(path.max() / path.min() - 1), 30 / middle)


def _best_of_bands(fit: np.ndarray) -> np.ndarray:
    """The best path that stays within a band of tempi, so that it does not leap to a multiple: ``(windows,)`` int."""
    mean = fit.mean(axis=0)
    width = round(BAND / STEP)
    best, found = -np.inf, np.zeros(len(fit), int)
    waiting = mean.copy()
    for _ in range(BANDS):
        centre = int(np.argmax(waiting))
        first, last = max(0, centre - width), min(len(mean), centre + width + 1)
        waiting[max(0, centre - width // 2) : centre + width // 2 + 1] = -1
        path = first + best_path(fit[:, first:last])
        total = float(fit[np.arange(len(fit)), path].sum())
        if total > best:
            best, found = total, path
    return found


def tempogram(curve: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How well each tempo fits each window.

    Returns
    -------
    centres_s, tempi_bpm, fit
        ``(windows,)``, ``(tempi,)`` and ``(windows, tempi)``.
    """
    size, hop = round(WINDOW_S * FRAMES_PER_S), round(HOP_S * FRAMES_PER_S)
    tempi = np.exp(np.arange(np.log(LOWEST_BPM), np.log(HIGHEST_BPM), STEP))
    if len(curve) < size + hop:
        return np.zeros(0), tempi, np.zeros((0, len(tempi)))
    frames = np.lib.stride_tricks.sliding_window_view(curve, size)[::hop]
    padded = fft.next_fast_len(4 * size, real=True)
    bins = tempi[:, None] / 60 * _TEETH * padded / FRAMES_PER_S
    whole = bins.astype(int)
    share = (bins - whole).astype(np.float32)
    window = np.hanning(size).astype(np.float32)
    fit = np.zeros((len(frames), len(tempi)), np.float32)
    for start in range(0, len(frames), 64):
        part = frames[start : start + 64]
        part = (part - part.mean(axis=1, keepdims=True)) * window
        spectrum = np.abs(fft.rfft(part, padded, axis=1))
        value = spectrum[:, whole] * (1 - share) + spectrum[:, whole + 1] * share
        power = np.sqrt((part**2).sum(axis=1, keepdims=True)) + 1e-6
        fit[start : start + 64] = value @ _WEIGHTS.astype(np.float32) / power
    return (np.arange(len(frames)) * hop + size / 2) / FRAMES_PER_S, tempi, fit


def best_path(fit: np.ndarray) -> np.ndarray:
    """The path through ``(windows, tempi)`` that fits best, by dynamic programming: ``(windows,)`` int."""
    count, states = fit.shape
    gain = fit / (fit.std() + 1e-9)
    reach = 8
    total = gain[0].copy()
    came = np.zeros((count, states), np.int32)
    moves = np.arange(-reach, reach + 1)
    price = GLIDE * np.abs(moves)
    for number in range(1, count):
        padded = np.pad(total, reach, constant_values=-1e9)
        near = np.lib.stride_tricks.sliding_window_view(padded, 2 * reach + 1) - price
        step = near.argmax(axis=1)
        value = near[np.arange(states), step]
        origin = np.arange(states) + moves[step]
        leap = int(np.argmax(total))
        leaps = total[leap] - JUMP > value
        came[number] = np.where(leaps, leap, origin)
        total = np.where(leaps, total[leap] - JUMP, value) + gain[number]
    path = np.zeros(count, int)
    path[-1] = int(np.argmax(total))
    for number in range(count - 1, 0, -1):
        path[number - 1] = came[number, path[number]]
    return path


def follow(
    curve: np.ndarray,
    rate: float,
    pulses_s: np.ndarray,
    *,
    reach_s: float,
    step_s: float,
    stray: float,
    moves: int = 8,
) -> np.ndarray:
    """Shift each pulse to where something happens, neighbours alike, by dynamic programming: ``(pulses,)`` seconds.

    Parameters
    ----------
    curve, rate
        What happens when, ``(values,)`` at `rate` a second.
    pulses_s
        Where pulses are expected, in the recording.
    reach_s, step_s
        How far a pulse may be shifted, and in which steps.
    stray
        What one step more or less than the pulse before costs, in units of the curve.
    moves
        Steps of difference, at most.
    """
    count = round(reach_s / step_s)
    shifts = step_s * np.arange(-count, count + 1)
    values = np.interp((pulses_s[:, None] + shifts).reshape(-1) * rate, np.arange(len(curve)), curve, 0, 0)
    values = values.reshape(len(pulses_s), -1)
    price = stray * np.abs(np.arange(-moves, moves + 1))
    total = values[0].copy()
    came = np.zeros(values.shape, np.int32)
    states = np.arange(values.shape[1])
    for number in range(1, len(values)):
        near = np.lib.stride_tricks.sliding_window_view(np.pad(total, moves, constant_values=-1e9), 2 * moves + 1)
        near = near - price
        came[number] = states + near.argmax(axis=1) - moves
        total = near.max(axis=1) + values[number]
    place = int(np.argmax(total))
    path = np.zeros(len(values), int)
    for number in range(len(values) - 1, -1, -1):
        path[number] = place
        place = came[number, place]
    return shifts[path]


def lock(clock: Clock, curve: np.ndarray) -> Clock:
    """Correct a clock, whose errors add up, by the pulses that can be heard: by up to 0.4 s, hardly at once."""
    pulses = np.arange(0.0, clock.even_s[-1], clock.pulse_s)
    expected = clock.warp(pulses)
    shift = follow(curve, FRAMES_PER_S, expected, reach_s=0.4, step_s=0.004, stray=0.5)
    real = expected + uniform_filter1d(shift, 5, mode="nearest")
    # Time does not stand still, however pulses are heard.
    return replace(clock, even_s=pulses, real_s=_apart(real, 0.3 * clock.pulse_s))


def _apart(times_s: np.ndarray, least_s: float) -> np.ndarray:
    """Times put off where they follow too soon."""
    even = least_s * np.arange(len(times_s))
    return np.maximum.accumulate(times_s - even) + even


def moving_clock(curve: np.ndarray) -> Clock | None:
    """The even clock of a recording whose tempo moves; None where one tempo fits as well.

    Parameters
    ----------
    curve
        Onset strength ``(frames,)`` at `FRAMES_PER_S`.
    """
    clock = find_clock(curve)
    if clock is None or clock.change < LEAST_CHANGE:
        return None
    locked = lock(clock, curve)
    return locked if evidence(curve, locked.straighten(curve)) >= GAIN else None


def place_moving(curve: np.ndarray, beats_s: np.ndarray) -> np.ndarray:
    """Move beats, right to 45 ms, onto their attacks, neighbours alike: ``(beats,)`` seconds.

    `curve` is that of attacks, see :func:`handlers.audio.grid.onsets.attack_curve`.
    """
    shift = follow(curve, ATTACKS_PER_S, beats_s, reach_s=0.045, step_s=0.0015, stray=1.5)
    placed = beats_s + EARLY_S + uniform_filter1d(median_filter(shift, 3, mode="nearest"), 3, mode="nearest")
    # Where the clock leaps, shifts may cross; beats do not.
    return _apart(placed, SHORTEST_BEAT_S)


def evidence(curve: np.ndarray, straight: np.ndarray) -> float:
    """How much better one tempo fits a straightened curve than the curve as it is, 1 being as well."""
    tempi = np.arange(LOWEST_BPM, HIGHEST_BPM, 0.01)
    return float(Comb(straight).fit(tempi).max() / (Comb(curve).fit(tempi).max() + 1e-9))


def split(beats_s: np.ndarray, tolerance_s: float = 0.01) -> list[int]:
    """Beats at which the tempo changes: between them, straight lines are nowhere more than `tolerance_s` off.

    Returns
    -------
    edges
        Indices of beats, the first 0 and the last the last beat.
    """
    waiting = [(0, len(beats_s) - 1)]
    found = {0, len(beats_s) - 1}
    while waiting:
        first, last = waiting.pop()
        if last - first < 8:
            continue
        line = np.interp(np.arange(first, last + 1), [first, last], beats_s[[first, last]])
        away = np.abs(beats_s[first : last + 1] - line)
        place = int(np.argmax(away))
        if away[place] > tolerance_s and 0 < place < last - first:
            found.add(first + place)
            waiting += [(first, first + place), (first + place, last)]
    return sorted(found)
