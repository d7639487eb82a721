"""Planning a set: near tempi and compatible keys beside each other, energy that rises, peaks and is released. No audio.

The order is found by simulated annealing (Kirkpatrick, Gelatt & Vecchi, Science 1983) over moves that reverse, shift or
swap; the same pieces and seed give the same order. Keys are compared on the Camelot wheel (Mixed In Key), where
neighbours share all notes but one.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

TEMPO_STEP = 0.02
"""A tempo so much faster counts as far as one step on the wheel: 2.6 BPM at 128."""
FARTHEST_TEMPO = 0.16
"""Tempi further apart than this (twice what beats are matched over) are all equally far."""
UNKNOWN_KEY = 3.0
"""Steps to a key that nobody knows: what two keys are apart on average."""
PEAK = 0.70
"""Share of the set at which its energy is highest."""
PEAK_RANGE = (0.55, 0.85)
RELEASED = 0.35
"""Energy that the set ends with, where 0 is that of its calmest piece and 1 that of its peak."""
OPENING = 0.1
ENERGY_WEIGHT = 1.5
"""What a piece is worth that stands at the far end of where the curve wants it, in steps on the wheel."""
OUTSIDE = 100.0
"""What it costs that the peak lies outside its range: more than anything gained by it."""
ROUNDS, RESTARTS = 6000, 2
"""Moves tried for a set of up to 20 pieces, and how often from another beginning."""
RANDOM_ORDERS = 400

_NOTES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@dataclass(frozen=True)
class Piece:
    """What a plan must know of a piece."""

    label: str
    duration_s: float
    tempo_bpm: float | None
    key: str | None
    """Such as `A minor`."""
    energy: float
    """Larger is more; only comparisons count."""

    @property
    def camelot(self) -> tuple[int, str] | None:
        """The place on the wheel: 8 and A for A minor."""
        return camelot(self.key) if self.key else None


@dataclass(frozen=True)
class Plan:
    """An order, and why."""

    order: tuple[int, ...]
    """Places in the list of pieces that was given."""
    pieces: tuple[Piece, ...]
    """In that order."""
    distance: float
    """Steps from piece to piece, summed up."""
    random_median: float
    """The same of random orders that keep the pins, in the median."""
    by_tempo: float
    """The same of the pieces sorted by tempo."""
    peak: float
    """Share of the set's time at the middle of the piece with the most energy."""
    reasons: tuple[str, ...]
    """One sentence for each piece."""


def camelot(key: str) -> tuple[int, str] | None:
    """A key's place on the wheel; `None` for what is none."""
    match = re.fullmatch(r"\s*([A-G])([#b♯♭]?)\s*(major|minor|maj|min|m)?\s*", key)
    if not match:
        wheel = re.fullmatch(r"\s*(1[0-2]|[1-9])([AB])\s*", key)
        return (int(wheel[1]), wheel[2]) if wheel else None
    note = _NOTES[match[1]] + {"": 0, "#": 1, "♯": 1, "b": -1, "♭": -1}[match[2]]
    minor = match[3] in ("minor", "min", "m")
    return (7 * ((note + 3 * minor) % 12) + 7) % 12 + 1, "A" if minor else "B"


def key_steps(one: tuple[int, str] | None, other: tuple[int, str] | None) -> float:
    """Steps on the wheel, 0 .. 7; from minor to major is one."""
    if one is None or other is None:
        return UNKNOWN_KEY
    around = abs(one[0] - other[0])
    return min(around, 12 - around) + (one[1] != other[1])


def tempo_steps(one: float | None, other: float | None) -> float:
    """How far two tempi are apart in steps of 2 %, half and double time being near."""
    if not one or not other:
        return FARTHEST_TEMPO / TEMPO_STEP / 2
    octaves = abs(math.log2(one / other))
    apart = 2 ** min(octaves, abs(octaves - 1)) - 1
    return min(apart, FARTHEST_TEMPO) / TEMPO_STEP


def distances(pieces: Sequence[Piece]) -> np.ndarray:
    """Steps from each piece to each, tempo and key together: ``(n, n)``, symmetric."""
    found = np.zeros((len(pieces), len(pieces)))
    for first, one in enumerate(pieces):
        for second in range(first):
            other = pieces[second]
            steps = tempo_steps(one.tempo_bpm, other.tempo_bpm) + key_steps(one.camelot, other.camelot)
            found[first, second] = found[second, first] = steps
    return found


def summed(steps: np.ndarray, order: Sequence[int]) -> float:
    """Steps along an order."""
    order = np.asarray(order)
    return float(steps[order[:-1], order[1:]].sum())


def peak_of(pieces: Sequence[Piece], order: Sequence[int]) -> float:
    """Share of the set's time at the middle of the piece with the most energy."""
    lengths = np.array([pieces[number].duration_s for number in order])
    top = int(np.argmax([pieces[number].energy for number in order]))
    return float((lengths[:top].sum() + lengths[top] / 2) / lengths.sum())


def curve(places: np.ndarray) -> np.ndarray:
    """The energy wanted at shares of the set: up to 1 at its peak, then down."""
    rise = OPENING + (1 - OPENING) * places / PEAK
    fall = 1 - (1 - RELEASED) * (places - PEAK) / (1 - PEAK)
    return np.where(places <= PEAK, rise, fall)


