"""A planned set: neighbours that fit, one peak where it belongs, pins kept, and why is written down."""

from __future__ import annotations

import numpy as np
import pytest

from handlers.audio.grid.key import NAMES, KeyFound
from handlers.mix.plan import PEAK_RANGE, Piece, camelot, distances, key_steps, plan_set, summed, tempo_steps

SETS = {
    "house": lambda rng: rng.normal(125, 3, 20),
    "wide": lambda rng: rng.uniform(100, 150, 20),
    "two camps": lambda rng: np.where(rng.random(20) < 0.5, rng.normal(122, 1.5, 20), rng.normal(140, 2, 20)),
    "half time": lambda rng: np.where(rng.random(20) < 0.3, rng.normal(87, 1.5, 20), rng.normal(174, 3, 20)),
    "one tempo": lambda rng: np.full(20, 128.0),
}


def pieces_of(name: str, seed: int) -> list[Piece]:
    rng = np.random.default_rng(seed)
    tempi = SETS[name](rng)
    keys = [f"{NAMES[rng.integers(12)]} {('minor', 'major')[int(rng.random() < 0.3)]}" for _ in tempi]
    energies, lengths = rng.normal(0, 1, 20), rng.uniform(120, 420, 20)
    return [
        Piece(f"t{number}", float(length), float(tempo), key, float(energy))
        for number, (length, tempo, key, energy) in enumerate(zip(lengths, tempi, keys, energies, strict=True))
    ]


@pytest.mark.parametrize("name", SETS)
def test_a_planned_set_is_half_as_far_as_chance_and_peaks_late(name: str) -> None:
    pieces = pieces_of(name, seed=1)
    plan = plan_set(pieces)
    steps = distances(pieces)
    rng = np.random.default_rng(99)
    chance = np.median([summed(steps, rng.permutation(20)) for _ in range(300)])
    by_tempo = sorted(range(20), key=lambda number: pieces[number].tempo_bpm)
    assert sorted(plan.order) == list(range(20))
    assert summed(steps, plan.order) <= 0.5 * chance
    assert summed(steps, plan.order) < summed(steps, by_tempo)
    lengths = np.array([pieces[number].duration_s for number in plan.order])
    top = int(np.argmax([pieces[number].energy for number in plan.order]))
    middle = (lengths[:top].sum() + lengths[top] / 2) / lengths.sum()
    assert PEAK_RANGE[0] <= middle <= PEAK_RANGE[1]


def test_energy_rises_to_its_peak_and_is_released() -> None:
    pieces = [Piece(str(n), 300.0, 128.0, "A minor", float(n)) for n in range(20)]
    energies = [piece.energy for piece in plan_set(pieces).pieces]
    top = energies.index(19.0)
    assert np.corrcoef(np.arange(top + 1), energies[: top + 1])[0, 1] > 0.9
    assert energies[-1] < np.mean(energies[top - 3 : top])


def test_pins_are_kept_and_the_same_seed_gives_the_same_set() -> None:
    pieces = pieces_of("wide", 5)
    plan = plan_set(pieces, {0: 7, 9: 3, 19: 1})
    assert (plan.order[0], plan.order[9], plan.order[19]) == (7, 3, 1)
    assert plan.reasons[9].startswith("pinned here")
    assert plan == plan_set(pieces, {0: 7, 9: 3, 19: 1})


def test_every_place_says_why() -> None:
    pieces = [Piece("a", 60.0, 120.0, "A minor", 0.0), Piece("b", 60.0, 126.0, "E minor", 1.0)]
    plan = plan_set(pieces, {0: 0, 1: 1})
    assert plan.reasons == (
        "pinned here, opens the set",
        "pinned here, +5.0 % tempo, 8A to 9A (1 step on the wheel), energy up, the peak",
    )


def test_pieces_of_which_nothing_is_known_are_planned_too() -> None:
    pieces = [Piece(str(n), 60.0, None, None, 0.0) for n in range(3)]
    assert sorted(plan_set(pieces).order) == [0, 1, 2]
    assert plan_set(pieces[:1]).order == (0,)


@pytest.mark.parametrize("mode", ["major", "minor"])
def test_the_wheel_is_that_of_the_beats_handler(mode: str) -> None:
    for tonic, name in enumerate(NAMES):
        number, letter = camelot(f"{name} {mode}")
        assert f"{number}{letter}" == KeyFound(tonic, mode, 1.0, "", 0.0).camelot


def test_distances_are_those_of_a_dj() -> None:
    assert key_steps(camelot("A minor"), camelot("C major")) == 1  # the relative
    assert key_steps(camelot("A minor"), camelot("E minor")) == 1
    assert key_steps((12, "A"), (1, "A")) == 1
    assert key_steps(camelot("8A"), camelot("2B")) == 7
    assert tempo_steps(128, 128) == tempo_steps(87, 174) == 0
    assert tempo_steps(100, 102) == pytest.approx(1)
    assert camelot("silence") is None
