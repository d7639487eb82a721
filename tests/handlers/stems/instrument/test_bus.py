"""What buses run through, and the limiter, each against its plain definition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from handlers.audio.loudness import measure
from handlers.stems.instrument import bus
from handlers.stems.instrument.desk import SAMPLE_RATE
from handlers.stems.instrument.limiter import limit

TRUE_PEAK_DBTP = -1.0


def test_the_limiter_sees_peaks_between_samples():
    """A sine at a quarter of the sample rate, sampled off its crests, peaks 3 dB above its samples."""
    time = np.arange(SAMPLE_RATE)
    sine = np.sin(np.pi / 2 * time + np.pi / 4) * np.hanning(len(time)) * 1.4
    audio = np.stack([sine, 0.5 * sine]).astype(np.float32)
    curve = limit(audio, 10 ** (-1.3 / 20), hold_s=0.1, sample_rate=SAMPLE_RATE)
    gain = curve.between(0, len(time))
    assert measure(audio, SAMPLE_RATE).true_peak_dbtp > 2.5
    assert measure(audio * gain, SAMPLE_RATE).true_peak_dbtp < TRUE_PEAK_DBTP
    assert gain[0] == pytest.approx(1.0, abs=1e-3)
    assert np.array_equal(np.concatenate([curve.between(0, 1000), curve.between(1000, len(time))]), gain)


def test_the_limiter_leaves_quiet_sound_alone():
    quiet = np.full((2, 4000), 0.1, np.float32)
    assert np.all(limit(quiet, 0.8, hold_s=0.1, sample_rate=SAMPLE_RATE).between(0, 4000) == 1.0)


def test_a_ramp_runs_straight_through_its_values():
    values = [0.0, 1.0, 0.5, 0.5]
    whole = np.interp(np.arange(30), np.arange(4) * 10, values)
    assert bus.ramp(values, 10, 0, 30) == pytest.approx(whole, abs=1e-6)
    assert bus.ramp(values, 10, 7, 23) == pytest.approx(whole[7:23], abs=1e-6)


def test_the_sidechain_ducks_at_the_kick_and_comes_back():
    gain = bus.sidechain([(1000, 1.0)], 0, 10_000, 0.8, 4000)
    assert gain[1000] == pytest.approx(0.2)
    assert gain[0] == gain[5000] == gain[-1] == 1.0
    assert np.all(np.diff(gain[1000:5000]) >= 0)


def test_the_sidechain_in_blocks_is_the_sidechain_in_one_piece():
    kicks = [(10, 1.0), (950, 0.7), (1005, 0.9), (2600, 1.0)]
    whole = bus.sidechain(kicks, 0, 3000, 0.8, 700)
    blocks = [bus.sidechain(kicks, start, start + 500, 0.8, 700) for start in range(0, 3000, 500)]
    assert np.array_equal(np.concatenate(blocks), whole)


def test_a_room_in_blocks_is_the_room_in_one_piece():
    rng = np.random.default_rng(1)
    audio = rng.standard_normal((2, 8192)).astype(np.float32)
    response = rng.standard_normal((2, 2500)).astype(np.float32)
    whole = np.stack([np.convolve(*pair)[:8192] for pair in zip(audio, response, strict=True)])
    room = bus.Room(response, 1024)
    blocks = np.concatenate([room.run(audio[:, start : start + 1024]) for start in range(0, 8192, 1024)], axis=1)
    assert np.abs(blocks - whole).max() < 1e-5 * np.abs(whole).max()


def test_a_filter_carries_its_state_from_block_to_block():
    sections = signal.butter(2, 100, fs=SAMPLE_RATE, output="sos")
    audio = np.random.default_rng(2).standard_normal((2, 6000)).astype(np.float32)
    filter_ = bus.Filter(sections, 2)
    blocks = np.concatenate([filter_.run(audio[:, start : start + 1000]) for start in range(0, 6000, 1000)], axis=1)
    assert np.abs(blocks - signal.sosfilt(sections, audio)).max() < 1e-5


def test_echoes_come_a_delay_apart_and_change_sides():
    click = np.zeros((2, 1000), np.float32)
    click[0, 0] = 1.0
    echo = bus.Echo(300, 0.5)
    wet = np.concatenate([echo.run(click[:, start : start + 250]) for start in range(0, 1000, 250)], axis=1)
    assert [(int(side), int(at), float(wet[side, at])) for side, at in np.argwhere(wet)] == [
        (0, 600, 0.25), (1, 300, 0.5), (1, 900, 0.125),
    ]  # fmt: skip
