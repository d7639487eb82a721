"""A throw-away installation with the real daemon and a handler that only says when it ran."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import yaml

CHECKOUT = Path(__file__).resolve().parent.parent


class Installation:
    def __init__(self, home: Path, **settings: Any) -> None:
        self.home = home
        self.inbox, self.outbox = home / "inbox", home / "outbox"
        self.inbox.mkdir(parents=True)
        shutil.copytree(
            CHECKOUT / "config", home / "config", ignore=shutil.ignore_patterns("drophammer.yaml", "schedules.yaml")
        )
        (home / "config" / "drophammer.yaml").write_text(
            yaml.safe_dump({"handlers": ["tests.probes:HANDLER"], "min_free": 0, **settings})
        )
        self.environment = {**os.environ, "DROPHAMMER_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}

    def start(self) -> None:
        from daemon.control import ControlError, ask
        from daemon.settings import locate

        self.log = open(self.home / "daemon.log", "w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "daemon.service"], env=self.environment, stdout=self.log, stderr=self.log
        )
        self.paths = locate(self.home)
        while True:
            if self.process.poll() is not None:
                raise RuntimeError((self.home / "daemon.log").read_text()[-2000:])
            try:
                if ask(self.paths, {"do": "ping"})["ready"]:
                    return
            except ControlError:
                time.sleep(0.05)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(60)

    def value(self, query: str, *values: Any) -> Any:
        connection = sqlite3.connect(f"file:{self.paths.ledger}?mode=ro", uri=True, timeout=30)
        try:
            return connection.execute(query, values).fetchone()[0]
        finally:
            connection.close()


def scratch_folder() -> Path:
    """Where benches work: on the checkout's disk, in a folder that git ignores."""
    folder = CHECKOUT / "build"
    folder.mkdir(exist_ok=True)
    return folder


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def fsync_ms(folder: Path, rounds: int = 100) -> float:
    """The disk's own median for one small write flushed, in milliseconds."""
    times = []
    descriptor = os.open(folder / "fsync-probe", os.O_WRONLY | os.O_CREAT)
    for _ in range(rounds):
        os.pwrite(descriptor, os.urandom(4096), 0)
        start = time.perf_counter()
        os.fsync(descriptor)
        times.append(1000 * (time.perf_counter() - start))
    os.close(descriptor)
    return percentile(times, 0.5)
