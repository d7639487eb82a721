"""The limiter: never above its ceiling, nothing done below it, and no click where it works."""

from __future__ import annotations

import numpy as np
import pytest

from handlers.audio.limiter import MARGIN_DB, Limiter, true_peaks
from handlers.audio.loudness import measure

RATE = 44_100


def limited(audio: np.ndarray, ceiling_dbtp: float = -1.0, gain_db: float = 0.0, block: int = 65_536) -> np.ndarray:
    limiter = Limiter(RATE, ceiling_dbtp, gain_db=gain_db)
    parts = (audio[:, start : start + block] for start in range(0, audio.shape[1], block))
    return np.concatenate(list(limiter.run(parts)), axis=1)


def loud_noise(duration_s: float = 4.0, level: float = 0.4) -> np.ndarray:
    return (np.random.default_rng(7).standard_normal((2, round(duration_s * RATE))) * level).astype(np.float32)


@pytest.mark.parametrize("ceiling_dbtp", [-0.3, -1.0, -6.0])
@pytest.mark.parametrize("gain_db", [0.0, 12.0])
def test_no_true_peak_passes_the_ceiling(ceiling_dbtp: float, gain_db: float) -> None:
    out = limited(loud_noise(), ceiling_dbtp, gain_db)
    found = measure(out, RATE).true_peak_dbtp
    assert ceiling_dbtp - 2 * MARGIN_DB < found <= ceiling_dbtp


def test_a_peak_that_lies_between_samples_is_held_too() -> None:
    # A sine at a quarter of the rate, sampled 45 degrees off its peaks: samples at 0.71, the curve at 1.
    time = np.arange(RATE) / RATE
    audio = np.sin(2 * np.pi * RATE / 4 * time + np.pi / 4).astype(np.float32)[None]
    assert np.abs(audio).max() < 0.708
    assert measure(limited(audio), RATE).true_peak_dbtp <= -1.0


def test_what_lies_under_the_ceiling_passes_bit_for_bit() -> None:
    quiet = loud_noise(level=0.05)
    assert np.array_equal(limited(quiet), quiet)


def test_length_and_result_do_not_depend_on_the_blocks() -> None:
    audio = loud_noise(1.0)
    whole = limited(audio, gain_db=6, block=audio.shape[1])
    for block in (37, 1000, 8192):
        parts = limited(audio, gain_db=6, block=block)
        assert parts.shape == audio.shape
        assert np.abs(parts - whole).max() < 1e-6


@pytest.mark.parametrize("frames", [0, 1, 50, 300])
def test_a_very_short_piece_keeps_its_length_and_its_ceiling(frames: int) -> None:
    audio = np.full((1, frames), 1.0, np.float32)
    parts = list(Limiter(RATE, -6.0).run([audio]))
    out = np.concatenate(parts, axis=1) if parts else audio
    assert out.shape == audio.shape
    assert np.abs(out).max(initial=0.0) <= 10 ** (-6 / 20)


def test_the_gain_moves_before_a_peak_and_smoothly() -> None:
    tone = 0.3 * np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE)
    audio = np.stack([tone, tone]).astype(np.float32)
    audio[0, RATE // 2 : RATE // 2 + 20] = 1.0
    gain = limited(audio, -6.0)[1] / np.where(np.abs(audio[1]) < 1e-3, np.nan, audio[1])
    before = gain[: RATE // 2 - 400]
    assert np.nanmin(before) == np.nanmax(before) == 1.0
    # One curve for both channels, without a step.
    known = gain[~np.isnan(gain)]
    assert np.nanmin(gain) < 0.55
    assert np.abs(np.diff(known)).max() < 0.05
    assert np.nanmin(gain[RATE // 2 + RATE // 4 :]) == 1.0


def test_it_says_how_deep_it_went() -> None:
    limiter = Limiter(RATE, -6.0)
    list(limiter.run([np.sin(np.arange(RATE) / 50).astype(np.float32)[None]]))
    assert limiter.deepest_db == pytest.approx(-6 - MARGIN_DB, abs=0.05)
    quiet = Limiter(RATE, -6.0)
    list(quiet.run([np.full((1, RATE), 0.1, np.float32)]))
    assert quiet.deepest_db == 0.0


def test_peaks_are_looked_for_only_near_what_matters() -> None:
    audio = loud_noise(1.0, level=0.1)
    assert np.array_equal(true_peaks(audio, above=2.0) >= np.abs(audio).max(axis=0), np.full(RATE, True))
    assert true_peaks(audio).max() >= true_peaks(audio, above=2.0).max()
