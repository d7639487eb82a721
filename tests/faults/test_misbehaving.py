"""Workers that end in every way a process can: each is one attempt on record, and the job is done by the next worker."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import eventually
from tests.faults.conftest import BreakableHouse, published_once

LIMIT_MIB = 300
"""For the daemon and two workers together: about twice what they need."""

ENDS = {
    "exit": ("crashed", "exited with status 3"),
    "abort": ("crashed", "SIGABRT"),
    "kill": ("crashed", "SIGKILL"),
    "garbage": ("crashed", "it wrote"),
    "segfault": ("crashed", "SIGSEGV"),
    "closes its pipe": ("crashed", "exited with status"),
    "leaves": ("crashed", "exited with status"),
    "takes all memory": ("failed", "MemoryError"),
}
"""How the attempt is called, and what its message says."""


def document(house: BreakableHouse, end: str) -> dict[str, object]:
    gate = str(house.home / end.replace(" ", "-"))
    if end in ("segfault", "closes its pipe", "leaves", "takes all memory"):
        return {"do": "wreck", "misbehaves": end, "once": gate}
    return {"do": "probe", "end": end, "until": gate}


def test_however_a_worker_ends_the_attempt_says_so_and_the_next_one_does_the_job(house: BreakableHouse) -> None:
    house.configure(lanes={"cpu": {"workers": 2}})
    house.start()
    for end in ENDS:
        house.drop(f"{end.replace(' ', '-')}.yaml", document(house, end))
    crashed = "SELECT 1 FROM attempts JOIN jobs ON jobs.id = job_id WHERE name = ? AND outcome = 'crashed'"
    for end in ("exit", "abort", "kill", "garbage"):
        eventually(lambda end=end: house.rows(crashed, end), f"{end} ends a worker")
        (house.home / end).touch()
    for end, (outcome, words) in ENDS.items():
        job = house.ended(end.replace(" ", "-"))
        rows = house.rows("SELECT * FROM attempts WHERE job_id = ? ORDER BY id", job["id"])
        assert [row["outcome"] for row in rows][0] == outcome and rows[-1]["outcome"] == "done", end
        assert words in rows[0]["message"], (end, rows[0]["message"])
        assert rows[0]["worker_pid"] != rows[-1]["worker_pid"], end
        assert words in house.drophammer("logs", job["id"]), "and so says the log"
    assert published_once(house) == []


@pytest.mark.parametrize("end", ["segfault", "closes its pipe"])
def test_a_job_that_ends_every_worker_is_quarantined_with_its_reason(running: BreakableHouse, end: str) -> None:
    running.drop("poison.yaml", {"do": "wreck", "misbehaves": end})
    running.drop("good.yaml", {"do": "wreck"})
    job = running.ended("poison", "failed")
    assert "quarantined: its worker died 3 times" in job["reason"]
    assert "quarantined" in running.drophammer("show", "poison")
    running.ended("good")
    assert published_once(running) == []


@pytest.fixture
def memory_limit() -> Iterator[Callable[[int], None]]:
    """Puts a process, and what it starts from then on, under a limit of the kernel's, in MiB."""
    first = Path("/sys/fs/cgroup/memory/memory.limit_in_bytes").exists()
    group = Path("/sys/fs/cgroup/memory" if first else "/sys/fs/cgroup") / f"drophammer-test-{os.getpid()}"
    try:
        group.mkdir()
        (group / ("memory.limit_in_bytes" if first else "memory.max")).write_text(str(LIMIT_MIB << 20))
    except OSError as error:
        pytest.skip(f"no memory limit can be set here: {error}")

    def confine(pid: int) -> None:
        (group / "cgroup.procs").write_text(str(pid))

    yield confine
    eventually(lambda: not (group / "cgroup.procs").read_text(), "the group is empty")
    group.rmdir()


def test_when_the_kernels_memory_limit_is_reached_a_worker_dies_and_never_the_daemon(
    memory_limit: Callable[[int], None], running: BreakableHouse
) -> None:
    memory_limit(running.process.pid)
    running.drop("large.yaml", {"do": "probe", "memory_mib": 3 * LIMIT_MIB})
    job = running.ended("large", "failed")
    assert "quarantined" in job["reason"] and "SIGKILL" in job["reason"]
    running.drop("good.yaml", {"do": "wreck"})
    running.ended("good")
    assert published_once(running) == []
    running.stop()
