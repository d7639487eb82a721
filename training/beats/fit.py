"""Fit: from examples to models; the linear part by maximum likelihood among rivals, the trees by gradient boosting.

Training uses scikit-learn (librosa brings it); what it makes is evaluated by numpy alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.optimize import minimize
from sklearn.ensemble import HistGradientBoostingClassifier

from handlers.audio.grid.ranking import Model, Trees, contrast

MOST_WRONG = 45
"""Wrong rivals of each piece that the trees are shown, drawn at random; all made them no better."""
NO_TREES = Trees(np.zeros(0, int), *(np.zeros(0) for _ in range(5)), depth=0)


def fit_ranker(
    groups: Sequence[np.ndarray], right: Sequence[np.ndarray], weights: np.ndarray, *, penalty: float = 100.0,
    trees: int = 200, leaves: int = 12, rate: float = 0.08, tree_share: float = 1.0, seed: int = 0,
) -> Model:  # fmt: skip
    """Fit a model that ranks rivals.

    Parameters
    ----------
    groups
        Traits of the rivals of each piece, ``(rivals, traits)``.
    right
        Which are right, bool ``(rivals,)``; at least one of each piece.
    weights
        What each piece counts, ``(pieces,)``.
    penalty
        On the squares of the linear part's weights.
    trees, leaves, rate
        Of the boosting.
    tree_share
        How much of the trees is added to the linear part.
    """
    seen = [contrast(rows) for rows in groups]
    stacked = np.concatenate(seen)
    mean, scale = stacked.mean(axis=0), stacked.std(axis=0) + 1e-3
    sizes = np.array([len(rows) for rows in seen])
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    owner = np.repeat(np.arange(len(seen)), sizes)
    half = stacked.shape[1] // 2
    # What all rivals share changes nothing in the linear part.
    x = ((stacked - mean) / scale).clip(-6, 6)[:, :half]
    y = np.concatenate(right)
    linear = np.concatenate([_fit_linear(x, y, owner, starts, weights, penalty), np.zeros(half)])
    # Each piece's right ones count as much as its wrong ones, so that pieces with many rivals weigh no more.
    kept = y | (np.random.default_rng(seed).random(len(y)) < MOST_WRONG / sizes[owner])
    share = np.where(y, 1.0 / np.add.reduceat(y, starts)[owner], 1.0 / np.add.reduceat(~y, starts).clip(1)[owner])
    boosted = HistGradientBoostingClassifier(
        max_iter=trees, max_leaf_nodes=leaves, learning_rate=rate, min_samples_leaf=20, l2_regularization=5.0,
        max_features=0.3, early_stopping=False, random_state=seed,
    )  # fmt: skip
    boosted.fit(stacked[kept], y[kept], sample_weight=(share * weights[owner])[kept])
    return Model(mean, scale, linear, 0.0, export(boosted), tree_share)


def _fit_linear(
    x: np.ndarray, y: np.ndarray, owner: np.ndarray, starts: np.ndarray, weights: np.ndarray, penalty: float
) -> np.ndarray:
    """Weights that make the right rivals likely, ``(traits,)``."""

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        score = (x @ w.astype(np.float32)).astype(np.float64)
        top = np.maximum.reduceat(score, starts)
        odds = np.exp(score - top[owner])
        total = np.add.reduceat(odds, starts)
        good = np.add.reduceat(odds * y, starts) + 1e-300
        chance, chance_right = odds / total[owner], odds * y / good[owner]
        value = float((weights * (np.log(total) - np.log(good))).sum() + penalty * (w**2).sum())
        return value, x.T @ ((chance - chance_right) * weights[owner]).astype(np.float32) + 2 * penalty * w

    return minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B", options={"maxiter": 150}).x


def fit_yes_no(rows: np.ndarray, yes: np.ndarray, weights: np.ndarray, *, penalty: float = 1.0) -> Model:
    """Fit a model of one question: log-odds that it is so, from ``(n, traits)``; no rivals, no trees."""
    mean, scale = rows.mean(axis=0), rows.std(axis=0) + 1e-3
    x = ((rows - mean) / scale).clip(-6, 6)
    x = np.concatenate([x, np.ones((len(x), 1))], axis=1)
    sign = np.where(yes, 1.0, -1.0)

    def loss(w: np.ndarray) -> tuple[float, np.ndarray]:
        margin = sign * (x @ w)
        value = float((weights * np.logaddexp(0, -margin)).sum() + penalty * (w[:-1] ** 2).sum())
        slope = x.T @ (-sign * weights / (1 + np.exp(margin.clip(-500, 500))))
        return value, slope + 2 * penalty * np.append(w[:-1], 0)

    w = minimize(loss, np.zeros(x.shape[1]), jac=True, method="L-BFGS-B").x
    return Model(mean, scale, w[:-1], float(w[-1]), NO_TREES, 0.0)


def export(boosted: HistGradientBoostingClassifier) -> Trees:
    """Copy scikit-learn's trees into plain arrays."""
    columns: dict[str, list[np.ndarray]] = {name: [] for name in ("trait", "threshold", "left", "right", "value")}
    roots, count, depth = [], 0, 0
    for (tree,) in boosted._predictors:
        nodes = tree.nodes
        leaf = nodes["is_leaf"].astype(bool)
        roots.append(count)
        columns["trait"].append(np.where(leaf, -1, nodes["feature_idx"]))
        columns["threshold"].append(nodes["num_threshold"])
        columns["left"].append(np.where(leaf, 0, nodes["left"].astype(int) + count))
        columns["right"].append(np.where(leaf, 0, nodes["right"].astype(int) + count))
        columns["value"].append(nodes["value"])
        count += len(nodes)
        depth = max(depth, int(nodes["depth"].max()))
    return Trees(np.array(roots), **{name: np.concatenate(parts) for name, parts in columns.items()}, depth=depth)
