"""Snapping: a take that only heard its tempo in words is stretched to it and begins with a bar.

Its beats are tracked, a line is laid through them, and the line is stretched to the tempo asked for; with
`remix.structure` every beat is moved too, from where it is (0) to where the line has it (100). Then the result is
tracked again, and the error reported. Audio is float32 ``(channels, samples)``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.audio.grid.track import find_grid
from handlers.audio.stretch import warp
from handlers.stems.lengths import BEATS_A_BAR, MOST_STRETCH, bar_s, fade_s, whole_bars
from handlers.stems.params import StemsParams

TRACKED_FASTER, TRACKED_SLOWER = 0.5, 2.0
"""Periods that count as one: a tracker may tap half or double time."""
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


def snap(audio: np.ndarray, sample_rate: int, params: StemsParams, asked_bpm: float | None) -> Snapped:
    """Lay a take on the grid of a tempo.

    Parameters
    ----------
    audio
        All that was played; longer than what is wanted.
    sample_rate
        Hz.
    params
        Duration, `tempo`, `loop` and `remix.structure`.
    asked_bpm
        What the model was told; without it the tempo that is heard is kept.
    """
    heard = find_grid(audio, sample_rate)
    beats = np.asarray(heard.beats_s, float) * sample_rate
    if not heard.has_beat or len(beats) < 2 * BEATS_A_BAR:
        return _unheard(audio, sample_rate, params, asked_bpm)
    period, offset, numbers = _line(beats)
    target_bpm = asked_bpm or round(60 * sample_rate / period, 2)
    target = 60 * sample_rate / target_bpm
    tapped = min((1.0, TRACKED_FASTER, TRACKED_SLOWER), key=lambda share: abs(np.log(period * share / target)))
    beats, numbers, period = _retap(beats, numbers, period, tapped)
    stretch = target / (period * 1.0)
    measured_bpm = 60 * sample_rate / period
    if abs(np.log(stretch)) > np.log(1 + MOST_STRETCH):
        # So far from what was asked for that stretching would be heard; the table says so.
        stretch, target = 1.0, period
    first = _first_bar(heard.downbeats, tapped)
    strength = (params.remix.structure or 0.0) / 100 if params.remix else 0.0
    line = offset + period * numbers
    source = line + strength * (beats - line)
    length = round(whole_bars(params.duration, target_bpm) * bar_s(target_bpm) * sample_rate)
    lead = round(fade_s(length / sample_rate, target_bpm) * sample_rate) if params.loop else 0
    goal = lead + (numbers - numbers[first]) * target
    laid, goal = _spread(source, goal, stretch, audio.shape[1], lead + length)
    result = warp(audio, sample_rate, laid, goal)
    again = find_grid(result[:, lead:], sample_rate, tempo_bpm=target_bpm) if result.shape[1] > lead else heard
    found_bpm = again.tempo_bpm
    error = abs(found_bpm / target_bpm - 1) if found_bpm else NO_TEMPO
    facts: dict[str, Any] = {
        "bars": whole_bars(params.duration, target_bpm),
        "stretch": round(stretch, 5),
        "heard_tempo_bpm": round(measured_bpm, 3),
        "tempo_measured_bpm": found_bpm and round(found_bpm, 3),
        "tempo_error": round(error, 6),
        "structure": round(100 * strength),
    }
    if error <= 0.005:
        facts["tempo_bpm"] = target_bpm
    return Snapped(result, lead, length, target_bpm, _grid(target_bpm, length / sample_rate), facts)


def _line(beats: np.ndarray) -> tuple[float, float, np.ndarray]:
    """The period and offset of the line through beats, and which beat each is; a beat that is missing leaves a gap."""
    period = float(np.median(np.diff(beats)))
    numbers = np.concatenate([[0], np.cumsum(np.maximum(1, np.round(np.diff(beats) / period)))])
    period, offset = np.polyfit(numbers, beats, 1)
    return float(period), float(offset), numbers


def _retap(
    beats: np.ndarray, numbers: np.ndarray, period: float, share: float
) -> tuple[np.ndarray, np.ndarray, float]:
    """Beats at another level of the same pulse: halves put one between two, doubles leave every other out."""
    if share == TRACKED_FASTER:
        between = (beats[:-1] + beats[1:]) / 2
        beats = np.insert(beats, np.arange(1, len(beats)), between)
        numbers = np.insert(2 * numbers, np.arange(1, len(numbers)), numbers[:-1] + numbers[1:])
    elif share == TRACKED_SLOWER:
        kept = numbers % 2 == 0
        beats, numbers = beats[kept], numbers[kept] // 2
    return beats, numbers, period * share


def _first_bar(downbeats: np.ndarray, share: float) -> int:
    """The first beat of a bar, as an index into the beats as they are tapped."""
    first = int(downbeats[0]) if len(downbeats) else 0
    return round(first / share)


def _spread(
    source: np.ndarray, goal: np.ndarray, stretch: float, samples: int, wanted: int
) -> tuple[np.ndarray, np.ndarray]:
    """Anchors from 0 to the end of what is wanted, or of what was played if that comes first."""
    begin = source[0] - goal[0] / stretch
    inside = (goal > 0) & (goal < wanted)
    source, goal = source[inside], goal[inside]
    if not len(goal):
        source, goal = np.array([begin]), np.array([0.0])
    end = source[-1] + (wanted - goal[-1]) / stretch
    if end > samples:
        # Too short: what there is, and the table counts what is missing.
        wanted = goal[-1] + (samples - source[-1]) * stretch
        end = samples
    start = source[0] - goal[0] / stretch
    return np.concatenate([[start], source, [end]]), np.concatenate([[0.0], goal, [float(round(wanted))]])


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
