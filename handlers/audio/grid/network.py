"""Network: small convolutional networks that hear every quarter beat of a lattice and rank grids and bars, in numpy.

What traits average away, such as a fill that leans on the beat or a chord that turns half a bar early, they may still
hear: they run along the cells of a lattice in steps of a quarter, a beat, a bar and four bars. One is read at each of the
four quarters that may be the beat, the other at each beat that may begin a bar. `make train-beats` trains them; here they
are only evaluated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import Field, dataclass, fields, replace
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from handlers.audio.grid.bars import BARS
from handlers.audio.grid.hypotheses import QUARTERS
from handlers.audio.grid.ranking import MODELS, Model, contrast
from handlers.audio.grid.traits import GROUPS, SPANS, Cells, novelty

MOST_CELLS = 768
"""Of a lattice; of more the middle is heard: 96 s at 120 BPM."""
BARS_MEET = 48
"""Cells after which bars of every meter begin together."""
DILATIONS = (4, 1, 16, 4, 64)
_ENDS = [int(end) for end in np.cumsum([0, 3, 4, GROUPS, 12, 12, *3 * [len(SPANS)]])]
HITS, BETWEEN, LEVELS, NOTES, BASS, *NOVELTIES = KINDS = [slice(start, end) for start, end in pairwise(_ENDS)]
"""Columns of what is seen of each cell, by kind: see :func:`look`."""
SEEN = _ENDS[-1]
"""Values of each cell."""
FINALISTS = 8
"""Lattices that are heard of some thirty: the right one is among the first six by traits alone in 98 to 100 of 100 pieces."""
NETWORKS = 2
"""Of each kind; they learned the same from other beginnings, and on made-up music that they had not heard their mean is a
little more often right than either."""
NETWORK_SHARE, BAR_SHARE = 3.0, 2.0
"""How much of the networks' score is added to that of the trees and the linear part."""
_CLIP = 5.0


def middle(cells: Cells) -> Cells:
    """What the network hears of a lattice's cells: at most `MOST_CELLS`, from one whose number is a multiple of `BARS_MEET`."""
    count = len(cells.hits)
    if count <= MOST_CELLS:
        return cells
    first = (count - MOST_CELLS) // 2 // BARS_MEET * BARS_MEET
    # Copies, so that the rest may go.
    parts = {one.name: getattr(cells, one.name) for one in fields(cells)}
    return replace(cells, **{
        name: part[first : first + MOST_CELLS + len(part) - count].copy()
        for name, part in parts.items() if isinstance(part, np.ndarray)
    })  # fmt: skip


def look(cells: Cells) -> np.ndarray:
    """What the network sees of the :func:`middle` of a lattice's cells: float16 ``(cells, SEEN)``.

    Hits in three bands at each quarter, in all and in the low band a third and two thirds of a quarter later; levels in
    groups of bands; pitch classes, of all and of the bass; novelty of these.
    """
    columns = [np.log1p(np.concatenate([cells.hits, cells.twelfths.reshape(-1, 6)[:, 2:]], axis=1).clip(0))]
    changes = []
    for running, scale, most in ((cells.timbre, 2.0, 3.0), (cells.notes, 4.0, np.inf), (cells.bass, 4.0, np.inf)):
        level = np.diff(running, axis=0)
        columns.append((level - level.mean(axis=0)).clip(-most, most) * scale)
        for span in SPANS:
            curve = novelty(running, span)[:-1]
            changes.append(np.minimum(curve / (curve.mean() + 1e-3), 8) / 2)
    return np.concatenate([*columns, np.stack(changes, axis=1)], axis=1).astype(np.float16)


