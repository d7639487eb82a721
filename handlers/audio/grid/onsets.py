"""Onset curves: how strongly something begins at each frame, in low, mid and high bands; and the onsets themselves.

A rise in level against the maximum of neighbouring bands two frames earlier, so that vibrato is none (SuperFlux, Böck &
Widmer, DAFx 2013).
"""

from __future__ import annotations

import numpy as np
from scipy.ndimage import maximum_filter1d, uniform_filter1d

from handlers.audio.grid.features import ATTACKS_PER_S, FRAMES_PER_S, RATE, WINDOW, Features
from handlers.audio.grid.model import Onsets

LOW_HZ, HIGH_HZ = 200.0, 2500.0
LAG = 2
DEPTH_DB = 55.0
"""A rise counts from this far under the band's loud frames (95th percentile)."""
MOST_DB = 30.0
"""A rise of more counts as this."""
LOCAL_S = 6.0
"""Curves are measured against their mean over this, so that soft parts count like loud ones."""
SILENT_DBFS = -80.0
"""Under this sample peak a recording is silent: the noise of 16-bit dither and less."""
_PIECE = 16_384
NEARER = np.array([1.0, 0.75, 0.5, 0.25], np.float32)
"""What the values of power before and after a moment count, from the nearest on."""
EARLY_S = 0.0006
"""By how much the curve of attacks peaks before them, in the median over made-up music; it is put right."""
STAND_OUT, LEAST_SPREAD = 10.0, 0.1
"""A curve stands out by so many times the distance of its 10th percentile from its median, of noise once in 7 s; of made-up
music's peaks 1 to 10 in 100, of their weakest."""
LEAST_RISE_DB, LEAK = 1.5, 1e-3
"""Less is no onset: tones of a drone that beat against each other, mostly under 1 dB; of made-up music's onsets 1 in 100.
A band so far under the loudest of its third is not heard."""
_AROUND_S, _APART_S, _SAME_S = 0.1, 0.045, 0.02


