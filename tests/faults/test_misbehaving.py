"""Workers that end in every way a process can: each is one attempt on record, and the job is done by the next worker."""

from __future__ import annotations

import pytest

from tests.conftest import eventually
from tests.faults.conftest import BreakableHouse, published_once

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
