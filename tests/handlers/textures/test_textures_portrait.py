"""What a recording is like as a whole, and textures turned towards it: spectra made by hand, read back by hand."""

from __future__ import annotations

import numpy as np
import pytest

from handlers.textures.features import Collector
from handlers.textures.hiss import Band, freeze_hiss
from handlers.textures.portrait import MOST_DB, Portrait
from tests.handlers.textures.materials import SAMPLE_RATE, detuned_chord, filtered_noise

BIN_HZ = 10.0
FLAT = np.ones(12)


def steps(*levels_db: float) -> np.ndarray:
    """Mean power that is flat but for steps at 500 Hz and 2 kHz, up to 22 kHz."""
    hertz = np.arange(2205) * BIN_HZ
    return 10 ** (np.asarray(levels_db)[np.searchsorted([500.0, 2000.0], hertz, side="right")] / 10)


def level_db(power: np.ndarray, low_hz: float, high_hz: float) -> float:
    return float(10 * np.log10(power[round(low_hz / BIN_HZ) : round(high_hz / BIN_HZ)].mean()))


def test_a_passage_is_brought_to_the_levels_of_its_recording() -> None:
    portrait = Portrait(steps(0.0, -10.0, -4.0), BIN_HZ, FLAT)
    passage = np.sqrt(steps(-6.0, 0.0, 0.0))[None].astype(np.complex64)
    turned = np.abs(passage[0] * portrait.turn(passage, BIN_HZ, 1.0)) ** 2
    low, middle, high = level_db(turned, 100, 400), level_db(turned, 600, 1800), level_db(turned, 2400, 9000)
    assert (middle - low, high - low) == pytest.approx((-10.0, -4.0), abs=0.2)


def test_what_a_passage_lacks_is_raised_no_further_than_said() -> None:
    portrait = Portrait(steps(0.0, 0.0, 0.0), BIN_HZ, FLAT)
    passage = np.sqrt(steps(0.0, -60.0, 0.0))[None].astype(np.complex64)
    gains_db = 20 * np.log10(portrait.turn(passage, BIN_HZ, 1.0))
    assert gains_db[100] - gains_db[20] <= MOST_DB + 1


def test_half_as_close_is_half_the_way() -> None:
    portrait = Portrait(steps(0.0, -12.0, 0.0), BIN_HZ, FLAT)
    passage = np.sqrt(steps(0.0, 0.0, 0.0))[None].astype(np.complex64)
    gains_db = 20 * np.log10(portrait.turn(passage, BIN_HZ, 0.5))
    assert gains_db[20] - gains_db[100] == pytest.approx(6.0, abs=0.3)


def test_what_the_channels_cancel_is_not_taken_away_twice() -> None:
    portrait = Portrait(steps(0.0, -20.0, 0.0), BIN_HZ, FLAT)
    left = np.sqrt(steps(0.0, 0.0, 0.0)).astype(np.complex64)
    # Opposed above 500 Hz to all but a tenth: their mean is 20 dB softer there already.
    right = np.where(steps(0.0, 1.0, 0.0) > 1, -0.8 * left, left)
    gains_db = 20 * np.log10(portrait.turn(np.stack([left, right]), BIN_HZ, 1.0))
    assert gains_db[20] - gains_db[100] == pytest.approx(0.0, abs=0.3)


def test_a_caricature_draws_features_larger() -> None:
    portrait = Portrait(steps(0.0, -12.0, 0.0), BIN_HZ, FLAT)
    passage = np.sqrt(steps(0.0, -12.0, 0.0))[None].astype(np.complex64)
    gains_db = 20 * np.log10(portrait.caricature(passage, BIN_HZ))
    assert gains_db[20] - gains_db[100] > 3


def test_hiss_carries_the_recordings_tones_below_its_band_but_a_quarter_at_most() -> None:
    recording = detuned_chord(4.0) + 0.1 * filtered_noise(4.0, 4000.0, 15_000.0)
    collector = Collector(SAMPLE_RATE)
    collector.feed(recording)
    features = collector.finish()
    portrait = Portrait(features.mean_power, SAMPLE_RATE / features.window, features.chroma.mean(axis=0))
    hiss, octaves = freeze_hiss(
        recording[:, :66_150], 88_200, SAMPLE_RATE, np.random.default_rng(0), band=Band(5000, 14_000), portrait=portrait
    )
    power = (np.abs(np.fft.rfft(hiss, axis=1)) ** 2).sum(axis=0)
    hertz = np.arange(len(power)) / 2
    assert octaves == 0 and 0.15 < power[hertz < 4000].sum() / power.sum() < 0.25
    # The chord's roots stand out of what lies between them.
    near, between = ((hertz > low) & (hertz < high) for low, high in ((215, 225), (240, 260)))
    assert power[near].mean() > 100 * power[between].mean()
