"""Network: training the networks that rank grids and bars, in torch; what they learn is evaluated by numpy alone.

Each step takes some pieces, of grids the right lattices and some others, of each a stretch from anywhere, and makes the
right rivals likely (a listwise loss; Cao et al., ICML 2007). What is heard is altered each time, see :mod:`alter`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from handlers.audio.grid.bars import BARS
from handlers.audio.grid.hypotheses import QUARTERS
from handlers.audio.grid.network import BARS_MEET, DILATIONS, SEEN, Network, bar_weights
from handlers.audio.grid.ranking import contrast
from training.beats.alter import draw_alteration, unsettle
from training.beats.examples import Example

CHANNELS, WIDTH, DROPPED, RATE = 48, 96, 0.3, 2e-3
EPOCHS, PIECES, DECAY = 12, 10, 1e-2
STRETCH, MOST_RIGHT, WRONG = 256, 3, 5
"""Cells of a lattice, and right and wrong lattices of a piece, heard in one step."""
BAR_EPOCHS, BAR_PIECES, BAR_DECAY, BAR_STRETCH = 8, 16, 0.1, 12 * BARS_MEET
"""Of bars less is learned: a larger network (64, 128) after twelve epochs was right on as much made-up music and on 1 % fewer
modules."""


class _Ear(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(SEEN, CHANNELS, 5, padding=2)
        self.blocks = nn.ModuleList(nn.Conv1d(CHANNELS, CHANNELS, 3, padding=d, dilation=d) for d in DILATIONS)

    def forward(self, seen: torch.Tensor, there: torch.Tensor) -> torch.Tensor:
        now = torch.relu(self.first(seen)) * there
        for block in self.blocks:
            now = now + torch.relu(block(now)) * there
        return now


class _Head(nn.Module):
    def __init__(self, traits: int, heard: int) -> None:
        super().__init__()
        self.traits, self.cells = nn.Linear(traits, WIDTH), nn.Linear(heard, WIDTH)
        self.joint, self.rivals = nn.Linear(2 * WIDTH, WIDTH), nn.Linear(2 * WIDTH, WIDTH)
        self.last, self.drop = nn.Linear(WIDTH, 1, bias=False), nn.Dropout(DROPPED)

    def forward(self, heard: torch.Tensor, known: torch.Tensor, piece: torch.Tensor, pieces: int) -> torch.Tensor:
        both = torch.relu(torch.cat([self.cells(self.drop(heard)), self.traits(self.drop(known))], 1))
        inner = torch.relu(self.joint(self.drop(both)))
        total = torch.zeros(pieces, WIDTH).index_add(0, piece, inner)
        rivals = torch.zeros(pieces).index_add(0, piece, torch.ones(len(piece)))
        inner = torch.cat([inner, inner - (total / rivals[:, None])[piece]], 1)
        return self.last(self.drop(torch.relu(self.rivals(inner))))[:, 0]


class GridNet(nn.Module):
    """The network of grids, read at each quarter of the beat."""

    def __init__(self, traits: int) -> None:
        super().__init__()
        self.ear, self.head = _Ear(), _Head(traits, 2 * CHANNELS * QUARTERS)

    def forward(self, seen, there, lattice, beat, known, piece, pieces):
        """Scores of grids, of all pieces one after the other."""
        now = self.ear(seen, there)
        lattices, channels, cells = now.shape
        now, there = (x.reshape(lattices, -1, cells // QUARTERS, QUARTERS) for x in (now, there))
        count = there.sum(2).clamp(min=1)
        mean = now.sum(2) / count
        spread = torch.sqrt((((now - mean[:, :, None]) ** 2) * there).sum(2) / count + 1e-4)
        heard = torch.cat([mean, spread], 1)[lattice]
        order = (beat[:, None] + torch.arange(QUARTERS)) % QUARTERS
        heard = torch.gather(heard, 2, order[:, None].expand(-1, 2 * channels, -1)).flatten(1)
        return self.head(heard, known, piece, pieces)


class BarNet(nn.Module):
    """The network of bars, read at each beat that may begin one."""

    def __init__(self, traits: int) -> None:
        super().__init__()
        self.ear, self.head = _Ear(), _Head(traits, 3 * CHANNELS)

    def forward(self, seen, there, known, piece, pieces):
        """Scores of bars, nine for each piece."""
        now = self.ear(seen, there)
        # Averages over what is there of each piece.
        weights = torch.from_numpy(bar_weights(now.shape[2]))
        weights = (weights > 0).float()[None] * there[:, :, None]
        weights = weights / weights.sum(3, keepdim=True).clamp(min=1)
        heard = torch.einsum("bcl,bhkl->bhkc", now, weights).reshape(pieces * len(BARS), -1)
        return self.head(heard, known, piece, pieces)


@dataclass(frozen=True)
class Lesson:
    """What is taught of one piece."""

    one: Example
    known: np.ndarray
    """Standardised traits of its rivals, float32 ``(rivals, traits)``."""
    lattices: np.ndarray
    """Int: lattices that are heard of it, the right ones besides."""


Batch = Callable[[Sequence[Lesson], np.random.Generator], tuple[torch.Tensor, ...]]


@dataclass(frozen=True)
class Standard:
    """What traits are standardised by, ``(traits,)`` each."""

    mean: np.ndarray
    scale: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[np.ndarray]) -> Standard:
        """Measure the traits of all pieces."""
        stacked = np.concatenate(rows)
        return cls(stacked.mean(axis=0), stacked.std(axis=0) + 1e-3)

    def apply(self, rows: np.ndarray) -> np.ndarray:
        """Standardised traits, float32."""
        return ((rows - self.mean) / self.scale).clip(-5, 5).astype(np.float32)


def fit_grids(
    examples: Sequence[Example],
    weights: np.ndarray,
    finalists: Sequence[np.ndarray],
    *,
    epochs: int = EPOCHS,
    seed: int = 0,
) -> Network:
    """Fit the network of grids.

    Parameters
    ----------
    examples
        Each with a right hypothesis.
    weights
        What each counts, ``(examples,)``.
    finalists
        Of each the lattices that rank first by traits: wrong ones are taken from these.
    epochs
        How often each is seen.
    """
    rows = [contrast(one.rows) for one in examples]
    return _fit(GridNet, grid_batch, examples, rows, finalists, weights, epochs, PIECES, DECAY, seed)


def fit_bars(examples: Sequence[Example], weights: np.ndarray, *, epochs: int = BAR_EPOCHS, seed: int = 0) -> Network:
    """Fit the network of bars, from examples whose bars are known; parameters as in :func:`fit_grids`."""
    rows = [contrast(one.bar_rows) for one in examples]
    nothing_else = [np.zeros(0, int)] * len(examples)
    return _fit(BarNet, bar_batch, examples, rows, nothing_else, weights, epochs, BAR_PIECES, BAR_DECAY, seed)


def _fit(
    make: type[GridNet] | type[BarNet], batch: Batch, examples: Sequence[Example], rows: Sequence[np.ndarray],
    lattices: Sequence[np.ndarray], weights: np.ndarray, epochs: int, pieces: int, decay: float, seed: int,
) -> Network:  # fmt: skip
    standard = Standard.of(rows)
    lessons = [
        Lesson(one, standard.apply(row), heard) for one, row, heard in zip(examples, rows, lattices, strict=True)
    ]
    torch.manual_seed(seed)
    net, rng, count = make(len(standard.mean)), np.random.default_rng(seed), len(examples)
    step = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=decay)
    rate = torch.optim.lr_scheduler.OneCycleLR(step, RATE, total_steps=epochs * (count // pieces) + 1, pct_start=0.15)
    for epoch in range(epochs):
        order, losses = rng.permutation(count), []
        for start in range(0, count // pieces * pieces, pieces):
            picked = order[start : start + pieces]
            *given, piece, right = batch([lessons[n] for n in picked], rng)
            loss = _loss(
                net(*given, piece, len(picked)), piece, right, torch.tensor(weights[picked], dtype=torch.float32)
            )
            step.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(net.parameters(), 2.0)
            step.step()
            rate.step()
            losses.append(float(loss.detach()))
        print(f"  {make.__name__}: {epoch + 1} of {epochs}, loss {np.mean(losses):.3f}", flush=True)
    return export(net.eval(), standard)


def grid_batch(lessons: Sequence[Lesson], rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
    """What :class:`GridNet` is given of some pieces, and which grids are right."""
    stretches, lattice, beat, known, piece, right = [], [], [], [], [], []
    for number, lesson in enumerate(lessons):
        one, alter = lesson.one, draw_alteration(rng)
        good = np.unique(one.lattice[one.right])
        others = np.setdiff1d(lesson.lattices, good)
        used = np.concatenate([rng.permutation(good)[:MOST_RIGHT], rng.permutation(others)[:WRONG]])
        place = {int(which): len(stretches) + turn for turn, which in enumerate(used)}
        for which in used:
            seen = one.seen_of(int(which))
            start = int(rng.integers(0, max(0, len(seen) - STRETCH) // QUARTERS + 1)) * QUARTERS
            stretches.append(alter(seen[start : start + STRETCH]))
        kept = np.isin(one.lattice, used)
        lattice += [place[int(which)] for which in one.lattice[kept]]
        beat += list(one.beat[kept])
        known.append(unsettle(lesson.known[kept], rng))
        piece += [number] * int(kept.sum())
        right.append(one.right[kept])
    return (
        *_stack(stretches), torch.tensor(lattice), torch.tensor(beat), torch.from_numpy(np.concatenate(known)),
        torch.tensor(piece), torch.from_numpy(np.concatenate(right)).float(),
    )  # fmt: skip


def bar_batch(lessons: Sequence[Lesson], rng: np.random.Generator) -> tuple[torch.Tensor, ...]:
    """What :class:`BarNet` is given of some pieces, and which bars are right."""
    stretches = []
    for lesson in lessons:
        seen = lesson.one.seen_of_right()
        start = int(rng.integers(0, max(0, len(seen) - BAR_STRETCH) // BARS_MEET + 1)) * BARS_MEET
        stretches.append(draw_alteration(rng)(seen[start : start + BAR_STRETCH]))
    right = np.concatenate([np.arange(len(BARS)) == lesson.one.bar for lesson in lessons])
    return (
        *_stack(stretches), torch.from_numpy(np.concatenate([unsettle(lesson.known, rng) for lesson in lessons])),
        torch.arange(len(lessons)).repeat_interleave(len(BARS)), torch.from_numpy(right).float(),
    )  # fmt: skip


def _stack(stretches: Sequence[np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Stretches side by side, ``(n, SEEN, cells)``, and where they are, ``(n, 1, cells)``."""
    longest = -(-max(map(len, stretches)) // QUARTERS) * QUARTERS
    seen = np.zeros((len(stretches), SEEN, longest), np.float32)
    there = np.zeros((len(stretches), 1, longest), np.float32)
    for number, stretch in enumerate(stretches):
        seen[number, :, : len(stretch)] = stretch.T
        there[number, 0, : len(stretch)] = 1
    return torch.from_numpy(seen), torch.from_numpy(there)


def _loss(scores: torch.Tensor, piece: torch.Tensor, right: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Mean surprise that a right grid is right."""
    count = len(weights)
    top = torch.full((count,), -1e9).scatter_reduce(0, piece, scores.detach(), "amax")
    odds = torch.exp(scores - top[piece])
    total = torch.zeros(count).index_add(0, piece, odds)
    good = torch.zeros(count).index_add(0, piece, odds * right)
    return ((torch.log(total) - torch.log(good + 1e-12)) * weights).sum() / weights.sum()


def export(net: GridNet | BarNet, standard: Standard) -> Network:
    """Copy a network's weights into plain arrays."""

    def matrix(layer: nn.Module) -> np.ndarray:
        weight = layer.weight.detach().numpy()
        # A convolution's (out, in, taps) as (taps * in, out).
        return weight.T if weight.ndim == 2 else weight.transpose(2, 1, 0).reshape(-1, weight.shape[0])

    def bias(layer: nn.Module) -> np.ndarray:
        return layer.bias.detach().numpy()

    ear, head = net.ear, net.head
    return Network(
        matrix(ear.first), bias(ear.first), np.stack([matrix(block) for block in ear.blocks]),
        np.stack([bias(block) for block in ear.blocks]), standard.mean, standard.scale, matrix(head.traits),
        bias(head.traits), matrix(head.cells), bias(head.cells), matrix(head.joint), bias(head.joint),
        matrix(head.rivals), bias(head.rivals), matrix(head.last),
    )  # fmt: skip
