"""SIGKILL to the daemon, to a worker, to both, at every step of a job's life: accepted once, published exactly once."""

from __future__ import annotations

import os
import random

import pytest

from tests.conftest import eventually
from tests.faults.conftest import BreakableHouse
from tests.faults.torture import POINTS, VICTIMS, Torture

ROUNDS = 20
SETTLE_EVERY = 5
"""Rounds. A run that is cut short ten times in a row is given up, by promise: so each gets its turn in between."""


def test_nothing_is_lost_or_doubled_however_often_something_is_killed(house: BreakableHouse, capsys: pytest.CaptureFixture[str]) -> None:
    seed = int(os.environ.get("TORTURE_SEED") or random.randrange(1 << 32))
    torture = Torture(house, seed)
    with capsys.disabled():
        print(f"\nTORTURE_SEED={seed}")
    house.start()
    for number in range(ROUNDS):
        point = POINTS[number % len(POINTS)]
        torture.round(point, torture.random.choice(VICTIMS))
        if number % SETTLE_EVERY == SETTLE_EVERY - 1:
            torture.settle()
    torture.settle()
    eventually(lambda: not os.listdir(house.outbox / ".staging"), "staging is cleared")
    assert torture.account() == [], torture.summary()
    print(torture.summary())
    assert torture.finished, "no kill came while an item was finished: this run proved nothing about them"


@pytest.mark.parametrize("point", ["a job is accepted", "an item is finished", "a folder is assembled", "a job is publishing"])
def test_a_daemon_killed_at_a_named_point_takes_up_where_it_was(house: BreakableHouse, point: str) -> None:
    torture = Torture(house, 7)
    house.start()
    torture.round(point, "daemon")
    torture.settle()
    eventually(lambda: not os.listdir(house.outbox / ".staging"), "staging is cleared")
    assert torture.account() == []
