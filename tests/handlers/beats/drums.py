"""Drum patterns whose every beat is known, and the F-measure by which found beats are judged.

float32 of shape ``(2, samples)`` at 44.1 kHz, full scale ±1; times in seconds.
"""

from __future__ import annotations

import numpy as np

SAMPLE_RATE = 44_100
TOLERANCE_S = 0.07
"""The window of the beat F-measure (Davies 2009)."""


def beat_times(tempo_bpm: float, duration_s: float, offset_s: float = 0.3) -> np.ndarray:
    """Every beat of a constant tempo, the first at `offset_s`."""
    return np.arange(offset_s, duration_s, 60 / tempo_bpm)


def clicks(beats_s: np.ndarray, duration_s: float) -> np.ndarray:
    """A 1 kHz click on each time."""
    return _stereo(_place(_click(), beats_s, duration_s))


def drum_pattern(beats_s: np.ndarray, duration_s: float) -> np.ndarray:
    """Kick on every beat, snare on every second, a hat between beats, over a held chord."""
    half = np.diff(beats_s, append=2 * beats_s[-1] - beats_s[-2]) / 2
    sound = _place(_kick(), beats_s, duration_s) + _place(_snare(), beats_s[1::2], duration_s)
    sound += _place(_hat(), beats_s + half, duration_s)
    time_s = np.arange(len(sound)) / SAMPLE_RATE
    chord = sum(np.sin(2 * np.pi * hz * time_s) for hz in (110.0, 138.6, 164.8))
    return _stereo(sound + 0.04 * chord)


def f_measure(found_s: np.ndarray, true_s: np.ndarray) -> float:
    """Harmonic mean of precision and recall, each true beat matched at most once, within `TOLERANCE_S`."""
    matched, next_found = 0, 0
    for true in true_s:
        while next_found < len(found_s) and found_s[next_found] < true - TOLERANCE_S:
            next_found += 1
        if next_found < len(found_s) and found_s[next_found] <= true + TOLERANCE_S:
            matched, next_found = matched + 1, next_found + 1
    return 2 * matched / (len(found_s) + len(true_s)) if matched else 0.0


def median_offset_s(found_s: np.ndarray, true_s: np.ndarray) -> float:
    """How late the found beats are, in the median, over those within the window."""
    away = [found - true_s[np.argmin(np.abs(true_s - found))] for found in found_s]
    return float(np.median([offset for offset in away if abs(offset) <= TOLERANCE_S]))


def _place(sound: np.ndarray, times_s: np.ndarray, duration_s: float) -> np.ndarray:
    track = np.zeros(round(duration_s * SAMPLE_RATE) + len(sound))
    for time_s in times_s:
        start = round(time_s * SAMPLE_RATE)
        if start + len(sound) <= len(track):
            track[start : start + len(sound)] += sound
    return track[: round(duration_s * SAMPLE_RATE)]


def _stereo(sound: np.ndarray) -> np.ndarray:
    return np.repeat(sound.astype(np.float32)[None], 2, axis=0)


def _click() -> np.ndarray:
    time_s = np.arange(round(0.03 * SAMPLE_RATE)) / SAMPLE_RATE
    return 0.7 * np.sin(2 * np.pi * 1000 * time_s) * np.exp(-time_s / 0.008)


def _kick() -> np.ndarray:
    time_s = np.arange(round(0.25 * SAMPLE_RATE)) / SAMPLE_RATE
    return 0.5 * np.sin(2 * np.pi * (50 * time_s + 3.6 * (1 - np.exp(-time_s / 0.03)))) * np.exp(-time_s / 0.09)


def _snare() -> np.ndarray:
    time_s = np.arange(round(0.15 * SAMPLE_RATE)) / SAMPLE_RATE
    rattle = np.random.default_rng(1).standard_normal(len(time_s))
    return (0.15 * rattle + 0.2 * np.sin(2 * np.pi * 190 * time_s)) * np.exp(-time_s / 0.05)


def _hat() -> np.ndarray:
    time_s = np.arange(round(0.05 * SAMPLE_RATE)) / SAMPLE_RATE
    return 0.06 * np.diff(np.random.default_rng(2).standard_normal(len(time_s) + 1)) * np.exp(-time_s / 0.012)
