"""The table: how often what was learned from other sources is right on each source."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from handlers.audio.grid.bars import BARS
from handlers.audio.grid.ranking import Model, softmax
from training.beats.examples import Example
from training.beats.fit import fit_ranker, fit_yes_no

PARTS = 3
MODULE_WEIGHT = 2.0
"""What a variant of a module counts against a made-up piece: it is music by people."""
OCTAVES = (1, 2, 0.5, 3, 1 / 3, 1.5, 2 / 3)


def weigh(examples: Iterable[Example]) -> np.ndarray:
    """What each example counts."""
    return np.array([MODULE_WEIGHT if one.source.startswith("modules") else 1.0 for one in examples])


def with_beat(examples: Iterable[Example]) -> list[Example]:
    """Those that have a beat, and a right hypothesis."""
    return [one for one in examples if one.right.any()]


def fit_all(examples: Sequence[Example], **how: float) -> dict[str, Model]:
    """Fit every model."""
    ranked = with_beat(examples)
    grid = fit_ranker([one.rows for one in ranked], [one.right for one in ranked], weigh(ranked), **how)
    barred = [one for one in ranked if one.bar >= 0]
    answers = [np.arange(len(BARS)) == one.bar for one in barred]
    bar = fit_ranker([one.bar_rows for one in barred], answers, weigh(barred), trees=100, leaves=8)
    asked = [one for one in examples if one.right.any() or not one.true_bpm]
    rows = np.array([one.pulse_rows[int(np.argmax(grid.score(one.rows)))] for one in asked])
    beat = fit_yes_no(rows, np.array([bool(one.true_bpm) for one in asked]), np.ones(len(asked)))
    return {"grid": grid, "bar": bar, "beat": beat}


def folds(examples: Sequence[Example]) -> dict[str, tuple[list[Example], list[Example]]]:
    """What is tried on what: each kind of source without itself, and modules without their own package."""
    kinds = {one.source.partition("/")[0] for one in examples}
    split = {}
    for kind in sorted(kinds):
        split[f"{kind}, from the others"] = (
            [one for one in examples if not one.source.startswith(f"{kind}/")],
            [one for one in examples if one.source.startswith(f"{kind}/")],
        )
    own = sorted({one.source for one in examples if one.source.startswith("modules/")})
    for number in range(PARTS):
        held = own[number::PARTS]
        split[f"modules, part {number}"] = (
            [one for one in examples if one.source not in held],
            [one for one in examples if one.source in held],
        )
    return split


def cross_validate(examples: Sequence[Example], **how: float) -> dict[str, float]:
    """Print, for each source, what models without it reach there; returns the temper of models by name.

    The temper makes the probabilities of modules that were held out likeliest.
    """
    print(
        f"{'source':32s} {'pieces':>6s} {'found':>6s} {'F':>6s} {'right':>6s} {'tempo':>6s} {'octave':>6s} {'bars':>6s} {'beat?':>6s}"
    )
    gathered: dict[str, list[np.ndarray]] = {}
    held: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {"grid": [], "bar": []}
    for name, (train, test) in folds(examples).items():
        models = fit_all(train, **how)
        if name.startswith("modules, part"):
            held["grid"] += [(models["grid"].score(one.rows), one.right) for one in with_beat(test)]
            held["bar"] += [
                (models["bar"].score(one.bar_rows), np.arange(len(BARS)) == one.bar) for one in test if one.bar >= 0
            ]
        kind = name if "from" in name else "modules, from other packages too"
        gathered.setdefault(kind, []).append(try_on(models, test))
    for kind, parts in gathered.items():
        results = np.concatenate(parts)
        means = np.nanmean(results, axis=0)
        print(f"{kind:32s} {np.isfinite(results[:, 0]).sum():6d} " + " ".join(f"{value:6.3f}" for value in means))
    return {name: _temper(answers) for name, answers in held.items() if answers}


def _temper(answers: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    """What to divide scores by, so that the right rivals are likeliest."""

    def surprise(temper: float) -> float:
        return -sum(float(np.log(softmax(scores / temper)[right].sum() + 1e-12)) for scores, right in answers)

    return float(min(np.geomspace(0.5, 8, 60), key=surprise))


def try_on(models: dict[str, Model], examples: Iterable[Example]) -> np.ndarray:
    """``(pieces, 7)``: best F there was, F, right, tempo within 4 %, the same allowing octaves, bars, beat or none."""
    results = []
    for one in examples:
        scores = models["grid"].score(one.rows)
        best = int(np.argmax(scores))
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
