"""The networks that rank grids and bars: what numpy says of them is what torch, which trained them, says."""

from __future__ import annotations

import numpy as np
import pytest

from handlers.audio.grid.bars import BARS
from handlers.audio.grid.network import (
    BAR_SHARE,
    BARS_MEET,
    BASS,
    KINDS,
    MOST_CELLS,
    NETWORK_SHARE,
    NOTES,
    SEEN,
    bar_weights,
    finalists_of,
    load_networks,
    pack_networks,
    score_bars,
    score_grids,
)
from handlers.audio.grid.ranking import MODELS, Model, contrast
from training.beats.examples import Example, make_example
from training.beats.fit import NO_TREES
from training.beats.music import make_piece
from training.beats.songs import make_song


@pytest.fixture(scope="module")
def example() -> Example:
    made = make_example(make_song(12, style="chip", duration_s=20))
    assert made is not None and made.bar >= 0
    return made


def nothing(traits: int) -> Model:
    """A model that says 0 of everything."""
    return Model(np.zeros(traits), np.ones(traits), np.zeros(traits), 0.0, NO_TREES, 0.0)


def test_torch_and_numpy_agree_on_grids(example: Example) -> None:
    torch = pytest.importorskip("torch")
    from training.beats.network import GridNet, Standard, export

    rows = contrast(example.rows)
    standard = Standard.of([rows])
    torch.manual_seed(3)
    net = GridNet(rows.shape[1]).eval()
    seen = [example.seen_of(number)[:200] for number in range(len(example.sizes))]
    heard = np.isin(example.lattice, finalists_of(np.zeros(len(rows)), example.lattice))
    assert 0 < heard.sum() < len(heard)
    with torch.no_grad():
        whole = np.zeros((len(seen), SEEN, 200), np.float32)
        there = np.zeros((len(seen), 1, 200), np.float32)
        for number, cells in enumerate(seen):
            whole[number, :, : len(cells)], there[number, 0, : len(cells)] = cells.T, 1
        given = (whole, there, example.lattice[heard], example.beat[heard], standard.apply(rows)[heard])
        expected = net(*map(torch.from_numpy, given), torch.zeros(int(heard.sum()), dtype=int), 1).numpy()
    scores = score_grids(
        nothing(rows.shape[1]),
        [export(net, standard)] * 2,
        example.rows,
        seen.__getitem__,
        example.lattice,
        example.beat,
    )
    expected *= NETWORK_SHARE
    assert scores[heard] == pytest.approx(expected, abs=3e-4 * float(np.abs(expected).max()))
    # The network has not heard the others.
    assert (scores[~heard] == scores[heard].min()).all()


def test_torch_and_numpy_agree_on_bars(example: Example) -> None:
    torch = pytest.importorskip("torch")
    from training.beats.network import BarNet, Standard, export

    rows = contrast(example.bar_rows)
    standard = Standard.of([rows])
    torch.manual_seed(4)
    net = BarNet(rows.shape[1]).eval()
    heard = example.seen_of_right()[: 5 * BARS_MEET]
    whole = torch.from_numpy(heard.astype(np.float32).T[None].copy())
    with torch.no_grad():
        known, piece = torch.from_numpy(standard.apply(rows)), torch.zeros(len(BARS), dtype=int)
        expected = net(whole, torch.ones(1, 1, len(heard)), known, piece, 1).numpy()
    scores = score_bars(nothing(rows.shape[1]), [export(net, standard)] * 2, example.bar_rows, heard)
    expected *= BAR_SHARE
    assert scores == pytest.approx(expected, abs=3e-4 * float(np.abs(expected).max()))


def test_batches_hold_every_grid_of_the_lattices_they_show(example: Example) -> None:
    pytest.importorskip("torch")
    from training.beats.network import WRONG, Lesson, grid_batch

    finalists = finalists_of(example.f_measure, example.lattice)
    lesson = Lesson(example, contrast(example.rows).astype(np.float32), finalists)
    seen, there, lattice, beat, known, piece, right = grid_batch([lesson], np.random.default_rng(1))
    assert right.sum() == example.right.sum()
    assert len(seen) == len(there) == len(set(example.lattice[example.right])) + WRONG
    assert len(lattice) == len(beat) == len(known) == len(piece) == len(right)


def test_batches_say_which_bar_is_right(example: Example) -> None:
    pytest.importorskip("torch")
    from training.beats.network import Lesson, bar_batch

    lesson = Lesson(example, contrast(example.bar_rows).astype(np.float32), np.zeros(0, int))
    seen, *_, right = bar_batch([lesson, lesson], np.random.default_rng(1))
    assert int(right[: len(BARS)].argmax()) == int(right[len(BARS) :].argmax()) == example.bar
    # The same piece is heard in two ways.
    assert not (seen[0] == seen[1]).all()


def test_a_piece_is_altered_in_key_and_balance_alone() -> None:
    from training.beats.alter import draw_alteration

    assert [kind.start for kind in KINDS[1:]] + [SEEN] == [kind.stop for kind in KINDS]
    seen = np.random.default_rng(2).random((50, SEEN)).astype(np.float16) + 1
    altered = draw_alteration(np.random.default_rng(3))(seen)
    assert altered.shape == seen.shape and altered.dtype == np.float32
    for kind in KINDS:
        part, was = altered[:, kind], seen[:, kind].astype(np.float32)
        keys = range(12) if kind in (NOTES, BASS) else (0,)
        # Every column is the same at another strength, that of pitch classes in another key.
        assert any(np.std(part / np.roll(was, key, axis=1), axis=0).max() < 1e-3 for key in keys)


def test_bars_are_averaged_over_their_beats() -> None:
    weights = bar_weights(BARS_MEET)
    assert weights.sum(axis=2) == pytest.approx(np.array([[1, 1, 0 if bar.beats == 2 else 1] for bar in BARS]))
    for bar, rows in zip(BARS, weights, strict=True):
        assert set(np.flatnonzero(rows[0]) // 4 % bar.beats) == {bar.first}
        assert not (rows > 0).all(axis=0).any() and set(np.flatnonzero(rows.any(axis=0)) % 4) == {0}


def test_what_is_seen_is_the_middle_of_a_long_piece() -> None:
    example = make_example(make_piece(12, genre="techno", duration_s=75, tempo_bpm=140))
    assert example is not None
    assert example.sizes.max() == MOST_CELLS and example.seen.shape[1] == SEEN
    assert np.isfinite(example.seen).all()
    assert (
        len(example.lattice) == len(example.beat) == len(example.rows)
        and example.lattice.max() == len(example.sizes) - 1
    )


def test_the_networks_are_in_the_models_file() -> None:
    with np.load(MODELS) as file:
        for name, value in pack_networks(load_networks()).items():
            assert np.array_equal(file[name], value)


def test_cells_are_seen_whatever_their_number() -> None:
    for network in (one for several in load_networks().values() for one in several):
        for count in (1, 3, 700):
            heard = network.hear(np.ones((count, SEEN), np.float16))
            assert len(heard) == count and np.isfinite(heard).all()
