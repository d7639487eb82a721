"""Snapping to bars: the tempo is reached and verified, beats come where the grid has them, bars are whole."""

from __future__ import annotations

import numpy as np
import pytest

from handlers.audio.grid.model import Grid, Onsets
from handlers.stems.params import StemsParams
from handlers.stems.snap import Snapped, snap
from tests.handlers.stems.players import RATE

DURATION = 8.0
HIT = (np.random.default_rng(0).standard_normal(400) * np.exp(-np.arange(400) / 80)).astype(np.float32)
ON_THE_BEAT_S = 0.003


def played(beats_s: np.ndarray, duration_s: float) -> np.ndarray:
    """A hit on every beat over a quiet chord, the same in both channels but for the level."""
    time = np.arange(round(duration_s * RATE)) / RATE
    audio = 0.02 * np.sum([np.sin(2 * np.pi * hertz * time) for hertz in (110, 165, 220)], axis=0).astype(np.float32)
    for place in np.round(beats_s * RATE).astype(int):
        if place + len(HIT) <= len(audio):
            audio[place : place + len(HIT)] += 0.3 * HIT
    return np.stack([audio, 0.5 * audio])


def tracker(beats_s: np.ndarray, first_downbeat: int = 0):
    """A tracker that knows the beats."""
    nothing = np.zeros(0)

    def track(audio: np.ndarray, sample_rate: int) -> Grid:
        inside = beats_s[beats_s < audio.shape[1] / sample_rate]
        return Grid(
            has_beat=len(inside) > 0, confidence=1.0, tempo_bpm=None, tempo_confidence=1.0, alternatives=(),
            beats_s=inside, downbeats=np.arange(first_downbeat, len(inside), 4), meter="4/4", meter_confidence=1.0,
            steady=True, segments=(), onsets=Onsets(nothing, nothing, nothing.astype(int)),
        )  # fmt: skip

    return track


def take(tempo_bpm: float, start_s: float = 0.0, jitter_s: float = 0.0, duration_s: float = 12.0) -> np.ndarray:
    beats_s = np.arange(start_s, duration_s, 60 / tempo_bpm)
    return beats_s + jitter_s * np.random.default_rng(1).uniform(-1, 1, len(beats_s)) * (np.arange(len(beats_s)) > 0)


def snapped(beats_s: np.ndarray, asked_bpm: float | None, first_downbeat: int = 0, **changes: object) -> Snapped:
    params = StemsParams.model_validate({"style": "techno/bed", "duration": DURATION, "snap": "bars", **changes})
    return snap(played(beats_s, 12.0), RATE, params, asked_bpm, track=tracker(beats_s, first_downbeat))


def off_the_grid_s(made: Snapped, tempo_bpm: float) -> np.ndarray:
    """How far the hit near each beat of the grid is from it."""
    audio, off = made.audio[0], []
    for place in np.arange(1, made.length * tempo_bpm / 60 / RATE - 1) * 60 / tempo_bpm * RATE + made.start:
        first = round(place) - 2500
        fit = np.abs(np.correlate(audio[first : first + 5000 + len(HIT)], HIT, "valid"))
        off.append((first + int(np.argmax(fit)) - place) / RATE)
    return np.array(off)


@pytest.mark.parametrize(("tempo_bpm", "asked_bpm"), [(123.0, 126.0), (128.0, 120.0), (126.0, 126.0)])
def test_a_take_is_stretched_to_the_tempo_and_cut_to_whole_bars(tempo_bpm: float, asked_bpm: float):
    made = snapped(take(tempo_bpm, 0.21), asked_bpm)
    bars = round(DURATION * asked_bpm / 240)
    assert made.facts["bars"] == bars
    assert (made.start, made.length) == (0, round(bars * 240 / asked_bpm * RATE)) and made.audio.shape[1] == made.length
    assert np.abs(off_the_grid_s(made, asked_bpm)).max() < ON_THE_BEAT_S
    assert made.facts["stretch"] == pytest.approx(tempo_bpm / asked_bpm, rel=1e-4)
    assert made.facts["tempo_error"] < 0.005 and made.facts["tempo_bpm"] == asked_bpm
    assert made.facts["tempo_measured_bpm"] == pytest.approx(asked_bpm, rel=0.005)
    assert made.grid is not None and len(made.grid["downbeats_s"]) == bars


def test_it_begins_with_the_first_bar():
    beats_s = take(120.0, 0.1)
    made = snapped(beats_s, 120.0, first_downbeat=3)
    assert np.abs(off_the_grid_s(made, 120.0)).max() < ON_THE_BEAT_S
    original = played(beats_s, 12.0)[:, round(1.6 * RATE) :][:, : made.length]
    assert np.corrcoef(original[0], made.audio[0])[0, 1] > 0.99, "nothing is stretched where the tempo is right"


@pytest.mark.parametrize("tracked", [63.0, 252.0])
def test_half_and_double_time_are_the_same_tempo(tracked: float):
    made = snapped(take(tracked, 0.0), 126.0)
    assert made.facts["stretch"] == pytest.approx(1.0, abs=1e-3)
    assert made.facts["tempo_error"] < 0.005


def test_both_channels_stay_together():
    made = snapped(take(123.0), 126.0, remix={"structure": 100})
    assert np.abs(made.audio[0] - 2 * made.audio[1]).max() < 1e-3


def test_structure_moves_beats_to_the_grid_by_as_much_as_is_asked():
    loose = take(126.0, 0.0, jitter_s=0.025)
    spread = []
    for structure in (0, 25, 50, 75, 100):
        off = off_the_grid_s(snapped(loose, 126.0, remix={"structure": structure}), 126.0)
        spread.append(float(np.sqrt(np.mean(off**2))))
    assert spread == sorted(spread, reverse=True)
    assert spread[0] > 0.01 and spread[-1] < 0.002
    assert spread[2] == pytest.approx(spread[0] / 2, rel=0.2)


def test_a_tempo_too_far_off_is_not_stretched_and_fails_the_row():
    made = snapped(take(100.0), 126.0)
    assert made.facts["stretch"] == 1.0 and made.grid is None and "tempo_bpm" not in made.facts
    assert made.facts["tempo_error"] == pytest.approx(1 - 100 / 126, abs=1e-3)


def test_without_a_beat_whole_bars_are_cut_and_the_row_fails():
    made = snapped(np.zeros(0), 120.0)
    assert made.length == round(8.0 * RATE) and made.grid is None
    assert made.facts["tempo_error"] == 1.0 and made.facts["tempo_measured_bpm"] is None


def test_a_take_that_is_too_short_comes_out_too_short():
    beats_s = take(123.0, duration_s=12.0)
    params = StemsParams.model_validate({"style": "techno/bed", "duration": 14, "snap": "bars"})
    made = snap(played(beats_s, 12.0), RATE, params, 126.0, track=tracker(beats_s))
    assert made.audio.shape[1] == pytest.approx(12.0 * 123 / 126 * RATE, abs=RATE * 0.01)
    assert made.length > made.audio.shape[1]


def test_a_loop_has_music_before_its_first_bar_to_fade_into():
    made = snapped(take(120.0, 0.1), 120.0, first_downbeat=3, loop=True)
    assert made.start == RATE, "two beats"
    assert made.audio.shape[1] >= made.start + made.length
    assert np.abs(off_the_grid_s(made, 120.0)).max() < ON_THE_BEAT_S
    before = made.audio[0, round(0.5 * RATE) - 200 : round(0.5 * RATE) + 600]
    assert np.abs(before).max() > 0.2, "the beat before the bar"
