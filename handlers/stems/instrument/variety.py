"""Variety: where a stem's random streams begin, and how it is kept unlike the stems beside it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from handlers.stems.streams import stream

MOST_STEMS = 64
"""Stems of a step, at most; a second take comes after the first takes of all of them."""
_TRIES = 60

Drawn = TypeVar("Drawn")


@dataclass(frozen=True)
class Place:
    """A stem among the stems of its step: everything that is its own comes from here."""

    seed: int
    style: str
    step: str
    index: int = 1
    """From 1."""
    take: int = 0

    def stream(self, *purpose: str) -> np.random.Generator:
        """Return the stem's random stream for a purpose."""
        again = (self.take,) if self.take else ()
        return stream(self.seed, self.style, self.step, self.index, *again, *purpose)

    def and_before(self) -> Iterator[Place]:
        """Yield every place that is taken before this one, and this one last; the count of stems has no part in it."""
        for take in range(self.take + 1):
            for index in range(1, (self.index if take == self.take else MOST_STEMS) + 1):
                yield Place(self.seed, self.style, self.step, index, take)


def draw_unlike(
    place: Place,
    purpose: str,
    draw: Callable[[np.random.Generator], Drawn],
    mark: Callable[[Drawn], Hashable],
) -> Drawn:
    """Draw something for `place` whose mark no place before it has.

    The draws of the places before are repeated, so that a stem is the same in any company. Where no unlike one is
    found any more (a few bars hold few orders of sections), all are free again.
    """
    taken: set[Hashable] = set()
    for other in place.and_before():
        rng = other.stream(purpose)
        for _ in range(_TRIES):
            drawn = draw(rng)
            if mark(drawn) not in taken:
                break
        else:
            taken.clear()
        taken.add(mark(drawn))
    return drawn
