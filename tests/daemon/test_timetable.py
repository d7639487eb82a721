"""Schedules in the loop, with a clock of the test's own: what fires, what is recorded, what happens after a pause."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from daemon.core import Core
from daemon.intake import Intake
from daemon.ledger import Ledger
from daemon.progress import Progress
from daemon.readiness import Readiness
from daemon.settings import load
from daemon.timetable import Timetable
from handlers.registry import load_registry
from tests.conftest import House

START = datetime(2026, 11, 21, 2, 30, tzinfo=UTC)

NIGHTLY = """
nightly:
  cron: "0 3 * * *"
  timezone: UTC
  misfire_grace: 2h
  {more}
  job: {{do: probe, name: night}}
"""


class Clocked:
    """The rooms that schedules need, over a ledger on disk, and a clock that the test turns."""

    def __init__(self, house: House, schedules: str, now: datetime = START) -> None:
        self.house = house
        (house.home / "config" / "schedules.yaml").write_text(schedules)
        self.now = now
        self.open()

    def open(self) -> None:
        """Start (again), as the daemon does."""
        settings = load(self.house.home)
        self.core = Core(
            settings,
            load_registry(settings.handlers),
            Ledger(settings.paths.ledger),
            None,
            {},
            lambda event: None,
            now=lambda: self.now,
        )
        progress = Progress(self.core)
        self.timetable = Timetable(self.core, Intake(self.core, Readiness(self.core, progress)))

    def close(self) -> None:
        self.core.ledger.close()

    def turn(self, **delta: float) -> None:
        """Let time pass (or go back), then tick once."""
        self.now += timedelta(**delta)
        with self.core.ledger.transaction(durable=True):
            self.timetable.tick()

    def firings(self) -> list[tuple[str, str]]:
        return [
            (row["due_at"][5:16], row["outcome"])
            for row in self.core.ledger.rows("SELECT * FROM firings ORDER BY due_at")
        ]

    def jobs(self) -> int:
        return self.core.ledger.value("SELECT count(*) FROM jobs WHERE origin = 'schedule'")

    def end_jobs(self) -> None:
        self.core.ledger.connection.execute("UPDATE jobs SET state = 'done'")


@pytest.fixture
def clocked(house: House):
    made = []

    def make(more: str = "", now: datetime = START) -> Clocked:
        made.append(Clocked(house, NIGHTLY.format(more=more), now))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_due_time_makes_one_job_however_often_it_is_looked_at(clocked) -> None:
    house = clocked()
    house.turn(minutes=29, seconds=59)
    assert house.jobs() == 0
    for _ in range(5):
        house.turn(seconds=1)
    assert house.firings() == [("11-21T03:00", "queued")] and house.jobs() == 1


def test_one_missed_while_the_daemon_was_down_runs_once_at_the_start(clocked) -> None:
    house = clocked()
    house.turn(seconds=1)
    house.close()
    house.now += timedelta(hours=1)
    house.open()
    house.turn(seconds=1)
    house.turn(seconds=1)
    assert house.firings() == [("11-21T03:00", "queued")]


def test_one_missed_for_longer_than_its_grace_is_recorded_and_not_run(clocked) -> None:
    house = clocked()
    house.turn(seconds=1)
    house.close()
    house.now += timedelta(hours=6)
    house.open()
    house.turn(seconds=1)
    assert house.firings() == [("11-21T03:00", "missed")] and house.jobs() == 0


def test_a_restart_within_the_firings_minute_fires_no_second_time(clocked) -> None:
    house = clocked()
    house.turn(minutes=30, seconds=5)
    house.close()
    house.open()
    house.turn(seconds=5)
    assert house.jobs() == 1


def test_a_clock_put_back_an_hour_fires_no_second_time(clocked) -> None:
    house = clocked()
    house.turn(minutes=31)
    house.turn(hours=-1)
    house.turn(minutes=59)
    house.turn(minutes=2)
    assert house.firings() == [("11-21T03:00", "queued")]


def test_a_machine_that_slept_through_three_nights_makes_one_set(clocked) -> None:
    house = clocked()
    house.turn(days=2, hours=1)
    outcomes = [outcome for _, outcome in house.firings()]
    assert outcomes == ["missed", "missed", "queued"] and house.jobs() == 1


def test_a_set_that_still_runs_is_not_overtaken(clocked) -> None:
    house = clocked()
    house.turn(minutes=31)
    house.turn(days=1)
    assert house.firings()[1] == ("11-22T03:00", "skipped")
    house.end_jobs()
    house.turn(days=1)
    assert house.firings()[2] == ("11-23T03:00", "queued")


def test_a_schedule_may_queue_behind_its_former_job(clocked) -> None:
    house = clocked("overlap: queue")
    house.turn(minutes=31)
    house.turn(days=1)
    assert [outcome for _, outcome in house.firings()] == ["queued", "queued"]


def test_each_firing_draws_a_new_seed(clocked) -> None:
    house = clocked("overlap: queue")
    house.turn(minutes=31)
    house.turn(days=1)
    assert len({row["seed"] for row in house.core.ledger.rows("SELECT seed FROM jobs")}) == 2


def test_a_job_that_cannot_be_read_is_refused_on_record(house: House) -> None:
    one = Clocked(house, 'broken: {cron: "0 3 * * *", timezone: UTC, job: jobs/nowhere.yaml}\n')
    one.turn(minutes=31)
    (row,) = one.core.ledger.rows("SELECT * FROM firings")
    assert row["outcome"] == "refused" and "nowhere.yaml" in row["note"]
    one.close()


def test_a_firing_and_its_job_are_one_transaction(clocked) -> None:
    house = clocked()
    house.now += timedelta(minutes=31)
    with pytest.raises(ZeroDivisionError), house.core.ledger.transaction(durable=True):
        house.timetable.tick()
        raise ZeroDivisionError
    assert house.firings() == [] and house.jobs() == 0


def test_the_shipped_file_holds_examples_and_no_schedule() -> None:
    from daemon import schedule
    from tests.conftest import CHECKOUT

    assert schedule.read(Path(CHECKOUT / "config" / "schedules.yaml")) == ()


def test_a_clock_that_was_years_ahead_silences_nothing(clocked) -> None:
    house = clocked()
    house.turn(days=800)
    assert {outcome for _, outcome in house.firings()} == {"missed"}
    house.turn(days=-800)
    house.turn(minutes=31)
    assert house.firings() == [("11-21T03:00", "queued")]


def test_a_schedule_that_is_changed_fires_for_no_past_time(clocked, house: House) -> None:
    one = clocked()
    one.turn(seconds=1)
    one.close()
    one.now += timedelta(minutes=45)
    path = house.home / "config" / "schedules.yaml"
    path.write_text(path.read_text().replace("0 3 * * *", "10 3 * * *"))
    one.open()
    one.turn(seconds=1)
    assert one.firings() == []
    one.turn(days=1)
    assert one.firings() == [("11-22T03:10", "queued")]
