"""What the two halves of `bench.mix` share: a context that keeps what was delivered, and lines that say what holds."""

from __future__ import annotations

import resource
from pathlib import Path
from typing import Any

RATE = 44_100
failures: list[str] = []
"""Limits that were not kept."""


class Quiet:
    """A run's context that keeps what was delivered and says nothing."""

    completed: dict = {}
    job_id = job_name = "bench"
    step = "mix"

    def __init__(self, workdir: Path, inputs: dict[str, list]) -> None:
        self.workdir, self.inputs = workdir, inputs
        self.primary: dict[str, Any] = {}
        self.warnings: list[str] = []
        workdir.mkdir(parents=True, exist_ok=True)

    def published_path(self, item: int, suffix: str) -> Path:
        return self.workdir / f"mix{suffix}"

    def progress(self, *amounts: object) -> None: ...
    def check_cancelled(self) -> None: ...
    def log(self, *told: object, **facts: object) -> None: ...

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def emit(self, item: int, path: Path, kind: str = "primary", **facts: Any) -> None:
        if kind == "primary":
            self.primary = {**facts, "path": str(path)}


def cpu_s() -> float:
    """User and system time of this process so far."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def say(text: str, kept: bool | None = None) -> None:
    """Print a line; with `kept`, whether a limit holds."""
    print(f"  {text}{'' if kept is None else '   ok' if kept else '   FAILS'}", flush=True)
    if kept is False:
        failures.append(text)
