"""A piece whose sections change places: names go along with the sound, on pieces that nothing was set by."""

from __future__ import annotations

import numpy as np
import pytest

from bench.arrangements import arrange
from bench.parts import RATE, follows
from handlers.audio.resample import resample

LEAST = 0.8
"""Share of the bars whose names agree, in the mean of a few pieces."""


@pytest.mark.parametrize("tune", [False, True], ids=["parts that differ in sound", "parts that differ in notes"])
def test_shuffled_sections_take_their_names_along(tune: bool) -> None:
    rng, shares = np.random.default_rng(3), []
    for seed in range(6):
        piece = arrange(seed, tune=tune)
        audio = resample(np.atleast_2d(piece.audio), piece.sample_rate, RATE)
        shares.append(follows(piece, audio, rng))
    words, letters = np.nanmean(shares, axis=0)
    assert words >= LEAST and letters >= LEAST
