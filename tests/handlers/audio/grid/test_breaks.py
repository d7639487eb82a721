"""Breaks: beats go on where the music goes on, after a pause or a bar cut short, and stay where nothing breaks."""

from __future__ import annotations

import numpy as np
import pytest

from handlers.audio.grid.breaks import clock_through_breaks
from handlers.audio.grid.features import features_of
from handlers.audio.grid.onsets import onset_curves

RATE = 22_050
BEAT_S = 0.5
_time = np.arange(4000) / RATE
_rng = np.random.default_rng(2)
KICK = 0.6 * np.sin(2 * np.pi * (50 * _time + 12 * (1 - np.exp(-30 * _time)))) * np.exp(-12 * _time)
HAT = 0.15 * np.diff(_rng.standard_normal(4001)) * np.exp(-60 * _time)


def play(beats_s: np.ndarray) -> np.ndarray:
    """Onset curves of a kick on each beat, and a hat half a beat after it."""
    audio = np.zeros(round((beats_s[-1] + 1) * RATE), np.float32)
    for beat in beats_s:
        for sound, late in ((KICK, 0.0), (HAT, BEAT_S / 2)):
            place = round((beat + late) * RATE)
            audio[place : place + 4000] += sound[: len(audio) - place].astype(np.float32)
    return onset_curves(features_of([audio[None]], RATE))


def worst_s(clock, beats_s: np.ndarray) -> float:
    """How far true beats are from the nearest whole beat of a clock, at most."""
    number = clock.unwarp(beats_s) / BEAT_S
    number = number - number[0]
    return float(np.abs(number - np.round(number)).max() * BEAT_S)


@pytest.mark.parametrize("lost", [0.35, 0.5, 1.25], ids=lambda lost: f"{lost} beats more")
def test_beats_go_on_after_a_pause(lost: float) -> None:
    beats = 0.3 + BEAT_S * np.arange(120)
    beats[70:] += lost * BEAT_S
    clock = clock_through_breaks(play(beats), None, 60 / BEAT_S, 0.3)
    assert clock is not None
    assert worst_s(clock, beats) < 0.02


def test_beats_go_on_after_a_beat_cut_short() -> None:
    beats = 0.3 + BEAT_S * np.arange(120)
    beats[40:] -= 0.45 * BEAT_S
    clock = clock_through_breaks(play(beats), None, 60 / BEAT_S, float(beats[-1] % BEAT_S))
    assert clock is not None
    # The beat that was cut may be left out.
    assert worst_s(clock, np.delete(beats, [39, 40])) < 0.02


def test_a_grid_that_holds_is_left_alone() -> None:
    beats = 0.3 + BEAT_S * np.arange(120)
    assert clock_through_breaks(play(beats), None, 60 / BEAT_S, 0.3) is None


def test_a_fill_and_a_silent_bar_are_no_break() -> None:
    beats = 0.3 + BEAT_S * np.arange(120)
    late = beats[56:60] + np.array([0.12, 0.2, 0.2, 0.12])
    played = np.concatenate([beats[:56], late, beats[60:80], beats[84:]])
    assert clock_through_breaks(play(played), None, 60 / BEAT_S, 0.3) is None


def test_short_pieces_have_none() -> None:
    assert clock_through_breaks(play(0.3 + BEAT_S * np.arange(20)), None, 60 / BEAT_S, 0.3) is None
