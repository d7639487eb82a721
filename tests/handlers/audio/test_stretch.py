"""Stretching: exact lengths, onsets where they were sent, channels that stay together."""

from __future__ import annotations

import numpy as np
import pytest

from handlers.audio.stretch import stretch, warp

RATE = 44_100
BEAT = RATE * 60 / 132
ONSET_TOLERANCE_S = 0.002
HIT = (np.random.default_rng(0).standard_normal(600) * np.exp(-np.arange(600) / 120)).astype(np.float32)


def hits(places: np.ndarray, frames: int) -> np.ndarray:
    audio = np.zeros((2, frames), np.float32)
    for place in np.round(places).astype(int):
        audio[:, place : place + len(HIT)] += HIT[: max(0, frames - place)]
    return audio


def onsets_near(audio: np.ndarray, places: np.ndarray) -> np.ndarray:
    """How far the hit near each place is from it, in seconds: where the hit itself fits best."""
    found = []
    for place in np.round(places).astype(int):
        first = max(0, place - 1500)
        fit = np.abs(np.correlate(audio[0, first : place + 1500 + len(HIT)], HIT, "valid"))
        found.append((first + int(np.argmax(fit)) - place) / RATE)
    return np.array(found)


@pytest.mark.parametrize("factor", [0.92, 0.97, 1.002, 132 / 128, 1.08])
def test_onsets_come_where_the_tempo_puts_them(factor: float) -> None:
    places = np.arange(1, 24) * BEAT
    frames = round(25 * BEAT)
    out = stretch(hits(places, frames), RATE, round(frames / factor))
    assert out.shape == (2, round(frames / factor))
    assert np.abs(onsets_near(out, places / factor)).max() < ONSET_TOLERANCE_S
    assert np.abs(out[0] - out[1]).max() < 1e-3


def test_the_same_length_is_the_same_samples() -> None:
    audio = hits(np.array([1000.0]), RATE)
    assert stretch(audio, RATE, RATE) is audio


def test_a_tempo_can_be_led_into_another_beat_by_beat() -> None:
    source = 5000 + np.arange(33) * BEAT
    target = np.concatenate([[0.0], np.cumsum(np.linspace(BEAT, RATE * 60 / 126, 32))])
    out = warp(hits(source, round(source[-1] + BEAT)), RATE, source, target)
    assert out.shape == (2, round(target[-1]))
    off = onsets_near(out, target[1:-1])
    assert abs(np.median(off)) < 0.0005
    assert np.abs(off).max() < ONSET_TOLERANCE_S


def test_joins_leave_no_hole_in_a_held_tone() -> None:
    source = RATE + np.arange(5) * 4 * BEAT
    target = np.concatenate([[0.0], np.cumsum(4 * BEAT * np.array([1.0, 1.01, 1.02, 1.03]))])
    time = np.arange(round(source[-1]) + RATE) / RATE
    out = warp(0.5 * np.sin(2 * np.pi * 440 * time)[None].astype(np.float32), RATE, source, target)
    level = np.sqrt(np.convolve(out[0] ** 2, np.ones(2205) / 2205, "valid"))
    assert 20 * np.log10(level.min() / np.median(level)) > -3
    assert 20 * np.log10(level.max() / np.median(level)) < 1


def test_what_lies_outside_the_recording_is_silent() -> None:
    out = warp(np.ones((1, 1000), np.float32), RATE, [-44_100.0, -22_050.0, 0.0], [0.0, 22_000.0, 44_000.0])
    assert out.shape == (1, 44_000)
    assert np.abs(out[:, :20_000]).max() == 0.0


def test_points_without_partners_are_refused() -> None:
    with pytest.raises(ValueError, match="as many here as there: 3 and 2"):
        warp(np.zeros((1, 100), np.float32), RATE, [0, 1, 2], [0, 1])
