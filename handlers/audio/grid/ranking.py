"""Ranking: a trained model that says which of several hypotheses is right, in numpy.

A model is a linear part and an ensemble of regression trees; both see each hypothesis' traits and how these differ from
the mean of its rivals. `make train-beats` makes the file; it holds no pickles.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

MODELS = Path(__file__).with_name("models.npz")
VERSION = 4


@dataclass(frozen=True)
class Trees:
    """An ensemble of binary trees; all arrays ``(nodes,)``, trees one after the other, children after parents."""

    roots: np.ndarray
    """``(trees,)`` int."""
    trait: np.ndarray
    """int: which trait is asked; -1 at a leaf."""
    threshold: np.ndarray
    """Left where the trait is at most this."""
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    """What a leaf adds."""
    depth: int

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Sum of what the trees say, for ``(n, traits)``: ``(n,)``."""
        if not len(self.roots):
            return np.zeros(len(rows))
        node = np.broadcast_to(self.roots, (len(rows), len(self.roots))).copy()
        row = np.arange(len(rows))[:, None]
        for _ in range(self.depth):
            trait = self.trait[node]
            goes_left = rows[row, trait.clip(0)] <= self.threshold[node]
            node = np.where(trait < 0, node, np.where(goes_left, self.left[node], self.right[node]))
        return self.value[node].sum(axis=1)


@dataclass(frozen=True)
class Model:
    """A trained model of one question."""

    mean: np.ndarray
    scale: np.ndarray
    """``(traits,)`` each: what traits are standardised by, for the linear part."""
    weights: np.ndarray
    """``(traits,)``."""
    bias: float
    trees: Trees
    tree_share: float
    """How much of the trees is added."""
    temper: float = 1.0
    """What scores are divided by, so that probabilities are as often right as they say."""

    def score(self, rows: np.ndarray) -> np.ndarray:
        """Log-odds-like scores of rival hypotheses, ``(n, traits)`` to ``(n,)``."""
        return self._score(contrast(rows))

    def chances(self, rows: np.ndarray, handicap: np.ndarray | float = 0.0) -> np.ndarray:
        """Probabilities of rivals, ``(n, traits)`` to ``(n,)``; `handicap` is added to their scores."""
        return softmax(self.score(rows) / self.temper + handicap)

    def chance(self, row: np.ndarray) -> float:
        """Probability that one question is to be answered with yes, from ``(traits,)``."""
        return float(1 / (1 + np.exp(-self._score(row[None])[0])))

    def _score(self, seen: np.ndarray) -> np.ndarray:
        linear = ((seen - self.mean) / self.scale).clip(-6, 6) @ self.weights + self.bias
        return linear + self.tree_share * self.trees.score(seen)


def contrast(rows: np.ndarray) -> np.ndarray:
    """Each row with how it differs from the mean of all rows: ``(n, 2 * traits)``."""
    return np.concatenate([rows, rows - rows.mean(axis=0)], axis=1).astype(np.float32)


@lru_cache(maxsize=1)
def load_models(path: Path = MODELS) -> dict[str, Model]:
    """Read the models: `grid`, `bar`, `beat` (is there one?).

    Raises
    ------
    ValueError
        When the file is of another version.
    """
    with np.load(path) as file:
        stored = {name: file[name] for name in file.files}
    if int(stored["version"]) != VERSION:
        raise ValueError(f"{path}: version {int(stored['version'])}, and {VERSION} is read here; run make train-beats")
    return {name: _unpack(stored, name) for name in ("grid", "bar", "beat")}


def _unpack(stored: dict[str, np.ndarray], name: str) -> Model:
    part = {key.split(".", 1)[1]: value for key, value in stored.items() if key.startswith(f"{name}.")}
    trees = Trees(
        **{key: part[key] for key in ("roots", "trait", "threshold", "left", "right", "value")},
        depth=int(part["depth"]),
    )
    return Model(
        part["mean"],
        part["scale"],
        part["weights"],
        float(part["bias"]),
        trees,
        float(part["tree_share"]),
        float(part["temper"]),
    )


def pack(models: dict[str, Model]) -> dict[str, np.ndarray]:
    """The arrays of a models file."""
    packed: dict[str, np.ndarray] = {"version": np.array(VERSION)}
    for name, model in models.items():
        trees = model.trees
        packed |= {
            f"{name}.mean": model.mean.astype(np.float32),
            f"{name}.scale": model.scale.astype(np.float32),
            f"{name}.weights": model.weights.astype(np.float32),
            f"{name}.bias": np.array(model.bias, np.float32),
            f"{name}.tree_share": np.array(model.tree_share, np.float32),
            f"{name}.temper": np.array(model.temper, np.float32),
            f"{name}.depth": np.array(trees.depth),
            f"{name}.roots": trees.roots.astype(np.int32),
            f"{name}.trait": trees.trait.astype(np.int16),
            f"{name}.threshold": trees.threshold.astype(np.float32),
            f"{name}.left": trees.left.astype(np.int32),
            f"{name}.right": trees.right.astype(np.int32),
            f"{name}.value": trees.value.astype(np.float32),
        }
    return packed


def softmax(scores: np.ndarray) -> np.ndarray:
    """Probabilities of rivals, ``(n,)``."""
    odds = np.exp(scores - scores.max())
    return odds / odds.sum()
