"""Levels in one cheap pass are those of libebur128 itself, and the curve follows what was played."""

from __future__ import annotations

import numpy as np
import pyebur128
import pytest

from handlers.audio.levels import POINTS, Curve, Levels
from handlers.audio.loudness import Loudness, measure
from tests.fixtures.sound import noise, tone


def _levels(audio: np.ndarray, rate: int = 44_100, block: int = 30_011) -> tuple[Loudness, Curve]:
    levels = Levels(rate, len(audio), audio.shape[1] / rate)
    for start in range(0, audio.shape[1], block):
        levels.feed(audio[:, start : start + block])
    return levels.finish()


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000, 192_000])
@pytest.mark.parametrize("kind", ["noise", "between", "loud high tone"])
def test_all_numbers_are_those_of_the_slow_way(rate: int, kind: str) -> None:
    # A quarter of the rate at 45 degrees: no sample is larger than 0.71 of the wave.
    audio = {
        "noise": noise(4.0, rate, seed=3),
        "between": tone(rate / 4, 4.0, rate, phase=np.pi / 4, level_db=-1),
        "loud high tone": tone(rate / 4.7, 4.0, rate, level_db=0),
    }[kind]
    fast, slow = _levels(audio, rate)[0], measure(audio, rate)
    assert fast.true_peak_dbtp == pytest.approx(slow.true_peak_dbtp, abs=0.02)
    assert fast.sample_peak_dbfs == pytest.approx(slow.sample_peak_dbfs, abs=1e-4)
    assert fast.integrated_lufs == pytest.approx(slow.integrated_lufs, abs=1e-6)
    assert fast.range_lu == pytest.approx(slow.range_lu, abs=1e-6)


def test_the_curve_follows_what_was_played() -> None:
    audio = np.concatenate([tone(997, 10.0, level_db=-30), tone(997, 10.0, level_db=-10)], axis=1)
    _, curve = _levels(audio)
    assert curve.times_s == list(range(1, 21))
    # A sine of -10 dBFS on both channels has -10 LUFS: -3.01 for its mean square, +3.01 for two channels.
    assert curve.momentary_lufs[9] == pytest.approx(-30, abs=0.1)
    assert curve.momentary_lufs[10] == pytest.approx(-10, abs=0.1)
    assert -30 < curve.short_term_lufs[10] < -10
    assert curve.short_term_lufs[13] == pytest.approx(-10, abs=0.1)


def test_a_long_recording_has_no_more_points() -> None:
    _, curve = _levels(np.zeros((1, 3000 * 100), np.float32), rate=100)
    assert POINTS / 2 < len(curve.times_s) <= POINTS
    assert set(curve.momentary_lufs) == {-np.inf}


def test_the_loudest_three_seconds_are_found_wherever_they_lie() -> None:
    audio = noise(12.0, seed=5, level_db=-40)
    audio[:, 190_000 : 190_000 + 3 * 44_100] *= 10
    levels = Levels(44_100, 2, 12.0)
    for start in range(0, audio.shape[1], 30_011):
        levels.feed(audio[:, start : start + 30_011])
    loudest = measure(audio[:, 190_000 : 190_000 + 3 * 44_100], 44_100).integrated_lufs
    assert levels.short_term_max_lufs == pytest.approx(loudest, abs=0.15)  # A tenth of a second may be missed.
    reference = pyebur128.R128State(2, 44_100, pyebur128.MeasurementMode.MODE_S)
    read = []
    for start in range(0, audio.shape[1], 4_410):
        reference.add_frames(np.ascontiguousarray(audio[:, start : start + 4_410].T).ravel(), 4_410)
        read.append(pyebur128.get_loudness_shortterm(reference))
    assert levels.short_term_max_lufs == pytest.approx(max(read), abs=1e-4)


def test_less_than_three_seconds_have_no_short_term_loudness() -> None:
    levels = Levels(44_100, 2, 2.9)
    levels.feed(noise(2.9))
    assert levels.short_term_max_lufs == -np.inf