@dataclass(frozen=True)
class Network:
    """A trained network: an ear that runs along cells, and a head that ranks rivals by what was heard and by traits.

    Weights are float32, ``(in, out)``, biases ``(out,)``.
    """

    first: np.ndarray
    """``(5 * SEEN, channels)``: the convolution over five cells."""
    first_bias: np.ndarray
    blocks: np.ndarray
    """``(len(DILATIONS), 3 * channels, channels)``: convolutions over three cells, so far apart."""
    block_biases: np.ndarray
    mean: np.ndarray
    scale: np.ndarray
    """``(traits,)``: what traits are standardised by."""
    from_traits: np.ndarray
    from_traits_bias: np.ndarray
    from_cells: np.ndarray
    from_cells_bias: np.ndarray
    joint: np.ndarray
    joint_bias: np.ndarray
    rivals: np.ndarray
    rivals_bias: np.ndarray
    last: np.ndarray

    def hear(self, seen: np.ndarray) -> np.ndarray:
        """What is heard in each cell, from :func:`look`: float32 ``(cells, channels)``."""
        now = np.maximum(_beside(seen.astype(np.float32), 1, 2) @ self.first + self.first_bias, 0)
        for step, weight, bias in zip(DILATIONS, self.blocks, self.block_biases, strict=True):
            now = now + np.maximum(_beside(now, step, 1) @ weight + bias, 0)
        return now

    def rank(self, heard: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Score rivals, as log-odds among them: ``(rivals,)``.

        Parameters
        ----------
        heard
            What was heard of each, pooled: ``(rivals, ...)``.
        rows
            Traits with their contrast ``(rivals, traits)``, see :func:`handlers.audio.grid.ranking.contrast`.
        """
        known = ((rows - self.mean) / self.scale).clip(-_CLIP, _CLIP).astype(np.float32)
        both = np.concatenate(
            [heard @ self.from_cells + self.from_cells_bias, known @ self.from_traits + self.from_traits_bias], axis=1
        )
        inner = np.maximum(np.maximum(both, 0) @ self.joint + self.joint_bias, 0)
        inner = np.concatenate([inner, inner - inner.mean(axis=0)], axis=1)
        return np.maximum(inner @ self.rivals + self.rivals_bias, 0) @ self.last[:, 0]


def _beside(rows: np.ndarray, step: int, reach: int) -> np.ndarray:
    """Each row with those `step` apart, `reach` of them either way, zeros beyond the ends: ``(n, (2 reach + 1) width)``."""
    padded = np.pad(rows, ((step * reach, step * reach), (0, 0)))
    return np.concatenate([padded[step * k : step * k + len(rows)] for k in range(2 * reach + 1)], axis=1)


def _by_quarter(heard: np.ndarray) -> np.ndarray:
    """Mean and spread of what is heard at each quarter of the beat: float32 ``(2 * channels, QUARTERS)``."""
    result = np.zeros((2, heard.shape[1], QUARTERS), np.float32)
    for quarter in range(min(QUARTERS, len(heard))):
        part = heard[quarter::QUARTERS]
        result[0, :, quarter] = part.mean(axis=0)
        result[1, :, quarter] = np.sqrt(part.var(axis=0) + 1e-4)
    return result.reshape(-1, QUARTERS)


def bar_weights(cells: int) -> np.ndarray:
    """How what is heard is averaged for each of `BARS`: float32 ``(9, 3, cells)``, rows that sum to 1 or are 0.

    Over the first beats of its bars, over the beats in the middle of them, and over all other beats.
    """
    place = np.arange(cells)
    weights = np.zeros((len(BARS), 3, cells), np.float32)
    for number, bar in enumerate(BARS):
        beat, within = np.divmod(place, QUARTERS)
        beat = (beat - bar.first) % bar.beats
        middle = bar.beats // 2 if bar.beats == 4 else 1
        for row, chosen in enumerate((beat == 0, beat == middle, (beat != 0) & (beat != middle))):
            weights[number, row] = chosen & (within == 0)
    return weights / weights.sum(axis=2, keepdims=True).clip(1)


def score_grids(
    model: Model, networks: Sequence[Network], rows: np.ndarray, seen: Callable[[int], np.ndarray], lattice: np.ndarray,
    beat: np.ndarray,
) -> np.ndarray:  # fmt: skip
    """Scores of grids by both, ``(grids,)``: their mistakes differ, so that the sum is right more often than either.

    Networks hear the `FINALISTS` among lattices; of them all others have what the last of those has.

    Parameters
    ----------
    model
        Trees and a linear part, which see traits.
    networks
        Those of grids.
    rows
        Traits ``(grids, traits)``.
    seen
        From the number of a lattice what :func:`look` says of it.
    lattice, beat
        Int ``(grids,)``: the lattice of each grid, and which of its quarters is the beat.
    """
    scores = model.score(rows)
    finalists = finalists_of(scores, lattice)
    final = np.isin(lattice, finalists)
    looks = [seen(int(number)) for number in finalists]
    place = np.searchsorted(finalists, lattice[final])
    order = (beat[final, None, None] + np.arange(QUARTERS)) % QUARTERS
    said = np.zeros(len(scores))
    for network in networks:
        heard = np.stack([_by_quarter(network.hear(one)) for one in looks])[place]
        heard = np.take_along_axis(heard, order, axis=2).reshape(len(place), -1)
        said[final] += network.rank(heard, contrast(rows)[final]) / len(networks)
    said[~final] = said[final].min()
    return scores + NETWORK_SHARE * said


def finalists_of(scores: np.ndarray, lattice: np.ndarray) -> np.ndarray:
    """The `FINALISTS` lattices with the best grid by scores ``(grids,)``: their numbers, increasing."""
    best = np.full(int(lattice.max()) + 1, -np.inf)
    np.maximum.at(best, lattice, scores)
    return np.sort(np.argsort(-best, kind="stable")[:FINALISTS])


def score_bars(model: Model, networks: Sequence[Network], rows: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """Scores of each of `BARS` by both, ``(9,)``.

    Parameters
    ----------
    model
        Trees and a linear part, which see traits.
    networks
        Those of bars.
    rows
        Traits ``(9, traits)``, from :func:`handlers.audio.grid.bars.describe_bars`.
    seen
        From :func:`look`, of the right lattice, from a beat on.
    """
    weights, known = bar_weights(len(seen)), contrast(rows)
    said = [network.rank((weights @ network.hear(seen)).reshape(len(rows), -1), known) for network in networks]
    return model.score(rows) + BAR_SHARE * np.mean(said, axis=0)


@lru_cache(maxsize=1)
def load_networks(path: Path = MODELS) -> dict[str, tuple[Network, ...]]:
    """Read the networks, those of ``grid`` and of ``bar``, from the models file."""
    with np.load(path) as file:
        return {
            name: tuple(
                Network(**{part.name: file[_key(name, turn, part)].astype(np.float32) for part in fields(Network)})
                for turn in range(NETWORKS)
            )
            for name in ("grid", "bar")
        }


def pack_networks(networks: dict[str, tuple[Network, ...]]) -> dict[str, np.ndarray]:
    """The arrays of a models file from networks; their weights as halves of floats."""
    return {
        _key(name, turn, part): np.asarray(getattr(network, part.name)).astype(
            np.float32 if part.name in ("mean", "scale") else np.float16
        )
        for name, several in networks.items()
        for turn, network in enumerate(several)
        for part in fields(Network)
    }


def _key(name: str, turn: int, part: Field) -> str:
    return f"network.{name}.{turn}.{part.name}"
