"""Jobs that end or are retried at awkward moments: between two tries, in the middle of going over items."""

from __future__ import annotations

import shutil

import pytest

from tests.conftest import eventually
from tests.faults.conftest import BreakableHouse, published_once


def test_a_job_cancelled_between_two_tries_ends(house: BreakableHouse) -> None:
    house.configure(backoff=60)
    house.start()
    house.drop("busy.yaml", {"do": "wreck", "fails_until": str(house.home / "gate")})
    eventually(lambda: house.rows("SELECT 1 FROM attempts WHERE outcome = 'failed'"), "it failed once")
    house.ask("cancel", job=house.job("busy")["id"])
    house.ended("busy", "cancelled")


def test_a_job_fails_while_another_of_its_steps_waits_for_its_next_try(house: BreakableHouse) -> None:
    house.configure(backoff=60)
    house.start()
    steps = {
        "busy": {"do": "wreck", "fails_until": str(house.home / "gate")},
        "wrong": {"do": "probe", "seconds": 1, "end": "invalid"},
    }
    house.drop("both.yaml", {"steps": steps})
    assert "the request is wrong" in house.ended("both", "failed")["reason"]


@pytest.mark.parametrize("kept", [True, False])
def test_a_job_that_failed_over_its_items_is_retried(running: BreakableHouse, kept: bool) -> None:
    gate, made = running.home / "gate", running.home / "made"
    over = {"do": "wreck", "input": ["each"], "for_each": {"in": "sources"}, "min_success": 3, "retries": 0}
    steps = {
        "sources": {"do": "wreck", "items": 3, "made": str(made)},
        "mine": {**over, "fails_until": str(gate), "made": str(made)},
    }
    running.drop("many.yaml", {"steps": steps})
    job = running.ended("many", "failed")
    gate.touch()
    if not kept:
        shutil.rmtree(running.outbox / ".staging" / job["id"])
    running.ask("retry", job=job["id"])
    eventually(lambda: running.job("many")["state"] == "done", "the retry is done")
    eventually(lambda: published_once(running) == [], "it is published once, and its failed folder gone")
    assert made.read_text().count(" sources ") == (3 if kept else 6)
