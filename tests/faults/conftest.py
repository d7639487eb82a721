"""What the tests of faults look at from outside: processes, the ledger's promises, mounted filesystems of a few MiB."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import House

HANDLERS = ["tests.probes:HANDLER", "tests.faults.wreck:HANDLER"]


class BreakableHouse(House):
    """An installation whose processes can be found and struck."""

    def configure(self, **settings: Any) -> None:
        super().configure(**{"handlers": HANDLERS, "backoff": 0.1, **settings})

    def worker(self) -> int | None:
        """The process id of a worker that has a run now, as the ledger knows it."""
        rows = self.rows("SELECT worker_pid FROM attempts WHERE outcome IS NULL ORDER BY id DESC LIMIT 1")
        return rows[0]["worker_pid"] if rows else None

    def count(self, state: str = "done") -> int:
        return self.rows("SELECT count(*) FROM jobs WHERE state = ?", state)[0][0]

    def drophammer(self, *words: str, status: int = 0) -> str:
        """Run the command as a person does; returns what it printed, on either stream."""
        done = subprocess.run(
            [sys.executable, "-m", "daemon", *words], cwd=self.home, env={**self.environment, "COLUMNS": "200"},
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        assert done.returncode == status, done.stdout
        return done.stdout

    def kill(self) -> None:
        """SIGKILL to the daemon, and wait for its end."""
        assert self.process is not None
        self.process.kill()
        self.process.wait()
        self.process = None


def alive(pid: int) -> bool:
    """Whether a process runs: one that has ended and waits for its parent does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] not in (b"Z", b"X")
    except OSError:
        return False


def published_once(house: House) -> list[str]:
    """Everything that is wrong with what the ledger calls ended: nothing, if the promise holds."""
    wrong = []
    folders = {entry.name: entry for place in (house.outbox, house.outbox / "failed") for entry in os.scandir(place)
               if entry.is_dir(follow_symlinks=False) and entry.name not in (".staging", "failed")}  # fmt: skip
    jobs = {row["id"]: row for row in house.rows("SELECT * FROM jobs")}
    for job_id, job in jobs.items():
        folder = house.outbox / job_id if job["state"] == "done" else house.outbox / "failed" / job_id
        if job["state"] not in ("done", "failed", "cancelled"):
            wrong.append(f"{job_id} is {job['state']}: {job['reason']}")
        elif job["folder"] != str(folder) or folders.get(job_id) is None or Path(folders[job_id].path) != folder:
            wrong.append(f"{job_id} is {job['state']}, its folder is not {folder}")
        elif not (folder / "manifest.json").is_file():
            wrong.append(f"{job_id} has no manifest")
        for row in house.rows("SELECT published, size_bytes FROM artifacts WHERE job_id = ?", job_id):
            file = folder / row["published"]
            if not file.is_file() or file.stat().st_size != row["size_bytes"]:
                wrong.append(f"{job_id}: {row['published']} is not there whole")
        if not (house.inbox / "accepted" / f"{job_id}.yaml").is_file():
            wrong.append(f"{job_id}: its file is not in accepted/")
    wrong += [f"{name} was published, and the ledger has no such job" for name in folders if name not in jobs]
    twice = house.rows(
        "SELECT run_id, item, label, published, count(*) AS times FROM artifacts GROUP BY job_id, published HAVING times > 1"
    )
    wrong += [f"{row['published']} is in the ledger {row['times']} times" for row in twice]
    return wrong


@pytest.fixture
def house(tmp_path: Path) -> Iterator[BreakableHouse]:
    house = BreakableHouse(tmp_path / "home")
    yield house
    if house.process is not None and house.process.poll() is None:
        house.process.send_signal(signal.SIGCONT)
        house.process.kill()
        house.process.wait()


@pytest.fixture
def running(house: BreakableHouse) -> BreakableHouse:
    house.start()
    return house


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Mounts a filesystem of a few MiB on a folder; root only."""
    mounted: list[Path] = []

    def mount(folder: Path, size: str = "4m") -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        done = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={size}", "drophammer-test", str(folder)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            pytest.skip(f"no filesystem can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)
        return folder

    if os.geteuid() != 0:
        pytest.skip("only root can mount a small filesystem")
    yield mount
    for folder in mounted:
        subprocess.run(["umount", "--lazy", str(folder)], check=False)
