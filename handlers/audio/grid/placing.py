"""Placing: from a coarse grid to one that lies on the attacks, to a millisecond, and whose tempo is exact.

Around every beat a curve of steepness is read (:func:`handlers.audio.grid.onsets.attack_curve`); stretches of some beats
are each moved to where their attacks are, and a line through these shifts corrects period and phase.
"""

from __future__ import annotations

import numpy as np

from handlers.audio.grid.features import ATTACKS_PER_S
from handlers.audio.grid.onsets import EARLY_S

STRETCH_BEATS = 16
REACH_S = 0.045
_STEPS = 65
_ROUNDS = 3


def read_around(curve: np.ndarray, beats_s: np.ndarray, reach_s: float = REACH_S) -> tuple[np.ndarray, np.ndarray]:
    """Read the curve of attacks around each beat.

    Returns
    -------
    shifts_s, values
        ``(steps,)`` from ``-reach_s`` to ``reach_s``, and ``(beats, steps)``.
    """
    shifts = np.linspace(-reach_s, reach_s, _STEPS)
    places = (beats_s[:, None] + shifts) * ATTACKS_PER_S
    inside = (places >= 0) & (places < len(curve) - 1)
    places = places.clip(0, len(curve) - 1.001)
    whole = places.astype(int)
    share = places - whole
    return shifts, (curve[whole] * (1 - share) + curve[whole + 1] * share) * inside


def shift_of(shifts_s: np.ndarray, profile: np.ndarray) -> tuple[float, float]:
    """Where the mean attack is, in seconds from the beat, and how sharp it is: height over the profile's mean."""
    top = int(np.argmax(profile))
    shift = shifts_s[top]
    if 0 < top < len(profile) - 1:
        before, here, after = profile[top - 1], profile[top], profile[top + 1]
        bend = before - 2 * here + after
        if bend < 0:
            shift += 0.5 * (before - after) / bend * (shifts_s[1] - shifts_s[0])
    return float(shift), float(profile[top] - profile.mean())


def place_even(curve: np.ndarray, period_s: float, first_s: float, end_s: float) -> tuple[float, float]:
    """Correct an even grid's period and phase, in seconds.

    Parameters
    ----------
    curve
        From :func:`handlers.audio.grid.onsets.attack_curve`.
    period_s, first_s
        The coarse grid: right to 20 ms everywhere.
    end_s
        Where the recording ends.
    """
    for turn in range(_ROUNDS):
        # First coarse, in case the ends are off; then fine.
        reach = REACH_S if turn == 0 else 0.02
        number = np.arange(max(1, int((end_s - first_s) / period_s) + 1))
        shifts, values = read_around(curve, first_s + number * period_s, reach)
        overall, sharp = shift_of(shifts, values.mean(axis=0))
        if sharp <= 0:
            return period_s, first_s
        centres, moved, weight = [], [], []
        for begin in range(0, len(number), STRETCH_BEATS):
            part = values[begin : begin + STRETCH_BEATS]
            if len(part) < STRETCH_BEATS // 2 and begin:
                continue
            near = np.abs(shifts - overall) <= 0.6 * reach
            shift, height = shift_of(shifts[near], part.mean(axis=0)[near])
            if height > 0:
                centres.append(begin + (len(part) - 1) / 2)
                moved.append(shift)
                weight.append(height * len(part))
        slope, offset = fit_line(np.array(centres), np.array(moved), np.array(weight), overall)
        first_s, period_s = first_s + offset, period_s + slope
    first_s += EARLY_S
    while first_s - period_s >= 0:
        first_s -= period_s
    while first_s < -1e-9:
        first_s += period_s
    return period_s, first_s


def fit_line(places: np.ndarray, values: np.ndarray, weights: np.ndarray, middle: float) -> tuple[float, float]:
    """A line through values, ``slope, offset``, that outliers do not move (iterated weights of Cauchy)."""
    if len(places) < 3:
        return 0.0, middle
    slope, offset = 0.0, middle
    for turn in range(14):
        scale = max(0.003, 0.03 * 0.75**turn)
        away = values - (slope * places + offset)
        used = weights / (1 + (away / scale) ** 2)
        total = used.sum() + 1e-12
        x, y = (used * places).sum() / total, (used * values).sum() / total
        spread = (used * (places - x) ** 2).sum()
        slope = float((used * (places - x) * (values - y)).sum() / spread) if spread > 0 else 0.0
        offset = float(y - slope * x)
    return slope, offset