def onset_curves(features: Features) -> np.ndarray:
    """Onset strength of each frame, float32 ``(3, frames)`` at `FRAMES_PER_S`: low, mid, high; about 1 in the mean.

    All zero for silence.
    """
    power = features.power
    frames = len(power)
    if features.peak < 10 ** (SILENT_DBFS / 20):
        return np.zeros((3, frames), np.float32)
    loud = np.percentile(power[:: max(1, frames // 4000)], 95, axis=0)
    floor = (np.maximum(loud, loud.max() * 1e-4) * 10 ** (-DEPTH_DB / 10)).astype(np.float32) + np.float32(1e-14)
    curves = np.zeros((3, frames), np.float32)
    for start in range(0, frames, _PIECE):
        before = min(start, LAG)
        level = 10 * np.log10(power[start - before : start + _PIECE] + floor)
        if len(level) <= LAG:
            continue
        rise = level[LAG:] - maximum_filter1d(level[:-LAG], 3, axis=1)
        np.clip(rise, 0, MOST_DB, out=rise)
        at = start - before + LAG
        for row, third in zip(curves, thirds(features), strict=True):
            row[at : at + len(rise)] = rise[:, third].mean(axis=1)
    return _even_out(curves)


def _even_out(curves: np.ndarray) -> np.ndarray:
    size = max(3, round(LOCAL_S * FRAMES_PER_S))
    local = uniform_filter1d(curves, size, axis=1, mode="nearest")
    overall = curves.mean(axis=1, keepdims=True)
    return curves / (local + 0.3 * overall + 1e-3)


def combined(curves: np.ndarray) -> np.ndarray:
    """One curve of the three, float32 ``(frames,)``."""
    return curves.mean(axis=0)


def find_onsets(features: Features, curves: np.ndarray) -> Onsets:
    """Find where something begins: where a curve stands out from what flickers around it, and something is heard to rise.

    Parameters
    ----------
    features
        For the exact places.
    curves
        From :func:`onset_curves`.
    """
    total = combined(curves)
    peak = total == maximum_filter1d(total, 2 * round(_APART_S * FRAMES_PER_S) + 1)
    mean = uniform_filter1d(total, 2 * round(_AROUND_S * FRAMES_PER_S) + 1)
    places = np.flatnonzero(peak & (total > mean + 0.5) & (total > 0.8))
    # A recording that is cut off begins nothing, though its last frames are broad.
    places = places[places / FRAMES_PER_S < features.duration_s - WINDOW / RATE / 2]
    places = places[_stand_out(curves, places)]
    places = places[_risen_db(features, places) >= LEAST_RISE_DB]
    if not len(places):
        empty = np.zeros(0)
        return Onsets(empty, empty, np.zeros(0, int))
    times = place_attacks(features, places / FRAMES_PER_S)
    strength = total[places].astype(np.float64)
    # Two rises of one attack are one onset: the stronger.
    order = np.lexsort((-strength, np.round(times, 4)))
    order = order[np.diff(times[order], prepend=-1) > _SAME_S]
    return Onsets(times[order], strength[order] / strength.max(), _loudest_band(features, places[order]))


def _stand_out(curves: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Whether one of the curves is further above its median than noise gets, by its own spread: bool ``(n,)``."""
    size = round(LOCAL_S * FRAMES_PER_S)
    found = np.zeros(len(places), bool)
    for start in range(0, curves.shape[1], size):
        here = (places >= start) & (places < start + size)
        # A short rest at the end is judged with what is before it.
        part = curves[:, max(0, min(start, curves.shape[1] - size)) : start + size]
        low, median = np.percentile(part, [10, 50], axis=1)
        near = np.clip(places[here] + np.arange(-2, 3)[:, None], 0, curves.shape[1] - 1)
        height = curves[:, near].max(axis=1) - median[:, None]
        found[here] = (height > STAND_OUT * np.maximum(median - low, LEAST_SPREAD)[:, None]).any(axis=0)
    return found


def _risen_db(features: Features, places: np.ndarray) -> np.ndarray:
    """By how many dB the third that rises most has risen around frames, each band that is heard counting alike: ``(n,)``."""
    power, last = features.power, len(features.power) - 1
    before = power[np.clip(places - 3, 0, last)]
    after = np.max([power[np.clip(places + step, 0, last)] for step in range(4)], axis=0)
    loudest = after.max(axis=1, keepdims=True, initial=0.0)
    risen = np.zeros(len(places))
    for third in thirds(features):
        here, was = after[:, third], before[:, third]
        # What leaks from a loud band into its neighbours flickers, but nobody hears it.
        heard = (
            np.maximum(here.max(axis=1, keepdims=True, initial=0.0) * LEAK, loudest * 10 ** (-DEPTH_DB / 10)) + 1e-14
        )
        rise = np.clip(10 * np.log10((here + heard) / (was + heard)), 0, MOST_DB)
        risen = np.maximum(risen, rise.mean(axis=1))
    return risen


def _loudest_band(features: Features, places: np.ndarray) -> np.ndarray:
    """In which third power rises most at frames, each octave alike: int ``(n,)``."""
    last = len(features.power) - 1
    risen = features.power[np.minimum(places + 2, last)] - features.power[np.maximum(places - 3, 0)]
    tilted = risen * (features.centres_hz / 1000).astype(np.float32)
    return np.stack([tilted[:, third].sum(axis=1) for third in thirds(features)]).argmax(axis=0)


def thirds(features: Features) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Which bands are low, mid and high, bool ``(bands,)`` each."""
    centres = features.centres_hz
    return centres < LOW_HZ, (centres >= LOW_HZ) & (centres < HIGH_HZ), centres >= HIGH_HZ


def attack_curve(features: Features) -> np.ndarray:
    """How steeply the level rises at each moment, for exact places: float32 ``(values + 1,)`` at `ATTACKS_PER_S`.

    Value n belongs to the time ``n / ATTACKS_PER_S``: decibels by which the 6 ms after it are louder than the 6 ms
    before, the nearest counting most, in all and in the highs, added.
    """
    attacks = features.attacks
    count, width = len(attacks), len(NEARER)
    # Where little but clicks is heard the 99th percentile is their tail, and the ringing before them would count.
    loud = np.maximum(np.percentile(attacks, 99, axis=0), 0.03 * attacks.max(axis=0))
    floor = np.float32(NEARER.sum()) * (loud * 1e-4 + 1e-12).astype(np.float32)
    curve = np.zeros(count + 1, np.float32)
    for start in range(0, count + 1, 4 * _PIECE):
        first = max(0, start - width)
        part = attacks[first : start + 4 * _PIECE + width]
        padded = np.pad(part, ((width, width), (0, 0)))
        here = np.arange(start - first, min(count + 1, start + 4 * _PIECE) - first)
        # The nearest count most, so that a lone attack's curve has one top and no level stretch before it.
        after = sum(weight * padded[here + width + step] for step, weight in enumerate(NEARER))
        before = sum(weight * padded[here + width - 1 - step] for step, weight in enumerate(NEARER))
        rise = 10 * np.log10((after + floor) / (before + floor))
        curve[first + here] = np.maximum(rise, 0).sum(axis=1)
    return curve


def place_attacks(features: Features, times_s: np.ndarray, within_s: float = 0.025) -> np.ndarray:
    """Move times to the steepest rise around them, ``(n,)`` float64 seconds, each by at most `within_s`."""
    curve = attack_curve(features)
    reach = round(within_s * ATTACKS_PER_S)
    centre = np.round(times_s * ATTACKS_PER_S).astype(int)
    window = np.clip(centre[:, None] + np.arange(-reach, reach + 1), 0, len(curve) - 1)
    best = curve[window].argmax(axis=1)
    found = window[np.arange(len(window)), best]
    return np.where(curve[found] > 3, found / ATTACKS_PER_S + EARLY_S, times_s).clip(0, features.duration_s)
