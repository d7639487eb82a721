"""An installation in a temporary folder, with a ledger built by the migrations, and the command run against it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from daemon.cli.app import app
from daemon.ledger import Ledger
from daemon.settings import Paths, locate

AT = "2026-11-21T02:03:{:06.3f}Z"


@dataclass
class Home:
    """One installation, and short ways to write into its ledger what a daemon would."""

    paths: Paths
    ledger: Ledger
    tick: int = 0
    attempts: dict[int, int] = field(default_factory=dict)

    def moment(self) -> str:
        self.tick += 1
        return AT.format(self.tick)

    def job(self, name: str, state: str = "done", *, number: int = 1, **columns: Any) -> str:
        job_id = f"20261121-0203{number % 60:02d}-{name}-{number:04d}"
        accepted = self.moment()
        row = {"id": job_id, "number": number, "name": name, "state": state, "document": "do: stems\n", "origin": "inbox",
               "seed": 7, "accepted_at": accepted, **columns}  # fmt: skip
        with self.ledger.transaction(durable=False):
            self.ledger.insert("jobs", **row)
        return job_id

    def step(self, job_id: str, name: str, state: str = "done", *, params: dict[str, Any] | None = None, handler: str = "stems", **run: Any) -> int:
        with self.ledger.transaction(durable=False):
            position = 1 + self.ledger.value("SELECT count(*) FROM steps WHERE job_id = ?", job_id)
            step = self.ledger.insert(
                "steps", job_id=job_id, position=position, name=name, handler=handler, params=params or {}, needs=[], inputs=[],
                sources={}, retries=2, timeout_s=60, lane="gpu", state=state, started_at=run.get("started_at"),
                finished_at=run.get("finished_at"),
            )  # fmt: skip
            run_id = self.ledger.insert("runs", job_id=job_id, step_id=step, ordinal=1, key="", state=state, lane="gpu", **run)
            if run.get("finished_at"):
                self.attempt(job_id, run_id, 1, started_at=run["started_at"], ended_at=run["finished_at"], outcome=state)
            return run_id

    def attempt(self, job_id: str, run: int, number: int, **columns: Any) -> int:
        return self.ledger.insert(
            "attempts", job_id=job_id, run_id=run, number=number, lane="gpu", folder="x", worker_pid=1, worker_start=1, boot_id="b", **columns
        )

    def item(self, job_id: str, run: int, item: int, name: str, **facts: Any) -> Path:
        with self.ledger.transaction(durable=False):
            attempt = self.attempt(job_id, run, 1 + item, started_at=self.moment(), outcome="done")
            path = f"{job_id}/beds/001.1/{name}"
            self.ledger.insert(
                "artifacts", job_id=job_id, run_id=run, attempt_id=attempt, item=item, kind="primary", label="", path=path,
                published=f"{name}", size_bytes=1000, sha256="0" * 64, facts=facts, created_at=self.moment(),
            )  # fmt: skip
        staged = self.paths.staging / path
        staged.parent.mkdir(parents=True, exist_ok=True)
        staged.write_bytes(b"RIFF")
        return staged


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("DROPHAMMER_HOME", str(tmp_path))
    for folder in ("inbox", "outbox", "state", "config"):
        (tmp_path / folder).mkdir()
    paths = locate(tmp_path)
    ledger = Ledger(paths.ledger)
    yield Home(paths, ledger)
    ledger.close()


@pytest.fixture
def call(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run `drophammer ARGUMENTS` in this process."""
    monkeypatch.setattr("daemon.cli.app.verbose", False)

    def run(*arguments: str, stdin: str | None = None) -> Result:
        return CliRunner().invoke(app, list(arguments), input=stdin)

    return run


@pytest.fixture
def ask_json(call: Callable[..., Result]) -> Callable[..., Any]:
    def run(*arguments: str) -> Any:
        result = call(*arguments, "--json")
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    return run


@pytest.fixture
def python() -> str:
    return sys.executable
