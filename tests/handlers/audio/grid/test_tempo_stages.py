"""The rungs between onset curves and the grid: tempi, folding, clocks, placing, ranking, the meter of tempo."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handlers.audio.grid.drift import best_path, find_clock, moving_clock, split
from handlers.audio.grid.features import ATTACKS_PER_S, FRAMES_PER_S
from handlers.audio.grid.hypotheses import fold, lay_lattices, phase_of
from handlers.audio.grid.placing import fit_line, place_even
from handlers.audio.grid.pulse import describe_victory
from handlers.audio.grid.ranking import MODELS, Model, Trees, load_models, pack, softmax
from handlers.audio.grid.tempi import Comb, find_tempi
from handlers.audio.grid.tempo import measure_tempo
from tests.handlers.audio.grid.test_track import RATE, even, rock


def pulses(times_s: np.ndarray, duration_s: float, rate: float = FRAMES_PER_S) -> np.ndarray:
    """A curve with a triangle, two values wide, at each time."""
    place = np.arange(round(duration_s * rate))
    curve = np.zeros(len(place), np.float32)
    for time_s in times_s:
        near = place[max(0, int(time_s * rate) - 2) : int(time_s * rate) + 4]
        curve[near] += np.maximum(0, 1 - np.abs(near - time_s * rate) / 2)
    return curve


def test_the_comb_finds_a_tempo_between_lags() -> None:
    tempi, fit = find_tempi(pulses(even(127.31, 90), 90))
    near = tempi[np.abs(tempi - 127.31).argmin()]
    assert near == pytest.approx(127.31, abs=0.03)
    assert (np.diff(fit) <= 0).all()
    assert len({round(tempo) for tempo in tempi}) == len(tempi)


def test_a_fold_tells_the_phase_of_a_period() -> None:
    curve = pulses(even(120, 60, first_s=0.2), 60)
    share, sharp = phase_of(fold(curve, 0.5))
    assert share * 0.5 == pytest.approx(0.2, abs=0.008)
    assert sharp > 0


def test_among_the_lattices_one_lies_on_the_beats() -> None:
    curve = pulses(even(140, 40, first_s=0.25), 40)
    lattices = lay_lattices(curve, *find_tempi(curve))
    right = [one for one in lattices if abs(one.tempo_bpm - 140) < 0.2]
    assert min(abs(one.points(40)[:4] - 0.25).min() for one in right) < 0.01


def test_an_even_grid_is_corrected_in_period_and_phase() -> None:
    curve = 30 * pulses(even(120.05, 80, first_s=0.312), 80, ATTACKS_PER_S)
    period_s, first_s = place_even(curve, 60 / 120.04, 0.32, 80)
    assert 60 / period_s == pytest.approx(120.05, abs=0.002)
    assert first_s == pytest.approx(0.312, abs=0.0015)


def test_a_line_is_not_moved_by_outliers() -> None:
    values = 0.001 + 0.0002 * np.arange(20)
    values[[3, 11]] += 0.04
    slope, offset = fit_line(np.arange(20.0), values, np.ones(20), 0.001)
    assert slope == pytest.approx(0.0002, abs=2e-5) and offset == pytest.approx(0.001, abs=3e-4)


def test_the_best_path_jumps_only_where_it_pays() -> None:
    fit = np.zeros((40, 60))
    fit[:20, 10] = fit[20:, 45] = 4
    fit[7, 50] = 5
    assert best_path(fit).tolist() == [10] * 20 + [45] * 20


def test_one_tempo_needs_no_clock_and_a_ramp_does() -> None:
    assert moving_clock(pulses(even(125, 60), 60)) is None
    ramp = np.cumsum(60 / np.linspace(120, 150, 140))
    clock = moving_clock(pulses(ramp, ramp[-1] + 1))
    assert clock is not None
    gaps = np.diff(clock.unwarp(ramp))
    assert gaps.std() < 0.01
    assert clock.warp(clock.unwarp(ramp)) == pytest.approx(ramp, abs=1e-6)


def test_a_moment_is_too_short_for_a_clock() -> None:
    assert find_clock(np.ones(200, np.float32)) is None


def test_beats_are_split_where_their_tempo_changes() -> None:
    beats = np.concatenate([0.5 * np.arange(40), 20 + 0.4 * np.arange(40)])
    assert split(beats) == [0, 40, 79]


def test_trees_ask_their_questions_and_add_up() -> None:
    trees = Trees(
        roots=np.array([0, 3]),
        trait=np.array([1, -1, -1, -1]),
        threshold=np.array([0.5, 0, 0, 0]),
        left=np.array([1, 0, 0, 0]),
        right=np.array([2, 0, 0, 0]),
        value=np.array([0, -1.0, 2.0, 10.0]),
        depth=1,
    )
    assert trees.score(np.array([[9, 0.5], [9, 0.6]])).tolist() == [9.0, 12.0]


def test_the_models_file_is_of_its_version_and_comes_back_as_written(tmp_path: Path) -> None:
    models = load_models(MODELS)
    np.savez_compressed(tmp_path / "again.npz", **pack(models))
    again = load_models(tmp_path / "again.npz")
    rng = np.random.default_rng(5)
    for name, model in models.items():
        traits = len(model.weights) // (1 if name == "beat" else 2)
        rows = rng.standard_normal((20, traits))
        if name != "beat":
            assert np.array_equal(model.score(rows), again[name].score(rows))
    packed = pack(models) | {"version": np.array(0)}
    np.savez(tmp_path / "old.npz", **packed)
    with pytest.raises(ValueError, match="version 0.*make train-beats"):
        load_models(tmp_path / "old.npz")


def test_a_victory_is_clear_where_one_grid_stands_out_with_its_kin() -> None:
    tempi, hits = np.array([120.0, 60, 90, 101, 133]), np.array([1.0, 0, 0, 0] * 8)
    clear = describe_victory(np.array([9.0, 8, 0, 0, 0]), tempi, hits)
    open_ = describe_victory(np.zeros(5), tempi, np.ones(32))
    # The share of the tempo, and of the tempo with its half.
    assert np.exp(clear[2:4]) == pytest.approx([1 / (1 + np.exp(-1)), 1], abs=1e-3)
    assert np.exp(open_[2:4]) == pytest.approx([1 / 5, 2 / 5])
    assert clear[1] > open_[1] == 0
    # Hits: eight as good as equal, and how many of a cell.
    assert np.expm1(clear[4]) == pytest.approx(8) and clear[5] == pytest.approx(1 / 4)
    assert np.expm1(open_[4]) == pytest.approx(32) and open_[5] == pytest.approx(1)


def test_rivals_share_one_probability() -> None:
    none = Trees(np.zeros(0, int), *(np.zeros(0) for _ in range(5)), depth=0)
    model = Model(np.zeros(4), np.ones(4), np.array([1.0, 0, 0, 0]), 0.0, none, 0.0)
    chances = softmax(model.score(np.array([[2.0, 0], [1.0, 5], [0.0, 9]])))
    assert chances.sum() == pytest.approx(1)
    assert np.argmax(chances) == 0 and chances[0] / chances[1] == pytest.approx(np.e, rel=1e-5)


@pytest.mark.parametrize("off", [0.97, 1.0, 1.05])
def test_the_meter_reads_the_tempo_near_the_one_it_should_be(off: float) -> None:
    beats = even(118.4, 20)
    found = measure_tempo(rock(beats, 20), RATE, near_bpm=118.4 * off)
    assert found.bpm == pytest.approx(118.4, rel=0.0005)
    assert found.confidence > 0.5


def test_the_meter_reads_none_in_silence() -> None:
    assert measure_tempo(np.zeros((2, RATE * 5), np.float32), RATE, near_bpm=120).bpm is None


def test_a_comb_of_noise_fits_nothing_well() -> None:
    curve = np.random.default_rng(2).random(4000).astype(np.float32)
    tempi = np.arange(60, 200, 0.1)
    assert Comb(curve).fit(tempi).max() < 0.5 * Comb(pulses(even(120, 35), 35)).fit(tempi).max()
