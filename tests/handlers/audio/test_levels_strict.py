"""True peaks as a stricter meter reads them: near half the rate, and at the very end of a recording."""

from __future__ import annotations

import numpy as np
from scipy.signal import resample

from handlers.audio.levels import TruePeak, find_true_peak

RATE = 22_050


def test_the_strict_meter_finds_what_lies_between_samples_near_half_the_rate() -> None:
    noise = np.random.default_rng(4).standard_normal((1, RATE)).astype(np.float32) * 0.1
    spectrum = np.fft.rfft(noise, axis=1)
    spectrum[:, : int(spectrum.shape[1] * 0.5)] = 0
    spectrum[:, int(spectrum.shape[1] * 0.94) :] = 0
    high = np.fft.irfft(spectrum, n=RATE, axis=1).astype(np.float32)
    padded = np.pad(high, ((0, 0), (500, 500)))
    truth_dbtp = 20 * np.log10(np.abs(resample(padded, padded.shape[1] * 16, axis=1)).max())
    assert abs(find_true_peak(high, RATE) - truth_dbtp) < 0.1


def test_a_peak_at_the_very_end_is_found() -> None:
    pair = np.full(
        (1, 2), 0.7, np.float32
    )  # A wave through both, and zeros around, is highest between them: 0.7 x 4 / pi.
    lax = TruePeak(RATE)
    lax.feed(pair)
    assert 10 ** (find_true_peak(pair, RATE) / 20) > 0.88 > lax.value
