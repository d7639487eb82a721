"""Crossfade laws: what keeps the level of unlike, alike and equal signals, and where fades of two lengths lie."""

from __future__ import annotations

import numpy as np
import pytest

from handlers.audio.crossfade import correlation, gains
from handlers.audio.crossover import lows
from tests.fixtures.sound import noise, tone

FRAMES = 44_100
RIPPLE = 0.01
"""A Hamming window lets a third of this through, and takes as much away."""
LEVEL_TOLERANCE_DB = 0.05


def level_db(audio: np.ndarray) -> np.ndarray:
    """In ten windows, beside -20 dBFS."""
    return 10 * np.log10(np.mean(audio.reshape(len(audio), 10, -1) ** 2, axis=(0, 2))) + 20


@pytest.mark.parametrize("alike", [0.0, 0.3, 0.7, 1.0])
def test_the_level_is_kept_however_alike_two_signals_are(alike: float) -> None:
    shared, own, other = (noise(20.0, seed=seed) for seed in (1, 2, 3))
    first = np.sqrt(alike) * shared + np.sqrt(1 - alike) * own
    second = np.sqrt(alike) * shared + np.sqrt(1 - alike) * other
    found = correlation([(first, second)])
    assert found == pytest.approx(alike, abs=0.01)
    leaving, entering = gains(first.shape[1], "keep_level", correlation=found)
    assert np.abs(level_db(first * leaving + second * entering)).max() < LEVEL_TOLERANCE_DB
    # What another law does is heard: neither of the two is right for both ends.
    leaving, entering = gains(first.shape[1], "equal_power")
    assert level_db(first * leaving + second * entering).max() == pytest.approx(10 * np.log10(1 + alike), abs=0.1)


def test_unlike_signals_are_given_equal_power_and_equal_ones_equal_amplitude() -> None:
    for alike, sum_of in ((0.0, lambda out, into: out**2 + into**2), (1.0, lambda out, into: out + into)):
        leaving, entering = gains(FRAMES, "keep_level", correlation=alike)
        assert np.abs(sum_of(leaving, entering) - 1).max() < 1e-6


def test_signals_that_cancel_are_not_raised() -> None:
    first = noise(1.0)
    assert correlation([(first, -first)]) == 0.0
    assert correlation([(first, np.zeros_like(first))]) == 0.0


@pytest.mark.parametrize("curve", ["keep_level", "equal_power", "linear"])
def test_a_fade_done_in_blocks_is_the_fade_done_at_once(curve: str) -> None:
    options = {"correlation": 0.4, "fade_out": 30_000, "fade_in": 10_000}
    whole = np.array(gains(FRAMES, curve, **options))
    parts = [gains(FRAMES, curve, start=at, count=min(7_000, FRAMES - at), **options) for at in range(0, FRAMES, 7_000)]
    assert np.array_equal(whole, np.concatenate([np.array(part) for part in parts], axis=1))


def test_fades_of_two_lengths_lie_at_the_end_and_at_the_start() -> None:
    leaving, entering = gains(1_000, "linear", fade_out=200, fade_in=500)
    assert (leaving[:800] == 1).all() and leaving[900] == pytest.approx(0.5, abs=0.01)
    assert (entering[500:] == 1).all() and entering[250] == pytest.approx(0.5, abs=0.01)


def test_an_unknown_curve_is_refused() -> None:
    with pytest.raises(ValueError, match="'s' is none of keep_level"):
        gains(10, "s")


@pytest.mark.parametrize("rate", [11_025, 44_100, 96_000])
def test_lows_are_what_lies_under_180_hz_in_its_place(rate: int) -> None:
    low, high = tone(60, 1.0, rate), tone(1_000, 1.0, rate)
    inner = slice(rate // 10, -rate // 10)
    found = lows(low + high, rate)
    assert np.abs(found - low)[:, inner].max() < RIPPLE * np.abs(low).max()
