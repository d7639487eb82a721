"""What a step with `for_each` would go over: the steps it depends on are run here and now, if they only look around."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.rows import LABEL

if TYPE_CHECKING:
    from daemon.documents import Document, Step
    from daemon.settings import Settings
    from handlers.registry import Registry


@dataclass(frozen=True)
class Rehearsal:
    """What one step would go over."""

    step: str
    over: str
    rows: int
    """How many there are; `start` and `limit` choose among them."""
    start: int
    chosen: tuple[str, ...]
    """Labels of those that would be run."""


def rehearse(document: Document, settings: Settings, registry: Registry) -> list[Rehearsal]:
    """Look around as the job would, in a folder that is gone afterwards.

    Raises
    ------
    HandlerError
        As a step raised it: the job would fail in the same words.
    """
    from daemon import foreground

    found: list[Rehearsal] = []
    wanted = {step.name: step.for_each for step in document.steps if step.for_each is not None}
    wanted = {name: over for name, over in wanted.items() if _surveys(document, over.over, registry)}
    if not wanted:
        return found
    needed = {name for over in wanted.values() for name in _before(document, over.over)}
    part = replace(document, seeds=(), steps=tuple(step for step in document.steps if step.name in needed))
    with tempfile.TemporaryDirectory() as folder:
        results = {
            result.step: result
            for result in foreground.run(settings, registry, part, Path(folder), lambda step, message: None)
        }
        for name, for_each in wanted.items():
            tables = [
                sidecars[LABEL] for _, sidecars in sorted(results[for_each.over].sidecars.items()) if LABEL in sidecars
            ]
            labels = [json.loads(line)["label"] for table in tables for line in Path(table).read_bytes().splitlines()]
            end = None if for_each.limit is None else for_each.start + for_each.limit
            chosen = tuple(labels[for_each.start : end])
            found.append(Rehearsal(name, for_each.over, len(labels), for_each.start, chosen))
    return found


def _before(document: Document, name: str) -> Iterable[str]:
    """A step and all that must run before it."""
    yield name
    for need in document.step(name).needs:
        yield from _before(document, need)


def _surveys(document: Document, over: str, registry: Registry) -> bool:
    """Whether the step gone over, and all before it, only look around, and all they look at is here."""
    if over.startswith("from/"):
        return False
    steps: list[Step] = [document.step(name) for name in _before(document, over)]
    return all(
        registry[step.handler].surveys
        and all(source["kind"] in ("path", "folder", "step") for source in step.sources.values())
        and all(Path(source["path"]).exists() for source in step.sources.values() if "path" in source)
        for step in steps
    )
