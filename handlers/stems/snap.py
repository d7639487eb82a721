"""Snapping: a take that only heard its tempo in words is stretched to it and begins with a bar.

Its beats are tracked, a line is laid through them, and the line is stretched to the tempo asked for; with
`remix.structure` every beat is moved too, from where it is (0) to where the line has it (100). Then the result is
tracked again, and the error reported. Audio is float32 ``(channels, samples)``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.audio.grid.model import Grid
from handlers.audio.grid.tempo import measure_tempo
from handlers.audio.grid.track import find_grid
from handlers.audio.stretch import warp
from handlers.stems.lengths import BEATS_A_BAR, MOST_STRETCH, bar_s, fade_s, whole_bars
from handlers.stems.params import StemsParams

TRACKED_FASTER, TRACKED_SLOWER = 0.5, 2.0
"""Periods that count as one: a tracker may tap half or double time."""
TOLERANCE = 0.005
NO_TEMPO = 1.0
"""The error of a stem in which no beat is heard: all of it."""


@dataclass(frozen=True)
class Snapped:
    """Audio on a grid."""

    audio: np.ndarray
    start: int
    """Where the first bar begins, in samples; before it lies what a loop fades into."""
    length: int
    """Samples of the whole bars."""
    tempo_bpm: float
    grid: dict[str, Any] | None
    """Beats and downbeats from `start` on; `None` where none were heard."""
    facts: Mapping[str, Any]


def snap(
    audio: np.ndarray,
    sample_rate: int,
    params: StemsParams,
    asked_bpm: float | None,
    *,
    track: Callable[[np.ndarray, int], Grid] = find_grid,
) -> Snapped:
    """Lay a take on the grid of a tempo.

    Parameters
    ----------
    audio
        All that was played; longer than what is wanted.
    sample_rate
        Hz.
    params
        Duration, `loop` and `remix.structure`.
    asked_bpm
        What the model was told; without it the tempo that is heard is kept.
    track
        Finds the beats.
    """
    heard = track(audio, sample_rate)
    beats = np.asarray(heard.beats_s, float) * sample_rate
    if not heard.has_beat or len(beats) < 2 * BEATS_A_BAR:
        return _unheard(audio, sample_rate, params, asked_bpm)
    period, offset, numbers = _line(beats)
    target_bpm = asked_bpm or round(60 * sample_rate / period, 2)
    target = 60 * sample_rate / target_bpm
    tapped = min((1.0, TRACKED_FASTER, TRACKED_SLOWER), key=lambda share: abs(np.log(period * share / target)))
    beats, numbers, period = _retap(beats, numbers, period, tapped)
    stretch = target / period
    # So far from what was asked for that stretching would be heard: left as it is, and the table says so.
    missed = abs(np.log(stretch)) > np.log(1 + MOST_STRETCH)
    step = period if missed else target
    first = round((int(heard.downbeats[0]) if len(heard.downbeats) else 0) / tapped)
    strength = ((params.remix and params.remix.structure) or 0.0) / 100
    line = offset + period * numbers
    bars = whole_bars(params.duration, target_bpm)
    length = round(bars * bar_s(target_bpm) * sample_rate)
    lead = round(fade_s(length / sample_rate, target_bpm) * sample_rate) if params.loop else 0
    goal = lead + (numbers - numbers[first]) * step
    anchors = slice(None) if strength else slice(None, None, len(line) - 1)  # A line is given by its ends.
    source = (line + strength * (beats - line))[anchors]
    result = warp(audio, sample_rate, *_spread(source, goal[anchors], audio.shape[1], lead + length))
    kept = result[:, lead : lead + length]
    found_bpm = 60 * sample_rate / period if missed else measure_tempo(kept, sample_rate, near_bpm=target_bpm).bpm
    error = abs(found_bpm / target_bpm - 1) if found_bpm else NO_TEMPO
    facts: dict[str, Any] = {
        "bars": bars,
        "stretch": round(step / period, 5),
        "heard_tempo_bpm": round(60 * sample_rate / period, 3),
        "tempo_measured_bpm": found_bpm and round(found_bpm, 3),
        "tempo_error": round(error, 6),
    }
    if error <= TOLERANCE:
        facts["tempo_bpm"] = target_bpm
    grid = None if missed else _grid(target_bpm, length / sample_rate)
    return Snapped(result, lead, length, target_bpm, grid, facts)


def _line(beats: np.ndarray) -> tuple[float, float, np.ndarray]:
    """The period and offset of the line through beats, and which beat each is; a missing one leaves a gap."""
    period = float(np.median(np.diff(beats)))
    numbers = np.concatenate([[0], np.cumsum(np.maximum(1, np.round(np.diff(beats) / period)))])
    period, offset = np.polyfit(numbers, beats, 1)
    return float(period), float(offset), numbers


def _retap(beats: np.ndarray, numbers: np.ndarray, period: float, share: float) -> tuple[np.ndarray, np.ndarray, float]:
    """Beats at another level of the same pulse: halves put one between two, doubles leave every other out."""
    if share == TRACKED_FASTER:
        between = (beats[:-1] + beats[1:]) / 2
        beats = np.insert(beats, np.arange(1, len(beats)), between)
        numbers = np.insert(2 * numbers, np.arange(1, len(numbers)), numbers[:-1] + numbers[1:])
    elif share == TRACKED_SLOWER:
        kept = numbers % 2 == 0
        beats, numbers = beats[kept], numbers[kept] // 2
    return beats, numbers, period * share


def _spread(source: np.ndarray, goal: np.ndarray, samples: int, wanted: int) -> tuple[np.ndarray, np.ndarray]:
    """Anchors from 0 to the end of what is wanted, or of what was played if that comes first."""
    factor = (goal[-1] - goal[0]) / (source[-1] - source[0])
    begin, inside = source[0] - goal[0] / factor, (goal > 0) & (goal < wanted)
    source, goal = np.append(begin, source[inside]), np.append(0.0, goal[inside])
    # What is missing at the end is missing in the result, and the table counts it.
    end = min(samples, source[-1] + (wanted - goal[-1]) / factor)
    last = wanted if end < samples else min(wanted, goal[-1] + (end - source[-1]) * factor)
    return np.append(source, end), np.append(goal, round(last))


def _unheard(audio: np.ndarray, sample_rate: int, params: StemsParams, asked_bpm: float | None) -> Snapped:
    """Without a beat there is nothing to move: whole bars of the tempo, by length alone."""
    tempo_bpm = asked_bpm or 120.0
    bars = whole_bars(params.duration, tempo_bpm)
    length = round(bars * bar_s(tempo_bpm) * sample_rate)
    facts: dict[str, Any] = {"bars": bars, "tempo_measured_bpm": None}
    if asked_bpm:
        facts["tempo_error"] = NO_TEMPO
    return Snapped(audio, 0, length, tempo_bpm, None, facts)


def _grid(tempo_bpm: float, duration_s: float) -> dict[str, Any]:
    beats = [beat * 60 / tempo_bpm for beat in range(round(duration_s * tempo_bpm / 60))]
    return {
        "version": 1,
        "tempo_bpm": tempo_bpm,
        "time_signature": "4/4",
        "duration_s": duration_s,
        "beats_s": beats,
        "downbeats_s": beats[::BEATS_A_BAR],
    }
