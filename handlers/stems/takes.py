"""Takes: played, fitted, measured, and played again with a new seed where the table is not met."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from handlers.audio import defects
from handlers.audio.loudness import Loudness
from handlers.contract import Context, Invalid
from handlers.stems.acceptance import Verdict, judge
from handlers.stems.backend import Backend, Request, Take
from handlers.stems.fit import Fitted, fit, is_finite
from handlers.stems.params import StemsParams
from handlers.stems.styles import Style

_NOTHING = Fitted(np.zeros((2, 0), np.float32), 0, 0, 0, Loudness(-np.inf, -np.inf, -np.inf, -np.inf))
PLAYED = 0.75
"""Share of a round's time that playing takes; the rest is fitting and measuring."""


@dataclass(frozen=True)
class Judged:
    """A take with its verdict."""

    take: Take
    fitted: Fitted
    verdict: Verdict
    number: int
    """0 for the first."""


@dataclass(frozen=True)
class Finished:
    """An item ready to be delivered."""

    item: int
    best: Judged
    tried: tuple[Mapping[str, Any], ...]
    """Every take with its verdict, in order."""


def make_takes(
    backend: Backend,
    items: Sequence[int],
    params: StemsParams,
    style: Style,
    context: Context,
    pulse: Callable[[float], None],
) -> Iterator[Finished]:
    """Play items together and yield each as soon as a take passes, or when its retakes are used up.

    Parameters
    ----------
    backend
        What plays.
    items
        At most `backend.width`.
    params, style, context
        The step's.
    pulse
        Called with the share of all items done, never falling; may raise to stop.

    Raises
    ------
    Invalid
        When no take of an item can be delivered, or none passes and `accept: none` holds.
    """
    best: dict[int, Judged] = {}
    tried: dict[int, list[Mapping[str, Any]]] = {item: [] for item in items}
    waiting = list(items)
    begin = 0.0
    for number in range(params.retakes + 1):
        # What remains is halved by every round that is not the last: nobody knows how many there will be.
        end = begin + (1.0 - begin) * (0.9 if number == 0 else 0.5)
        requests = [Request(item, number) for item in waiting]
        takes = backend.play(requests, lambda done, a=begin, b=end: pulse(a + (b - a) * PLAYED * done))
        for place, (item, take) in enumerate(zip(waiting, takes, strict=True), 1):
            context.check_cancelled()
            judged = _judge(take, number, params, style)
            tried[item].append({"take": number, **judged.verdict.facts()})
            if item not in best or judged.verdict.rank < best[item].verdict.rank:
                best[item] = judged
            if not judged.verdict.passed:
                context.log(
                    f"stem {item}, take {number + 1}: " + "; ".join(judged.verdict.sentences()), level="warning"
                )
            pulse(begin + (end - begin) * (PLAYED + (1 - PLAYED) * place / len(takes)))
        begin = end
        passed = [item for item in waiting if best[item].verdict.passed]
        waiting = [item for item in waiting if item not in passed]
        for item in passed:
            yield Finished(item, best.pop(item), tuple(tried[item]))
        if not waiting:
            return
    for item in waiting:
        _refuse_or_warn(item, best[item], params, context)
        yield Finished(item, best.pop(item), tuple(tried[item]))


def _refuse_or_warn(item: int, best: Judged, params: StemsParams, context: Context) -> None:
    takes = f"{params.retakes + 1} take" + "s" * (params.retakes > 0)
    wrong = "; ".join(best.verdict.sentences())
    if not best.verdict.deliverable:
        raise Invalid(
            f"stem {item}: nothing of {takes} can be delivered; the best has {wrong}. Change the seed, the "
            "prompt or the model"
        )
    if params.accept == "none":
        raise Invalid(
            f"stem {item}: none of {takes} passed its checks; the best has {wrong}. Raise `retakes`, change the "
            "seed, or write `accept: best`"
        )
    context.warn(f"stem {item} did not pass its checks, and the best of {takes} is delivered: {wrong}")


def _judge(take: Take, number: int, params: StemsParams, style: Style) -> Judged:
    if not is_finite(take):
        broken = int(take.audio.size - np.count_nonzero(np.isfinite(take.audio)))
        return Judged(take, _NOTHING, judge({"not_a_number": broken}), number)
    fitted = fit(take, params)
    return Judged(take, fitted, judge(measure(fitted, style)), number)


def measure(fitted: Fitted, style: Style) -> dict[str, float | None]:
    """Every measure of the table, by the row's name; `None` where a row does not apply."""
    audio, rate = fitted.audio, fitted.sample_rate
    if not audio.shape[1]:
        return {"length": fitted.planned}
    drift = defects.measure_drift(audio, rate)
    tempo_error = fitted.facts.get("tempo_error")
    if style.character.form == "drift" and fitted.facts.get("tempo_measured_bpm") is None:
        tempo_error = None  # Without drums there is nothing that goes too fast or too slow.
    return {
        "not_a_number": 0,
        "silence": -fitted.loudness.sample_peak_dbfs,
        "length": abs(audio.shape[1] - fitted.planned),
        "gap": defects.measure_gap(audio, rate),
        "true_peak": fitted.loudness.true_peak_dbtp,
        "dc": defects.measure_dc(audio),
        "clipping": fitted.flat_tops,
        # Where the form itself is slow change or a rise, only what every part of it shares is drift.
        "drift": drift and (drift.loudest_lu if style.character.form == "track" else drift.shared_lu),
        "tempo": None if tempo_error is None else 100 * tempo_error,
        "seam": fitted.seam and len(fitted.seam_faults),
    }
