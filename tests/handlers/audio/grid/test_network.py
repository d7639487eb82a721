"""The network that ranks grids: what numpy says of it is what torch, which trained it, says."""

from __future__ import annotations

import numpy as np
import pytest

from handlers.audio.grid.network import MOST_CELLS, SEEN, load_network, pack_network
from handlers.audio.grid.ranking import MODELS, contrast
from training.beats.examples import make_example
from training.beats.loops import make_loop
from training.beats.music import make_piece


def test_torch_and_numpy_agree() -> None:
    torch = pytest.importorskip("torch")
    from training.beats.network import _batch, _export, _Net

    example = make_example(make_loop(4))
    assert example is not None and len(example.seen) == example.sizes.sum()
    rows = contrast(example.rows)
    mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-3
    torch.manual_seed(3)
    net = _Net(rows.shape[1]).eval()
    network = _export(net, mean, scale)
    known = ((rows - mean) / scale).clip(-5, 5).astype(np.float32)
    seen = [example.seen_of(number)[:200] for number in range(len(example.sizes))]
    with torch.no_grad():
        whole = np.zeros((len(seen), SEEN, 200), np.float32)
        there = np.zeros((len(seen), 1, 200), np.float32)
        for number, cells in enumerate(seen):
            whole[number, :, : len(cells)], there[number, 0, : len(cells)] = cells.T, 1
        given = (whole, there, example.lattice, example.beat, known, np.zeros(len(rows), int))
        expected = net(*map(torch.from_numpy, given), 1).numpy()
    scores = network.score(seen, example.lattice, example.beat, rows)
    assert scores == pytest.approx(expected, abs=2e-4 * float(np.abs(expected).max()))
    *_, right = _batch([(example, known)], np.random.default_rng(1))
    assert right.sum() == example.right.sum()


def test_what_is_seen_is_the_middle_of_a_long_piece() -> None:
    example = make_example(make_piece(12, genre="techno", duration_s=75, tempo_bpm=140))
    assert example is not None
    assert example.sizes.max() == MOST_CELLS and example.seen.shape[1] == SEEN
    assert np.isfinite(example.seen).all()
    assert (
        len(example.lattice) == len(example.beat) == len(example.rows)
        and example.lattice.max() == len(example.sizes) - 1
    )


def test_the_network_is_in_the_models_file() -> None:
    network = load_network()
    with np.load(MODELS) as file:
        for name, value in pack_network(network).items():
            assert np.array_equal(file[name], value)


def test_cells_are_seen_whatever_their_number() -> None:
    network = load_network()
    for count in (1, 3, 700):
        heard = network.hear(np.ones((count, SEEN), np.float16))
        assert heard.shape[1] == 4 and np.isfinite(heard).all()
