"""A step recorded once as a CUDA graph and played again: one launch in place of several hundred. Heavy: torch.

Not run on a GPU by this project so far. What it relies on: the step reads and writes the same memory each time, takes
nothing from the host, and finds its place by a number on the device, which it counts up itself.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import torch
from torch import Tensor

WARM_UPS = 3
"""Runs before a recording, in which libraries choose kernels and take their working memory."""


class Recordings:
    """Recorded steps by what was fixed in them."""

    def __init__(self) -> None:
        self._graphs: dict[Hashable, Any] = {}
        self._pool: Any = None

    def forget(self) -> None:
        """Throw all away: memory that they point to has moved."""
        self._graphs.clear()
        self._pool = None

    def play(self, key: Hashable, step: Callable[[], None], changes: Sequence[Tensor]) -> None:
        """Play the step of this key, which is recorded first where it is new.

        Parameters
        ----------
        key
            All that `step` takes from the host.
        step
            What to record.
        changes
            Memory that `step` reads and changes, put back after the runs that warm up.
        """
        if key not in self._graphs:
            self._graphs[key] = self._record(step, changes)
        self._graphs[key].replay()

    def _record(self, step: Callable[[], None], changes: Sequence[Tensor]) -> Any:
        before = [one.clone() for one in changes]
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(WARM_UPS):
                step()
                for one, old in zip(changes, before, strict=True):
                    one.copy_(old)
        torch.cuda.current_stream().wait_stream(aside)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, pool=self._pool):
            step()
        self._pool = graph.pool()
        return graph


class Pace:
    """Keeps the host a little ahead of the device, so that the device never waits and progress is not made up."""

    def __init__(self) -> None:
        self._last: Any = None

    def beat(self) -> None:
        """Wait until the device has done what was asked for before the last beat."""
        mark = torch.cuda.Event()
        mark.record()
        if self._last is not None:
            self._last.synchronize()
        self._last = mark