def plan_set(
    pieces: Sequence[Piece],
    pins: Mapping[int, int] | None = None,
    *,
    seed: int = 0,
    pulse: Callable[[], None] = lambda: None,
) -> Plan:
    """Find an order.

    Parameters
    ----------
    pieces
        Each is played once.
    pins
        Place in the set, from 0, to a piece's number in `pieces`.
    seed
        Of what is tried.
    pulse
        Called now and then; may raise to stop.
    """
    pins, count = dict(pins or {}), len(pieces)
    steps = distances(pieces)
    rng = np.random.default_rng(seed)
    free = np.array([place for place in range(count) if place not in pins], int)
    loose = np.array([number for number in range(count) if number not in pins.values()], int)

    def laid(order_of_loose: np.ndarray) -> np.ndarray:
        order = np.empty(count, int)
        order[free] = order_of_loose
        for place, number in pins.items():
            order[place] = number
        return order

    cost = _cost(pieces, steps)
    best, best_cost = laid(loose), math.inf
    for _ in range(RESTARTS if len(loose) > 1 else 1):
        found = _anneal(rng.permutation(loose), lambda some: cost(laid(some)), rng, pulse)
        if (value := cost(laid(found))) < best_cost:
            best, best_cost = laid(found), value
    order = tuple(int(number) for number in best)
    chosen = tuple(pieces[number] for number in order)
    at_random = [summed(steps, laid(rng.permutation(loose))) for _ in range(RANDOM_ORDERS)]
    by_tempo = sorted(range(count), key=lambda number: pieces[number].tempo_bpm or 0.0)
    return Plan(
        order,
        chosen,
        summed(steps, order),
        float(np.median(at_random)),
        summed(steps, by_tempo),
        peak_of(pieces, order),
        _reasons(chosen, set(pins)),
    )


def _cost(pieces: Sequence[Piece], steps: np.ndarray) -> Callable[[np.ndarray], float]:
    lengths = np.array([piece.duration_s for piece in pieces])
    energies = np.array([piece.energy for piece in pieces])
    spread = np.ptp(energies)
    # By rank: a piece that is far louder than all others is the peak, and no more than that.
    share = np.argsort(np.argsort(energies)) / max(1, len(pieces) - 1) if spread > 0 else np.full(len(pieces), 0.5)
    top = int(np.argmax(energies))

    def cost(order: np.ndarray) -> float:
        ends = np.cumsum(lengths[order])
        places = (ends - lengths[order] / 2) / ends[-1]
        wanted = curve(places)
        # The curve asks for an order of the energies that there are.
        ranks = np.argsort(np.argsort(wanted)) / max(1, len(order) - 1)
        value = float(steps[order[:-1], order[1:]].sum())
        if spread > 0:
            value += ENERGY_WEIGHT * float(np.abs(share[order] - ranks).sum())
            peak = places[int(np.flatnonzero(order == top)[0])]
            value += OUTSIDE * max(0.0, PEAK_RANGE[0] - peak, peak - PEAK_RANGE[1])
            value += OUTSIDE * 0.05 * (not PEAK_RANGE[0] <= peak <= PEAK_RANGE[1])
        return value

    return cost


def _anneal(
    order: np.ndarray, cost: Callable[[np.ndarray], float], rng: np.random.Generator, pulse: Callable[[], None]
) -> np.ndarray:
    count = len(order)
    if count < 2:
        return order
    rounds = round(ROUNDS * max(1.0, count / 20))
    value = best_value = cost(order)
    best = order
    hottest, coldest = 4.0, 0.03
    for number in range(rounds):
        if number % 200 == 0:
            pulse()
        heat = hottest * (coldest / hottest) ** (number / rounds)
        first, last = sorted(rng.choice(count, 2, replace=False))
        tried = order.copy()
        move = rng.integers(3)
        if move == 0:
            tried[first : last + 1] = order[first : last + 1][::-1]
        elif move == 1:
            tried[[first, last]] = order[[last, first]]
        else:
            part = np.delete(order, first)
            tried = np.insert(part, last, order[first])
        new = cost(tried)
        if new < value or rng.random() < math.exp((value - new) / heat):
            order, value = tried, new
            if value < best_value:
                best, best_value = order, value
    return best


def _reasons(pieces: Sequence[Piece], pinned: set[int]) -> tuple[str, ...]:
    energies = [piece.energy for piece in pieces]
    top = energies.index(max(energies))
    sentences = []
    for place, piece in enumerate(pieces):
        said = ["pinned here"] if place in pinned else []
        if place:
            before = pieces[place - 1]
            said += [_tempo_said(before.tempo_bpm, piece.tempo_bpm), _key_said(before.camelot, piece.camelot)]
            moved = piece.energy - before.energy
            said.append("energy up" if moved > 0 else "energy down" if moved < 0 else "same energy")
        else:
            said.append("opens the set")
        if place == top and len(set(energies)) > 1:
            said.append("the peak")
        sentences.append(", ".join(said))
    return tuple(sentences)


def _tempo_said(before: float | None, now: float | None) -> str:
    if not before or not now:
        return "tempo not known"
    change = 100 * (now / before - 1)
    return "same tempo" if abs(change) < 0.05 else f"{change:+.1f} % tempo"


def _key_said(before: tuple[int, str] | None, now: tuple[int, str] | None) -> str:
    if before is None or now is None:
        return "key not known"
    steps = key_steps(before, now)
    way = f"{before[0]}{before[1]} to {now[0]}{now[1]}"
    return f"same key {now[0]}{now[1]}" if steps == 0 else f"{way} ({steps:g} step{'s' * (steps > 1)} on the wheel)"
