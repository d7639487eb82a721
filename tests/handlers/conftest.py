"""A worker's context without a worker: records what a run does and holds it to the contract.

Use ``context_factory(inputs={"beds": [path, ...]}, seed=7)`` in any handler's test.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from handlers.contract import Cancelled, InputFile, ItemRecord, Kind, Run


@dataclass(frozen=True)
class Emitted:
    """One delivered file."""

    item: int
    path: Path
    kind: Kind
    label: str
    facts: Mapping[str, Any]


@dataclass
class RecordingContext:
    """:class:`handlers.contract.Context` that keeps all it is told, and fails the test where a run breaks the rules."""

    workdir: Path
    inputs: Mapping[str, list[InputFile]]
    seed: int
    completed: Mapping[int, ItemRecord]
    config_dir: Path
    cache_dir: Path
    job_id: str = "20261121-020315-test-0001"
    job_name: str = "test"
    step: str = "step"
    models: dict[str, Any] = field(default_factory=dict)
    folders: Mapping[str, Path] = field(default_factory=dict)
    runs: Mapping[str, Sequence[Run]] = field(default_factory=dict)
    cancel_at: int | None = None
    """Which call of `check_cancelled` cancels, counted from 1."""
    emitted: list[Emitted] = field(default_factory=list)
    progressed: list[tuple[str, float, float | None, str]] = field(default_factory=list)
    logged: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    cancel_checks: int = 0

    def published_path(self, item: int, suffix: str) -> Path:
        return self.workdir.parent / "published" / f"{self.job_name}_{self.step}_{item}{suffix}"

    def progress(self, phase: str, done: float, total: float | None = None, unit: str = "") -> None:
        assert phase in ("loading", "warming up", "working", "checking", "encoding"), f"unknown phase {phase!r}"
        assert total is None or 0 <= done <= total * 1.0001, f"progress {done} of {total}"
        self.progressed.append((phase, done, total, unit))

    def log(self, message: str, level: str = "info", **facts: Any) -> None:
        json.dumps(facts, allow_nan=False)
        self.logged.append((level, message, facts))

    def warn(self, message: str) -> None:
        self.warnings.append(message)

    def check_cancelled(self) -> None:
        self.cancel_checks += 1
        if self.cancel_at is not None and self.cancel_checks >= self.cancel_at:
            raise Cancelled("cancelled by the test")

    def emit(self, item: int, path: Path, kind: Kind = "primary", *, label: str = "", **facts: Any) -> None:
        path = Path(path)
        assert item >= 1 and item not in self.completed, f"item {item} was finished by an earlier attempt"
        assert path.is_file() and path.stat().st_size > 0, f"{path} was emitted without content"
        assert path.resolve().is_relative_to(self.workdir.resolve()), f"{path} lies outside the workdir"
        mine = [other for other in self.emitted if other.item == item]
        assert not any(other.kind == "primary" for other in mine), f"item {item} is final: its primary was emitted"
        assert not any(other.path == path for other in self.emitted), f"{path} was emitted twice"
        published = (label, path.suffix)
        assert published not in [(other.label, other.path.suffix) for other in mine], f"two files would be {published}"
        assert (kind == "primary") <= (label == ""), "a primary has no label"
        assert kind in ("primary", "rendition") or label, f"a {kind} needs a label"
        json.dumps(facts, allow_nan=False)
        self.emitted.append(Emitted(item, path, kind, label, facts))

    def delivered(self, kind: Kind = "primary", *, item: int = 1, label: str = "") -> Emitted:
        """The one emitted file of that kind and label."""
        (found,) = [
            one for one in self.emitted if (one.item, one.kind) == (item, kind) and label in ("", one.label)
        ]
        return found


@pytest.fixture
def context_factory(tmp_path: Path) -> Callable[..., RecordingContext]:
    """Make contexts, each with its own empty workdir; inputs may be paths or ready-made :class:`InputFile`."""
    made = 0

    def make(
        inputs: Mapping[str, InputFile | Path | Sequence[InputFile | Path]] | None = None,
        *,
        seed: int = 0,
        completed: Mapping[int, ItemRecord] | None = None,
        cancel_at: int | None = None,
        step: str = "step",
    ) -> RecordingContext:
        nonlocal made
        made += 1
        folders = {name: tmp_path / f"context{made}" / name for name in ("workdir", "config", "cache")}
        for folder in folders.values():
            folder.mkdir(parents=True)
        return RecordingContext(
            workdir=folders["workdir"],
            inputs={reference: _files(reference, value) for reference, value in (inputs or {}).items()},
            seed=seed,
            completed=completed or {},
            config_dir=folders["config"],
            cache_dir=folders["cache"],
            step=step,
            cancel_at=cancel_at,
        )

    return make


def _files(reference: str, value: InputFile | Path | Sequence[InputFile | Path]) -> list[InputFile]:
    several = list(value) if isinstance(value, Sequence) else [value]
    files = []
    for number, one in enumerate(several, 1):
        if not isinstance(one, InputFile):
            label = reference if len(several) == 1 else f"{reference}/{number}"
            one = InputFile(Path(one), label, hashlib.sha256(Path(one).read_bytes()).hexdigest())
        files.append(one)
    return files
