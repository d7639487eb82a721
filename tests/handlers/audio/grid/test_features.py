"""Features: what streams by is what stands there whole, and times are where they are said to be."""

from __future__ import annotations

import numpy as np
import pytest

from handlers.audio.grid.features import (
    ATTACKS_PER_S,
    FRAMES_PER_S,
    LOWEST_NOTE,
    NOTE_FRAMES_PER_S,
    RATE,
    FeatureStream,
    features_of,
)
from handlers.audio.grid.onsets import find_onsets, onset_curves
from handlers.contract import Invalid
from tests.fixtures.sound import tone
from tests.handlers.beats.drums import SAMPLE_RATE, beat_times, drum_pattern


def sine(hz: float, duration_s: float, sample_rate: int = RATE) -> np.ndarray:
    return np.sin(2 * np.pi * hz * np.arange(round(duration_s * sample_rate)) / sample_rate).astype(np.float32)


def test_blocks_of_any_size_give_what_the_whole_gives() -> None:
    audio = np.random.default_rng(1).standard_normal((2, 44_100 * 3)).astype(np.float32) * 0.1
    whole = features_of([audio], 44_100)
    stream = FeatureStream(44_100)
    # What stands still is measured on the first block.
    stream.feed(audio[:, :100_000])
    for start in range(100_000, audio.shape[1], 7_001):
        stream.feed(audio[:, start : start + 7_001])
    parts = stream.finish()
    for name in ("power", "notes", "attacks"):
        one, other = getattr(whole, name), getattr(parts, name)
        assert one.shape == other.shape
        assert np.abs(one - other).max() < 0.02 * np.abs(one).max()


@pytest.mark.parametrize("sample_rate", [8_000, 22_050, 44_100, 96_000])
def test_a_full_scale_sine_has_power_one_in_its_band_and_pitch(sample_rate: int) -> None:
    features = features_of([sine(440, 2, sample_rate)], sample_rate)
    middle = features.power[len(features.power) // 2]
    assert abs(np.log2(features.centres_hz[middle.argmax()] / 440)) < 1 / 6
    assert middle.sum() == pytest.approx(1, rel=0.5)
    assert features.notes[len(features.notes) // 2].argmax() == 69 - LOWEST_NOTE


def test_a_click_is_where_it_is_in_every_feature() -> None:
    audio = np.zeros(RATE * 4, np.float32)
    audio[2 * RATE] = 1
    features = features_of([audio], RATE)
    assert features.power.sum(axis=1).argmax() / FRAMES_PER_S == pytest.approx(2, abs=0.5 / FRAMES_PER_S)
    assert features.attacks[:, 0].argmax() / ATTACKS_PER_S == pytest.approx(2, abs=1 / ATTACKS_PER_S)
    assert features.notes.sum(axis=1).argmax() / NOTE_FRAMES_PER_S == pytest.approx(2, abs=1 / NOTE_FRAMES_PER_S)


def test_onsets_are_placed_to_three_milliseconds_in_their_band() -> None:
    audio = np.zeros(RATE * 6, np.float32)
    times = np.array([1.0, 2.2345, 3.5, 4.75])
    for number, time_s in enumerate(times):
        hz = (80, 5000)[number % 2]
        hit = sine(hz, 0.3) * np.exp(-np.arange(round(0.3 * RATE)) / RATE / 0.03)
        audio[round(time_s * RATE) :][: len(hit)] += 0.5 * hit
    features = features_of([audio], RATE)
    onsets = find_onsets(features, onset_curves(features))
    strong = np.sort(np.argsort(onsets.strength)[-4:])
    assert onsets.times_s[strong] == pytest.approx(times, abs=0.003)
    assert onsets.band[strong][1::2].tolist() == [2, 2]
    assert onsets.strength.max() == 1


def test_dc_is_no_sound() -> None:
    assert not onset_curves(features_of([np.full(RATE * 3, 0.4, np.float32)], RATE)).any()


def test_a_rate_of_half_a_kilohertz_is_refused() -> None:
    with pytest.raises(Invalid, match="at least 1000 Hz"):
        features_of([np.zeros(100, np.float32)], 500)


def test_every_hit_is_an_onset_and_nothing_else_is() -> None:
    beats_s = beat_times(120.0, 20.0)
    hits_s = np.sort(np.concatenate([beats_s, beats_s + 0.25]))
    features = features_of([drum_pattern(beats_s, 20.0)], SAMPLE_RATE)
    assert find_onsets(features, onset_curves(features)).times_s == pytest.approx(hits_s[hits_s < 20], abs=0.003)


def test_tones_that_beat_against_each_other_begin_once() -> None:
    chord = np.sum([tone(230.0 * ratio, 20.0) for ratio in (1, 1.26, 1.5)], axis=0)
    features = features_of([chord], SAMPLE_RATE)
    assert len(find_onsets(features, onset_curves(features)).times_s) <= 1
