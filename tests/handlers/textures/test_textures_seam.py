"""The seam measures: each kind of bad loop is caught by the measure made for it, good loops pass."""

from __future__ import annotations

import numpy as np
import pytest

from handlers.audio.loop import choose_start, cut_loop
from handlers.audio.seam import measure_dip, measure_seam
from tests.fixtures.sound import tone
from tests.handlers.textures.materials import SAMPLE_RATE, detuned_chord, drums, filtered_noise

FADE = SAMPLE_RATE // 2


def faults(loop: np.ndarray) -> str:
    return ", ".join(measure_seam(loop, SAMPLE_RATE, FADE).faults())


@pytest.mark.parametrize("seed", range(4))
def test_a_crossfaded_loop_of_noise_holds(seed: int) -> None:
    audio = filtered_noise(6.0, seed=seed)
    assert faults(cut_loop(audio, choose_start(audio, FADE, 2205), 4 * SAMPLE_RATE, FADE)) == ""


@pytest.mark.parametrize("seed", range(4))
def test_a_crossfaded_loop_of_chords_neither_clicks_nor_dips(seed: int) -> None:
    # Their timbre and level may step more than usual where it begins, as the voices beat against each other.
    audio = detuned_chord(6.0, seed=seed)
    found = faults(cut_loop(audio, choose_start(audio, FADE, 2205), 4 * SAMPLE_RATE, FADE))
    assert not any(fault in found for fault in ("jump", "slope", "flux", "dip"))


def test_a_click_at_the_seam_is_a_jump_and_a_flux() -> None:
    # A quarter period is missing: the wave steps from its peak to 0.
    loop = tone(220.0, 3.0)[:, : 3 * SAMPLE_RATE - 50]
    assert "jump" in faults(loop) and "flux" in faults(loop)


def test_a_bend_at_the_seam_is_a_slope() -> None:
    # Both ends are 0 and both go up: the wave turns on its heel.
    loop = tone(220.5, 1.0)[:, : SAMPLE_RATE - 99]
    assert abs(loop[0, 0] - loop[0, -1]) < 2 * np.median(np.abs(np.diff(loop[0])))
    assert "slope" in faults(loop)


def test_another_sound_after_the_seam_is_a_timbre_step() -> None:
    dull, bright = filtered_noise(2.0), filtered_noise(2.0, 3000.0, 9000.0, seed=1)
    sweep = np.linspace(0, 1, 2 * SAMPLE_RATE, dtype=np.float32)
    assert "timbre" in faults(np.concatenate([dull * np.cos(sweep) + bright * np.sin(sweep)], axis=1))


def test_a_louder_end_is_a_level_step() -> None:
    rising = filtered_noise(3.0) * np.linspace(0.2, 1, 3 * SAMPLE_RATE, dtype=np.float32)
    assert "level" in faults(rising)


def test_ends_that_were_only_faded_dip() -> None:
    loop = filtered_noise(3.0)
    loop[:, -FADE:] *= np.cos(np.linspace(0, np.pi / 2, FADE, dtype=np.float32))
    assert "dip" in faults(loop)


@pytest.mark.parametrize("hertz", [100.0, 110.0, 441.0])
def test_like_signals_keep_their_level_through_the_fade(hertz: float) -> None:
    # Whole periods: both sides of the fade are the same wave, which equal power alone would lift by 3 dB.
    audio = tone(hertz, 4.0)
    loop = cut_loop(audio, FADE, 2 * SAMPLE_RATE, FADE)
    np.testing.assert_allclose(loop, audio[:, FADE : FADE + 2 * SAMPLE_RATE], atol=2e-4)


def test_the_start_is_sought_where_the_wave_is_quiet() -> None:
    audio = np.concatenate([drums(2.0), 0.1 * filtered_noise(2.0)], axis=1)
    start = choose_start(audio, 2 * SAMPLE_RATE, 2205)
    assert 2 * SAMPLE_RATE <= start < 2 * SAMPLE_RATE + 2205
    around = audio[:, 2 * SAMPLE_RATE : 2 * SAMPLE_RATE + 2205]
    assert np.abs(audio[:, start]).max() < np.percentile(np.abs(around).max(axis=0), 20)


def test_a_loop_that_needs_more_than_there_is_is_refused() -> None:
    with pytest.raises(ValueError, match="does not lie in"):
        cut_loop(tone(220.0, 1.0), FADE - 1, 1000, FADE)


def test_a_softer_end_is_a_dip_by_as_many_decibels() -> None:
    loop = np.sin(2 * np.pi * 400 * np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE, dtype=np.float32)
    loop[-SAMPLE_RATE // 2 :] *= 0.5
    assert measure_dip(loop, SAMPLE_RATE // 2) == pytest.approx(-6.02, abs=0.1)
    assert measure_dip(loop[: -SAMPLE_RATE // 2], SAMPLE_RATE // 2) == pytest.approx(0.0, abs=0.1)
