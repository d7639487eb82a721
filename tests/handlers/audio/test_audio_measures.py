"""Loudness, sample rates and fades against what the standards and arithmetic say."""

from __future__ import annotations

import numpy as np
import pytest

from handlers.audio.crossfade import crossfade, gains
from handlers.audio.loudness import Meter, measure
from handlers.audio.resample import Resampler, resample, resampled_length
from tests.fixtures.sound import noise, tone

TECH_3341_TOLERANCE_LU = 0.1


@pytest.mark.parametrize("level_db", [-23.0, -33.0])
def test_loudness_of_the_standards_tone(level_db: float) -> None:
    # EBU Tech 3341, cases 1 and 2: a 1 kHz stereo sine at L dBFS has L LUFS.
    found = measure(tone(1000, 20, 48_000, level_db=level_db), 48_000)
    assert found.integrated_lufs == pytest.approx(level_db, abs=TECH_3341_TOLERANCE_LU)
    assert found.sample_peak_dbfs == pytest.approx(level_db, abs=0.01)


def test_true_peak_sees_between_the_samples() -> None:
    # A quarter of the sample rate, 45 degrees off: every sample lies 3.01 dB under the crest.
    audio = tone(12_000, 2, 48_000, level_db=-6.0, phase=np.pi / 4)
    fade = np.minimum(1, np.arange(audio.shape[1]) / 4800).astype(np.float32)
    found = measure(audio * fade, 48_000)
    assert found.sample_peak_dbfs == pytest.approx(-9.01, abs=0.02)
    assert found.true_peak_dbtp == pytest.approx(-6.0, abs=0.3)


def test_a_stream_measures_as_the_whole() -> None:
    audio = noise(8, seed=3)
    meter = Meter(44_100, 2)
    for start in range(0, audio.shape[1], 12_345):
        meter.feed(audio[:, start : start + 12_345])
    assert meter.result() == measure(audio, 44_100)


def test_silence_has_no_loudness_and_json_says_null() -> None:
    facts = measure(np.zeros((2, 44_100), np.float32), 44_100).facts()
    assert facts["integrated_lufs"] is None and facts["true_peak_dbtp"] is None


@pytest.mark.parametrize(("from_rate", "to_rate"), [(44_100, 48_000), (96_000, 44_100), (11_025, 44_100)])
def test_a_resampled_tone_is_the_tone_at_the_new_rate(from_rate: int, to_rate: int) -> None:
    found = resample(tone(1234, 1.6, from_rate), from_rate, to_rate)
    wanted = tone(1234, 1.6, to_rate)
    assert found.shape == wanted.shape
    assert np.abs(found - wanted)[:, 2000:-2000].max() < 1e-5


@pytest.mark.parametrize("frames", [1, 7, 1000, 44_101])
def test_a_resampled_stream_has_the_exact_length_and_the_samples_of_the_whole(frames: int) -> None:
    audio = noise(1.1)[:, :frames]
    stream = Resampler(44_100, 48_000, 2)
    parts = [stream.process(audio[:, start : start + 997]) for start in range(0, frames, 997)] + [stream.flush()]
    found = np.concatenate(parts, axis=1)
    assert found.shape[1] == resampled_length(frames, 44_100, 48_000) == round(frames * 48_000 / 44_100)
    assert np.abs(found - resample(audio, 44_100, 48_000)).max() < 1e-6


def test_equal_power_keeps_the_level_of_unlike_signals() -> None:
    faded = crossfade(noise(8, seed=1), noise(8, seed=2))
    windows = faded.reshape(2, 16, -1)
    levels_db = 10 * np.log10(np.mean(windows**2, axis=(0, 2)))
    assert np.abs(levels_db + 20).max() < 0.2


def test_linear_keeps_the_same_signal_as_it_is() -> None:
    audio = tone(100, 1)
    assert np.abs(crossfade(audio, audio, "linear") - audio).max() < 1e-6


@pytest.mark.parametrize("curve", ["equal_power", "linear"])
def test_a_fade_in_blocks_is_the_whole_fade(curve: str) -> None:
    whole = gains(1000, curve)
    parts = [gains(1000, curve, start=start, count=min(300, 1000 - start)) for start in range(0, 1000, 300)]
    for side in (0, 1):
        assert np.array_equal(np.concatenate([part[side] for part in parts]), whole[side])
    assert np.allclose(whole[0], whole[1][::-1])
