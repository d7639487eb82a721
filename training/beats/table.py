"""The table: how often what was learned from other kinds of sources is right on each kind."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from handlers.audio.grid.bars import BARS
from handlers.audio.grid.network import Network, score_grids
from handlers.audio.grid.ranking import Model, softmax
from training.beats.examples import Example
from training.beats.fit import fit_ranker, fit_yes_no
from training.beats.network import fit_network

MODULE_WEIGHT = 2.0
"""What a variant of a module counts against a made-up piece: it is music by people."""
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
    network: Network

    def score(self, one: Example) -> np.ndarray:
        """Scores of a piece's grids, ``(hypotheses,)``."""
        seen = [one.seen_of(number) for number in range(len(one.sizes))]
        return score_grids(self.models["grid"], self.network, one.rows, seen, one.lattice, one.beat)


def fit_all(examples: Sequence[Example]) -> Learned:
    """Fit every model."""
    ranked = with_beat(examples)
    grid = fit_ranker([one.rows for one in ranked], [one.right for one in ranked], weigh(ranked))
    network = fit_network(ranked, weigh(ranked))
    barred = [one for one in ranked if one.bar >= 0]
    answers = [np.arange(len(BARS)) == one.bar for one in barred]
    bar = fit_ranker([one.bar_rows for one in barred], answers, weigh(barred), trees=100, leaves=8)
    learned = Learned({"grid": grid, "bar": bar}, network)
    asked = [one for one in examples if one.right.any() or not one.true_bpm]
    rows = np.array([one.pulse_rows[int(np.argmax(learned.score(one)))] for one in asked])
    learned.models["beat"] = fit_yes_no(rows, np.array([bool(one.true_bpm) for one in asked]), np.ones(len(asked)))
    return learned


def folds(examples: Sequence[Example]) -> dict[str, tuple[list[Example], list[Example]]]:
    """What is tried on what: each kind of source without itself."""
    kinds = sorted({one.source.partition("/")[0] for one in examples})
    return {
        kind: (
            [one for one in examples if not one.source.startswith(f"{kind}/")],
            [one for one in examples if one.source.startswith(f"{kind}/")],
        )
        for kind in kinds
    }


def cross_validate(examples: Sequence[Example]) -> dict[str, float]:
    """Print, for each kind of source, what models without it reach there; returns the temper of models by name.

    The temper makes the probabilities of modules, which were held out, likeliest.
    """
    columns = ("pieces", "found", "F", "right", "tempo", "octave", "bars", "beat?")
    print(f"{'from the others':16s}" + "".join(f"{name:>8s}" for name in columns), flush=True)
    tempers: dict[str, float] = {}
    for kind, (train, test) in folds(examples).items():
        learned = fit_all(train)
        results = try_on(learned, test)
        means = np.nanmean(results, axis=0)
        print(
            f"{kind:16s}{np.isfinite(results[:, 0]).sum():8d}" + "".join(f"{value:8.3f}" for value in means), flush=True
        )
        if kind == "modules":
            bars = [one for one in test if one.bar >= 0]
            tempers = {
                "grid": _temper([(learned.score(one), one.right) for one in with_beat(test)]),
                "bar": _temper(
                    [(learned.models["bar"].score(one.bar_rows), np.arange(len(BARS)) == one.bar) for one in bars]
                ),
            }
    return tempers


def _temper(answers: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """What to divide scores by, so that the right rivals are likeliest."""

    def surprise(temper: float) -> float:
        return -sum(float(np.log(softmax(scores / temper)[right].sum() + 1e-12)) for scores, right in answers)

    return float(min(np.geomspace(0.5, 8, 60), key=surprise))


def try_on(learned: Learned, examples: Iterable[Example]) -> np.ndarray:
    """``(pieces, 7)``: best F there was, F, right, tempo within 4 %, the same allowing octaves, bars, beat or none."""
    results = []
    for one in examples:
        models = learned.models
        best = int(np.argmax(learned.score(one)))
        says = models["beat"].chance(one.pulse_rows[best]) > 0.5
        if not one.true_bpm:
            results.append([np.nan] * 6 + [float(not says)])
            continue
        ratio = one.tempi_bpm[best] / one.true_bpm
        octave = any(abs(ratio / other - 1) < 0.04 for other in OCTAVES)
        bars = float(int(np.argmax(models["bar"].score(one.bar_rows))) == one.bar) if one.bar >= 0 else np.nan
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
