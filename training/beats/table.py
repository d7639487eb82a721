"""The table: how often what was learned from other kinds of sources is right on each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

import numpy as np
import torch

from handlers.audio.grid.bars import BARS
from handlers.audio.grid.network import HITS, NETWORKS, Network, finalists_of, score_bars, score_grids
from handlers.audio.grid.pulse import describe_victory
from handlers.audio.grid.ranking import Model, softmax
from training.beats.examples import Example
from training.beats.fit import fit_ranker, fit_yes_no
from training.beats.network import fit_bars, fit_grids

MODULE_WEIGHT = 1.5
"""What a variant of a module counts against a made-up piece: it is music by people."""
METER_WEIGHTS = {"4/4": 1.0, "3/4": 2.0, "6/8": 3.0}
"""What a piece counts for bars, so that the rarer meters are not given up for the commonest."""
ASKED = 5
"""Every fifth piece with a beat is asked whether it has one: ranking all of them takes longer than to learn to."""
OCTAVES = (1, 2, 0.5, 3, 1 / 3, 1.5, 2 / 3)


def weigh(examples: Iterable[Example]) -> np.ndarray:
    """What each example counts."""
    return np.array([MODULE_WEIGHT if one.source.startswith("modules") else 1.0 for one in examples])


def with_beat(examples: Iterable[Example]) -> list[Example]:
    """Those that have a beat, and a right hypothesis."""
    return [one for one in examples if one.right.any()]


@dataclass(frozen=True)
class Learned:
    """All that was learned."""

    models: dict[str, Model]
    networks: dict[str, tuple[Network, ...]]

    def score(self, one: Example) -> np.ndarray:
        """Scores of a piece's grids, ``(hypotheses,)``."""
        return score_grids(self.models["grid"], self.networks["grid"], one.rows, one.seen_of, one.lattice, one.beat)

    def describe_won(self, one: Example) -> tuple[int, np.ndarray]:
        """The grid that wins, and the traits by which it is believed or not."""
        scores = self.score(one)
        won = int(np.argmax(scores))
        # Of what is seen, hits are their logarithm.
        hits = np.expm1(one.seen_of(int(one.lattice[won]))[:, HITS].astype(np.float64)).mean(axis=1)
        return won, np.concatenate([one.pulse_rows[won], describe_victory(scores, one.tempi_bpm, hits)])

    def score_bars(self, one: Example) -> np.ndarray:
        """Scores of the bars of a piece's right grid, ``(9,)``."""
        return score_bars(self.models["bar"], self.networks["bar"], one.bar_rows, one.seen_of_right())


def fit_all(examples: Sequence[Example]) -> Learned:
    """Fit every model."""
    ranked = with_beat(examples)
    grid = fit_ranker([one.rows for one in ranked], [one.right for one in ranked], weigh(ranked))
    barred = [one for one in ranked if one.bar >= 0]
    answers = [np.arange(len(BARS)) == one.bar for one in barred]
    bar_weights = weigh(barred) * [METER_WEIGHTS[BARS[one.bar].meter] for one in barred]
    bar = fit_ranker([one.bar_rows for one in barred], answers, bar_weights, trees=100, leaves=8)
    finalists = [finalists_of(grid.score(one.rows), one.lattice) for one in ranked]
    networks = {
        "grid": tuple(fit_grids(ranked, weigh(ranked), finalists, seed=seed) for seed in range(NETWORKS)),
        "bar": tuple(fit_bars(barred, bar_weights, seed=seed) for seed in range(NETWORKS)),
    }
    learned = Learned({"grid": grid, "bar": bar}, networks)
    nothing = [one for one in examples if not one.true_bpm]
    asked = ranked[::ASKED] + nothing
    rows = np.array([learned.describe_won(one)[1] for one in asked])
    count = np.repeat([float(ASKED), 1.0], [len(asked) - len(nothing), len(nothing)])
    learned.models["beat"] = fit_yes_no(rows, np.array([bool(one.true_bpm) for one in asked]), count)
    return learned


@dataclass(frozen=True)
class Fold:
    """What was learned without one kind of source, and how it did on it."""

    learned: Learned
    results: np.ndarray
    """From :func:`try_on`."""
    tempers: dict[str, float]
    """Of models by name: what makes the probabilities of what was held out likeliest."""


def is_of(one: Example, kind: str) -> bool:
    """Whether an example is of a kind of source; what moves is of two: ``moving``, and of what it is made by."""
    return one.source.replace("-", "/").startswith((f"{kind}/", f"moving/{kind}/"))


def fit_fold(read: Callable[[], list[Example]], kind: str | None) -> Fold:
    """Fit on all but one kind, and try it on that; on everything without a kind.

    In a process of its own, with one thread: several threads for arrays so small wait for each other.
    """
    torch.set_num_threads(1)
    examples = read()
    test = [one for one in examples if kind and is_of(one, kind)]
    learned = fit_all([one for one in examples if not (kind and is_of(one, kind))])
    if not test:
        return Fold(learned, np.zeros((0, 7)), {})
    bars = [one for one in test if one.bar >= 0]
    return Fold(
        learned,
        try_on(learned, test),
        {
            "grid": _temper([(learned.score(one), one.right) for one in with_beat(test)]),
            "bar": _temper([(learned.score_bars(one), np.arange(len(BARS)) == one.bar) for one in bars]),
        },
    )


def cross_validate(read: Callable[[], list[Example]], kinds: Sequence[str], processes: int) -> dict[str | None, Fold]:
    """Fit on everything, and on all but each kind; print what these reach on it. Folds by kind, None for everything."""
    columns = ("pieces", "found", "F", "right", "tempo", "octave", "bars", "beat?")
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        waiting = {kind: pool.submit(fit_fold, read, kind) for kind in (None, *kinds)}
        folds = {kind: task.result() for kind, task in waiting.items()}
    print(f"{'from the others':16s}" + "".join(f"{name:>8s}" for name in columns), flush=True)
    for kind in kinds:
        results = folds[kind].results
        means = np.nanmean(results, axis=0)
        print(
            f"{kind:16s}{np.isfinite(results[:, 0]).sum():8d}" + "".join(f"{value:8.3f}" for value in means), flush=True
        )
    return folds


def _temper(answers: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """What to divide scores by, so that the right rivals are likeliest."""

    def surprise(temper: float) -> float:
        return -sum(float(np.log(softmax(scores / temper)[right].sum() + 1e-12)) for scores, right in answers)

    return float(min(np.geomspace(0.5, 32, 90), key=surprise))


def try_on(learned: Learned, examples: Iterable[Example]) -> np.ndarray:
    """``(pieces, 7)``: best F there was, F, right, tempo within 4 %, the same allowing octaves, bars, beat or none."""
    results = []
    for one in examples:
        models = learned.models
        best, row = learned.describe_won(one)
        says = models["beat"].chance(row) > 0.5
        if not one.true_bpm:
            results.append([np.nan] * 6 + [float(not says)])
            continue
        ratio = one.tempi_bpm[best] / one.true_bpm
        octave = any(abs(ratio / other - 1) < 0.04 for other in OCTAVES)
        bars = float(int(np.argmax(learned.score_bars(one))) == one.bar) if one.bar >= 0 else np.nan
        results.append(
            [
                one.f_measure.max(),
                one.f_measure[best],
                float(one.right[best]),
                float(abs(ratio - 1) < 0.04),
                float(octave),
                bars,
                float(says),
            ]
        )
    return np.array(results)
