"""From a take to a stem: rate, channels, exact length, loops, and what a model is asked to play for them."""

from __future__ import annotations

import numpy as np
import pytest

from handlers.audio.seam import measure_seam
from handlers.stems.backend import Take
from handlers.stems.fit import cut_grid, fit
from handlers.stems.lengths import fade_s, length_s, played_s, whole_bars
from handlers.stems.params import StemsParams
from tests.handlers.stems.players import RATE, beat


def params(**changes: object) -> StemsParams:
    return StemsParams.model_validate({"style": "techno/bed", "duration": 4, **changes})


def drone(duration_s: float, rate: int = RATE) -> np.ndarray:
    """Tones that beat against each other, over noise: never the same twice."""
    time = np.arange(round(duration_s * rate)) / rate
    tones = sum(np.sin(2 * np.pi * hertz * time + hertz) for hertz in (110.0, 110.7, 165.3, 220.9))
    noise = np.random.default_rng(0).standard_normal((2, len(time)))
    return (0.05 * tones + 0.01 * noise).astype(np.float32)


@pytest.mark.parametrize(("rate", "wanted"), [(32_000, 44_100), (32_000, 48_000), (44_100, 48_000)])
def test_mono_at_a_models_rate_becomes_stereo_at_the_one_asked_for(rate: int, wanted: int):
    fitted = fit(Take(beat(4.5, rate=rate)[:1], rate), params(duration=3.21, sample_rate=wanted))
    assert fitted.audio.shape == (2, round(3.21 * wanted)) and fitted.planned == fitted.audio.shape[1]
    assert np.array_equal(fitted.audio[0], fitted.audio[1])
    clear = fit(Take(beat(4.5, rate=wanted)[:1], wanted), params(duration=3.21, sample_rate=wanted))
    low = [np.abs(np.fft.rfft(one.audio[0]))[100:1000] for one in (fitted, clear)]
    assert np.corrcoef(*low)[0, 1] > 0.99, "the same music"


def test_nothing_is_turned_up():
    quiet = beat(4.0) * np.float32(0.01)
    assert np.array_equal(fit(Take(quiet, RATE), params()).audio, quiet)


def test_a_loop_is_exactly_as_long_as_asked_for_and_hides_its_seam():
    take = drone(4.05 + fade_s(4.0, None))
    fitted = fit(Take(take, RATE), params(loop=True))
    assert fitted.audio.shape[1] == 4 * RATE
    assert fitted.seam is not None and fitted.seam_faults == ()
    plain = take[:, : 4 * RATE] + np.linspace(0, 0.05, 4 * RATE, dtype=np.float32)
    assert list(measure_seam(plain, RATE, round(fitted.facts["crossfade_s"] * RATE)).faults()), (
        "and a plain cut does not"
    )


def test_a_loop_whose_grid_is_known_begins_under_what_rings_on():
    audio = np.zeros((2, 3 * RATE), np.float32)
    audio[:, :100], audio[:, 2 * RATE : 2 * RATE + 500] = 0.25, 0.5
    grid = {"tempo_bpm": 120.0, "beats_s": [0.0, 0.5, 1.0, 1.5, 2.0], "downbeats_s": [0.0, 2.0]}
    fitted = fit(Take(audio, RATE, grid=grid), params(duration=2.2, loop=True))
    assert (fitted.facts["bars"], fitted.audio.shape[1]) == (1, 2 * RATE)
    short = fit(Take(audio, RATE, grid=grid | {"tempo_bpm": 240.0}), params(duration=1, loop=True))
    assert np.allclose(short.audio[:, :100], 0.75), "more than once round"
    assert np.allclose(fitted.audio[:, :100], 0.75) and np.allclose(fitted.audio[:, 100:500], 0.5)
    assert fitted.grid is not None and fitted.grid["beats_s"] == [0.0, 0.5, 1.0, 1.5]


def test_a_loop_by_construction_must_begin_in_silence_and_ring_out():
    grid = {"tempo_bpm": 120.0, "beats_s": [0.0], "downbeats_s": [0.0]}
    sound = drone(3.0) * np.clip(np.minimum(np.arange(3 * RATE), np.arange(3 * RATE)[::-1]) / RATE, 0, 1).astype(
        np.float32
    )
    for start, end, faults in ((0, None, ()), (RATE, None, ("start cut off",)), (0, -RATE, ("end cut off",))):
        fitted = fit(Take(sound[:, start:end], RATE, grid=grid), params(duration=1.6, loop=True))
        assert fitted.seam_faults == faults


def test_a_grid_is_cut_where_the_stem_ends():
    sections = [{"start_s": 0.0, "end_s": 3.0, "label": "a"}, {"start_s": 3.0, "end_s": 6.0, "label": "b"}]
    cut = cut_grid({"beats_s": [0.0, 2.0, 4.0], "sections": sections, "tempo_bpm": 120.0}, 2.5)
    assert cut == {
        "beats_s": [0.0, 2.0], "sections": [{"start_s": 0.0, "end_s": 2.5, "label": "a"}], "tempo_bpm": 120.0,
        "duration_s": 2.5,
    }  # fmt: skip


def test_bars_are_the_nearest_whole_number_and_at_least_one():
    assert [whole_bars(duration_s, 120.0) for duration_s in (0.5, 2.9, 3.1, 60.0)] == [1, 1, 2, 30]
    assert length_s(params(duration=5, snap="bars"), 120.0) == 4.0
    assert length_s(params(duration=5, loop=True), 120.0) == 4.0
    assert length_s(params(duration=5), 120.0) == 5.0


def test_a_model_plays_as_much_as_fitting_needs():
    assert played_s(params(duration=10), 120.0) == 10.0
    assert played_s(params(duration=10, loop=True), 120.0) == 11.55
    assert played_s(params(duration=10, snap="bars"), 120.0) == pytest.approx(12 * 1.08)
    assert played_s(params(duration=10, snap="bars", loop=True), 120.0) == pytest.approx(13 * 1.08)
    assert played_s(params(duration=10, remix={"structure": 50}), 120.0) == pytest.approx(12 * 1.08)
