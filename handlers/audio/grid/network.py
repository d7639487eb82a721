"""Network: a small convolutional network that hears every quarter beat of a lattice and ranks the grids, in numpy.

What traits average away, such as a fill that leans on the beat or a chord that turns half a bar early, it may still hear:
it runs along the cells of each lattice in steps of a quarter, a beat, a bar and four bars, and is read at each of the
four quarters that may be the beat. `make train-beats` trains it; here it is only evaluated.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import lru_cache
from pathlib import Path

import numpy as np

from handlers.audio.grid.hypotheses import QUARTERS
from handlers.audio.grid.ranking import MODELS, Model, contrast
from handlers.audio.grid.traits import GROUPS, SPANS, Cells, novelty

MOST_CELLS = 768
"""Of a lattice; of more the middle is heard: 96 s at 120 BPM."""
DILATIONS = (4, 1, 16, 4, 64)
SEEN = 7 + GROUPS + 12 + 2 * len(SPANS)
"""Values of each cell."""
NETWORK_SHARE = 2.0
"""How much of the network's score is added to that of the trees and the linear part."""
_CLIP = 5.0


def look(cells: Cells) -> np.ndarray:
    """What the network sees of a lattice's cells: float16 ``(cells, SEEN)``, at most `MOST_CELLS` from the middle.

    Hits in three bands at each quarter, in all and in the low band a third and two thirds of a quarter later; levels in
    groups of bands; pitch classes; novelty of both. The first row is a cell whose number is a multiple of four.
    """
    count = len(cells.hits)
    first = max(0, (count - MOST_CELLS) // 2 // QUARTERS * QUARTERS)
    part = slice(first, first + MOST_CELLS)
    hits = np.concatenate([cells.hits[part], cells.twelfths[part].reshape(-1, 6)[:, 2:]], axis=1)
    columns = [np.log1p(hits.clip(0))]
    changes = []
    for running, scale, most in ((cells.timbre, 2.0, 3.0), (cells.notes, 4.0, np.inf)):
        running = running[first : first + MOST_CELLS + 1]
        level = np.diff(running, axis=0)
        columns.append((level - level.mean(axis=0)).clip(-most, most) * scale)
        for span in SPANS:
            curve = novelty(running, span)[:-1]
            changes.append(np.minimum(curve / (curve.mean() + 1e-3), 8) / 2)
    return np.concatenate([*columns, np.stack(changes, axis=1)], axis=1).astype(np.float16)


@dataclass(frozen=True)
class Network:
    """A trained network; weights float32, ``(in, out)``, biases ``(out,)``."""

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

    def score(self, seen: list[np.ndarray], lattice: np.ndarray, beat: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Score rival grids, as log-odds among them: ``(grids,)``.

        Parameters
        ----------
        seen
            From :func:`look`, of each lattice.
        lattice, beat
            Int ``(grids,)``: the lattice of each grid, and which of its quarters is the beat.
        rows
            Traits with their contrast ``(grids, traits)``, see :func:`handlers.audio.grid.ranking.contrast`.
        """
        heard = np.stack([self.hear(one) for one in seen])[lattice]
        order = (beat[:, None] + np.arange(QUARTERS)) % QUARTERS
        heard = np.take_along_axis(heard, order[:, None, :], axis=2).reshape(len(beat), -1)
        known = ((rows - self.mean) / self.scale).clip(-_CLIP, _CLIP).astype(np.float32)
        both = np.concatenate(
            [heard @ self.from_cells + self.from_cells_bias, known @ self.from_traits + self.from_traits_bias], axis=1
        )
        inner = np.maximum(np.maximum(both, 0) @ self.joint + self.joint_bias, 0)
        inner = np.concatenate([inner, inner - inner.mean(axis=0)], axis=1)
        return np.maximum(inner @ self.rivals + self.rivals_bias, 0) @ self.last[:, 0]

    def hear(self, seen: np.ndarray) -> np.ndarray:
        """Mean and spread of what is heard at each quarter of the beat: float32 ``(2 * channels, QUARTERS)``."""
        now = np.maximum(_beside(seen.astype(np.float32), 1, 2) @ self.first + self.first_bias, 0)
        for step, weight, bias in zip(DILATIONS, self.blocks, self.block_biases, strict=True):
            now = now + np.maximum(_beside(now, step, 1) @ weight + bias, 0)
        result = np.zeros((2, now.shape[1], QUARTERS), np.float32)
        for quarter in range(QUARTERS):
            part = now[quarter::QUARTERS]
            result[0, :, quarter] = part.mean(axis=0) if len(part) else 0
            result[1, :, quarter] = np.sqrt((part.var(axis=0) if len(part) else 0) + 1e-4)
        return result.reshape(-1, QUARTERS)


def _beside(rows: np.ndarray, step: int, reach: int) -> np.ndarray:
    """Each row with those `step` apart, `reach` of them either way, zeros beyond the ends: ``(n, (2 reach + 1) width)``."""
    padded = np.pad(rows, ((step * reach, step * reach), (0, 0)))
    return np.concatenate([padded[step * k : step * k + len(rows)] for k in range(2 * reach + 1)], axis=1)


def score_grids(
    model: Model, network: Network, rows: np.ndarray, seen: list[np.ndarray], lattice: np.ndarray, beat: np.ndarray
) -> np.ndarray:
    """Scores of rival grids by both, ``(grids,)``: their mistakes differ, so that the sum is right more often than either.

    Parameters
    ----------
    model
        Trees and a linear part, which see traits.
    rows
        Traits ``(grids, traits)``.
    seen, lattice, beat
        As in :meth:`Network.score`.
    """
    return model.score(rows) + NETWORK_SHARE * network.score(seen, lattice, beat, contrast(rows))


@lru_cache(maxsize=1)
def load_network(path: Path = MODELS) -> Network:
    """Read the network from the models file."""
    with np.load(path) as file:
        return Network(**{field.name: file[f"network.{field.name}"].astype(np.float32) for field in fields(Network)})


def pack_network(network: Network) -> dict[str, np.ndarray]:
    """The arrays of a models file from a network; its weights as halves of floats."""
    kept = {field.name: np.asarray(getattr(network, field.name)) for field in fields(Network)}
    return {
        f"network.{name}": value.astype(np.float32 if name in ("mean", "scale") else np.float16)
        for name, value in kept.items()
    }
