"""A throw-away installation for every test that wants one, and the real daemon in it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

import daemon

CHECKOUT = Path(__file__).resolve().parent.parent
if Path(daemon.__file__).resolve().parent != CHECKOUT / "daemon":
    pytest.exit(
        f"a foreign package named `daemon` is on the path: {daemon.__file__} (is python-daemon installed here?)",
        returncode=3,
    )

PATIENCE_S = 60.0
"""How long a test waits for something that is bound to happen; generous, for busy machines."""


def eventually(condition: Callable[[], Any], what: str, patience_s: float = PATIENCE_S) -> Any:
    """Wait until `condition()` is true and return it; fail with `what` if it never is."""
    until = time.monotonic() + patience_s
    while time.monotonic() < until:
        if result := condition():
            return result
        time.sleep(0.02)
    pytest.fail(f"never happened: {what}")


class House:
    """One installation in a folder of its own."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.inbox, self.outbox, self.state = home / "inbox", home / "outbox", home / "state"
        self.process: subprocess.Popen[bytes] | None = None
        self.inbox.mkdir(parents=True)
        shutil.copytree(
            CHECKOUT / "config", home / "config", ignore=shutil.ignore_patterns("drophammer.yaml", "schedules.yaml")
        )
        self.configure()

    def configure(self, **settings: Any) -> None:
        """Write config/drophammer.yaml: the probe handler, and whatever the test wants."""
        settings = {"handlers": ["tests.probes:HANDLER"], "min_free": 0, **settings}
        (self.home / "config" / "drophammer.yaml").write_text(yaml.safe_dump(settings))

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "DROPHAMMER_HOME": str(self.home), "PYTHONPATH": str(CHECKOUT)}

    def start(
        self, *, wait: bool = True, patience_s: float = PATIENCE_S, **environment: str
    ) -> subprocess.Popen[bytes]:
        """Start the real daemon; returns when it is ready."""
        self.log = open(self.home / "daemon.log", "ab")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "daemon.service"],
            cwd=self.home,
            env={**self.environment, **environment},
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )
        self.log.close()
        if wait:
            from daemon.control import ControlError, ask
            from daemon.settings import locate

            def ready() -> bool:
                assert self.process is not None
                if self.process.poll() is not None:
                    pytest.fail(f"the daemon ended with {self.process.returncode}:\n{self.output()[-3000:]}")
                try:
                    return ask(locate(self.home), {"do": "ping"})["ready"]
                except ControlError:
                    return False

            eventually(ready, "the daemon is ready", patience_s)
        return self.process

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End the daemon by a signal and return its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        status = self.process.wait(PATIENCE_S)
        self.process = None
        return status

    def output(self) -> str:
        """What the daemon has printed so far."""
        return (self.home / "daemon.log").read_text(errors="replace")

    def ask(self, do: str, **request: Any) -> dict[str, Any]:
        from daemon.control import ask
        from daemon.settings import locate

        return ask(locate(self.home), {"do": do, **request})

    def drop(self, name: str, content: str | bytes | dict[str, Any]) -> Path:
        """Put a whole file into the inbox, as `mv` does."""
        if isinstance(content, dict):
            content = yaml.safe_dump(content, sort_keys=False)
        path = self.inbox / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = self.home / f"drop-{os.urandom(6).hex()}"
        part.write_bytes(content.encode() if isinstance(content, str) else content)
        part.rename(path)
        return path

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        """Read the ledger."""
        if not (self.state / "ledger.sqlite3").exists():
            return []
        connection = sqlite3.connect(f"file:{self.state / 'ledger.sqlite3'}?mode=ro", uri=True, timeout=10)
        connection.row_factory = sqlite3.Row
        try:
            return connection.execute(query, values).fetchall()
        finally:
            connection.close()

    def job(self, name: str) -> sqlite3.Row | None:
        rows = self.rows("SELECT * FROM jobs WHERE name = ? OR id = ? ORDER BY number DESC LIMIT 1", name, name)
        return rows[0] if rows else None

    def ended(self, name: str, state: str = "done", patience_s: float = PATIENCE_S) -> sqlite3.Row:
        """Wait until the newest job of that name has ended, and check how."""

        def over() -> sqlite3.Row | None:
            job = self.job(name)
            return job if job and job["state"] in ("done", "failed", "cancelled") else None

        job = eventually(over, f"{name} ends", patience_s)
        assert job["state"] == state, f"{name} is {job['state']}: {job['reason']}\n{self.output()[-3000:]}"
        return job

    def manifest(self, job: sqlite3.Row) -> dict[str, Any]:
        return json.loads((Path(job["folder"]) / "manifest.json").read_text())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    """An installation in a temporary folder; its daemon, if one was started, is gone afterwards."""
    house = House(tmp_path / "home")
    yield house
    if house.process is not None and house.process.poll() is None:
        house.process.kill()
        house.process.wait()


@pytest.fixture
def running(house: House) -> House:
    """The same, with the real daemon running."""
    house.start()
    return house
