"""A job as the daemon knows it: frozen, typed, checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from handlers.contract import Finding


@dataclass(frozen=True)
class ForEach:
    """Run a step once per item of another."""

    over: str
    """The reference written after `in`: a step's name, or `from/step`."""
    start: int = 0
    """How many items to pass over."""
    limit: int | None = None
    """How many items at most; `None`: all."""


@dataclass(frozen=True)
class Deliver:
    """Copies placed after publication."""

    to: str | None = None
    """A key of `deliver:` in the configuration."""
    name: str | None = None
    """What the folder of copies is called there (`as` in the file); `None`: the job's name."""
    beside: bool = False
    """Whether analyses go next to the recordings they were made from."""


@dataclass(frozen=True)
class Step:
    """One step of a job. Times in seconds; `None` means: as configured."""

    name: str
    handler: str
    params: dict[str, Any]
    """JSON, after defaults: ``handler.params.model_validate_json(json.dumps(params))`` gives the same again."""
    needs: tuple[str, ...] = ()
    """Names of the steps of this job that must be done first, in the order they are named."""
    inputs: tuple[str, ...] = ()
    """References as written, each once, in order."""
    sources: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    """What each of `inputs` means, as JSON: ``{"kind": "step" | "from", "step": name, "item": number or None}``,
    ``{"kind": "each"}``, or ``{"kind": "path", "path": absolute}`` (links not followed: resolve again when it is read).
    Folders that the step looks through stand here too, as ``{"kind": "folder", "path": absolute}``."""
    retries: int | None = None
    timeout_s: float | None = None
    fallback: str | None = None
    for_each: ForEach | None = None
    min_success: int = 1
    keep: Mapping[str, str] = field(default_factory=dict)
    """Items not made but taken over: number, and the reference of the earlier job's item: ``{"3": "from/beds/3"}``."""
    findings: tuple[Finding, ...] = ()
    """What the handler's check said, errors aside: `missing` and `warning`."""


@dataclass(frozen=True)
class Document:
    """A whole job file."""

    name: str
    """``[a-z0-9-]``, at most 60 characters."""
    seed: int | None
    """0 .. 2**32 - 1; `None`: draw one."""
    seeds: tuple[int, ...]
    """One whole result each; empty: the one of `seed`."""
    priority: int
    """-10 .. 10, higher first."""
    steps: tuple[Step, ...]
    """In the order of the file."""
    from_job: str | None = None
    """A finished job's id, or a name for its newest done job."""
    input_timeout_s: float | None = None
    deliver: Deliver | None = None
    keep_work: bool = False
    """Whether the working folders are published too."""

    def step(self, name: str) -> Step:
        return next(step for step in self.steps if step.name == name)

    def laid_out(self) -> list[tuple[int | None, Step]]:
        """Every step to be run, with its seed. `None`: the job's.

        With several seeds each step stands there once per seed, as `seed-7/beds`, and reads what is of its own seed.
        """
        if not self.seeds:
            return [(None, step) for step in self.steps]
        return [(seed, _of_seed(step, f"seed-{seed}/")) for seed in self.seeds for step in self.steps]


def _of_seed(step: Step, prefix: str) -> Step:
    over = step.for_each
    if over is not None and not over.over.startswith("from/"):
        over = replace(over, over=prefix + over.over)
    sources = {
        text: {**source, "step": prefix + source["step"]} if source["kind"] == "step" else source
        for text, source in step.sources.items()
    }
    needs = tuple(prefix + need for need in step.needs)
    return replace(step, name=prefix + step.name, needs=needs, sources=sources, for_each=over)


def json_of(value: Any) -> str:
    """JSON as the ledger writes it."""
    return json.dumps(value)
