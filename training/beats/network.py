"""Network: training the network that ranks grids, in torch; what it learns is evaluated by numpy alone.

Each step takes some pieces, of each the right lattices and some others, of each a stretch from anywhere, and makes the
right grids likely among their rivals (a listwise loss; Cao et al., ICML 2007).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn

from handlers.audio.grid.hypotheses import QUARTERS
from handlers.audio.grid.network import DILATIONS, SEEN, Network
from handlers.audio.grid.ranking import contrast
from training.beats.examples import Example

CHANNELS, WIDTH, DROPPED = 32, 64, 0.3
EPOCHS, PIECES, RATE, DECAY = 7, 10, 2e-3, 1e-2
STRETCH, WRONG = 256, 5
"""Cells of a lattice, and wrong lattices of a piece, seen in one step."""


class _Net(nn.Module):
    def __init__(self, traits: int) -> None:
        super().__init__()
        self.first = nn.Conv1d(SEEN, CHANNELS, 5, padding=2)
        self.blocks = nn.ModuleList(nn.Conv1d(CHANNELS, CHANNELS, 3, padding=d, dilation=d) for d in DILATIONS)
        self.traits, self.cells = nn.Linear(traits, WIDTH), nn.Linear(2 * CHANNELS * QUARTERS, WIDTH)
        self.joint, self.rivals = nn.Linear(2 * WIDTH, WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.last, self.drop = nn.Linear(WIDTH, 1, bias=False), nn.Dropout(DROPPED)

    def forward(self, seen, there, lattice, beat, known, piece, pieces):  # noqa: ANN001, ANN201, PLR0913
        now = torch.relu(self.first(seen)) * there
        for block in self.blocks:
            now = now + torch.relu(block(now)) * there
        lattices, channels, cells = now.shape
        now, there = (x.reshape(lattices, -1, cells // QUARTERS, QUARTERS) for x in (now, there))
        count = there.sum(2).clamp(min=1)
        mean = now.sum(2) / count
        spread = torch.sqrt((((now - mean[:, :, None]) ** 2) * there).sum(2) / count + 1e-4)
        heard = torch.cat([mean, spread], 1)[lattice]
        order = (beat[:, None] + torch.arange(QUARTERS)) % QUARTERS
        heard = torch.gather(heard, 2, order[:, None].expand(-1, 2 * channels, -1)).flatten(1)
        both = torch.relu(torch.cat([self.cells(self.drop(heard)), self.traits(self.drop(known))], 1))
        inner = torch.relu(self.joint(self.drop(both)))
        total = torch.zeros(pieces, WIDTH).index_add(0, piece, inner)
        rivals = torch.zeros(pieces).index_add(0, piece, torch.ones(len(piece)))
        inner = torch.cat([inner, inner - (total / rivals[:, None])[piece]], 1)
        return self.last(self.drop(torch.relu(self.rivals(inner))))[:, 0]


def fit_network(examples: Sequence[Example], weights: np.ndarray, *, epochs: int = EPOCHS, seed: int = 0) -> Network:
    """Fit the network.

    Parameters
    ----------
    examples
        Each with a right hypothesis.
    weights
        What each counts, ``(examples,)``.
    epochs
        How often each is seen.
    """
    rng = np.random.default_rng(seed)
    torch.manual_seed(seed)
    rows = [contrast(one.rows) for one in examples]
    stacked = np.concatenate(rows)
    mean, scale = stacked.mean(axis=0), stacked.std(axis=0) + 1e-3
    known = [((one - mean) / scale).clip(-5, 5).astype(np.float32) for one in rows]
    net = _Net(len(mean))
    step = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        step, RATE, total_steps=epochs * (len(examples) // PIECES) + 1, pct_start=0.15
    )
    for epoch in range(epochs):
        order, losses = rng.permutation(len(examples)), []
        for start in range(0, len(examples) // PIECES * PIECES, PIECES):
            picked = order[start : start + PIECES]
            *given, right = _batch([(examples[n], known[n]) for n in picked], rng)
            loss = _loss(net(*given, len(picked)), given[-1], right, torch.tensor(weights[picked], dtype=torch.float32))
            step.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            step.step()
            rate.step()
            losses.append(float(loss.detach()))
        print(f"  network: {epoch + 1} of {epochs}, loss {np.mean(losses):.3f}", flush=True)
    return _export(net, mean, scale)


def _batch(pieces: Sequence[tuple[Example, np.ndarray]], rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
    stretches, lattice, beat, known, piece, right = [], [], [], [], [], []
    for number, (one, rows) in enumerate(pieces):
        good = np.unique(one.lattice[one.right])
        others = np.setdiff1d(np.arange(len(one.sizes)), good)
        used = np.concatenate([good[:4], rng.permutation(others)[:WRONG]])
        place = {int(which): len(stretches) + turn for turn, which in enumerate(used)}
        for which in used:
            seen = one.seen_of(int(which))
            start = int(rng.integers(0, max(0, len(seen) - STRETCH) // QUARTERS + 1)) * QUARTERS
            stretches.append(seen[start : start + STRETCH])
        kept = np.isin(one.lattice, used)
        lattice += [place[int(which)] for which in one.lattice[kept]]
        beat += list(one.beat[kept])
        known.append(rows[kept])
        piece += [number] * int(kept.sum())
        right.append(one.right[kept])
    longest = -(-max(map(len, stretches)) // QUARTERS) * QUARTERS
    seen = np.zeros((len(stretches), SEEN, longest), np.float32)
    there = np.zeros((len(stretches), 1, longest), np.float32)
    for number, stretch in enumerate(stretches):
        seen[number, :, : len(stretch)] = stretch.T
        there[number, 0, : len(stretch)] = 1
    return (
        torch.from_numpy(seen), torch.from_numpy(there), torch.tensor(lattice), torch.tensor(beat),
        torch.from_numpy(np.concatenate(known)), torch.tensor(piece), torch.from_numpy(np.concatenate(right)).float(),
    )  # fmt: skip


def _loss(scores: torch.Tensor, piece: torch.Tensor, right: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean surprise that a right grid is right."""
    count = len(weights)
    top = torch.full((count,), -1e9).scatter_reduce(0, piece, scores.detach(), "amax")
    odds = torch.exp(scores - top[piece])
    total = torch.zeros(count).index_add(0, piece, odds)
    good = torch.zeros(count).index_add(0, piece, odds * right)
    return ((torch.log(total) - torch.log(good + 1e-12)) * weights).sum() / weights.sum()


def _export(net: _Net, mean: np.ndarray, scale: np.ndarray) -> Network:
    def matrix(layer: nn.Module) -> np.ndarray:
        weight = layer.weight.detach().numpy()
        # A convolution's (out, in, taps) as (taps * in, out).
        return weight.T if weight.ndim == 2 else weight.transpose(2, 1, 0).reshape(-1, weight.shape[0])

    def bias(layer: nn.Module) -> np.ndarray:
        return layer.bias.detach().numpy()

    return Network(
        matrix(net.first), bias(net.first), np.stack([matrix(block) for block in net.blocks]),
        np.stack([bias(block) for block in net.blocks]), mean, scale, matrix(net.traits), bias(net.traits),
        matrix(net.cells), bias(net.cells), matrix(net.joint), bias(net.joint), matrix(net.rivals), bias(net.rivals),
        matrix(net.last),
    )  # fmt: skip
