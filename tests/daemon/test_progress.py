"""How a job moves on, room by room and without a worker: the test says how each run ended."""

from __future__ import annotations

import json
import queue
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from daemon import documents
from daemon.commands import Commands, Refused
from daemon.core import Core
from daemon.dispatch import NEXT_RUNS
from daemon.errands import Errands
from daemon.events import ErrandDone, Event, Published
from daemon.intake import Intake
from daemon.ledger import Ledger
from daemon.outbox import Outbox
from daemon.progress import Progress
from daemon.publication import Publication
from daemon.readiness import Readiness
from daemon.reports import Reports
from daemon.settings import load
from handlers.registry import load_registry
from tests.conftest import House


class Desk:
    """The rooms between intake and outbox over a real ledger; `end` stands in for a worker."""

    def __init__(self, house: House) -> None:
        settings = load(house.home)
        self.house = house
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.core = core = Core(
            settings, load_registry(settings.handlers), Ledger(settings.paths.ledger), Outbox(settings, "0"), {}, self.events.put
        )
        core.outbox.open(known=False)
        self.progress = Progress(core)
        self.readiness = Readiness(core, self.progress)
        self.intake = Intake(core, self.readiness)
        self.reports = Reports(core, self.progress)
        self.publication = Publication(core, self.progress)
        self.commands = Commands(core, self)  # type: ignore[arg-type]
        core.errands = Errands(settings.paths, self.events.put, self.publication.assemble)
        core.messenger = Errands(settings.paths, self.events.put, self.publication.assemble)
        self.published: list[str] = []

    def round(self, *acts: Any) -> None:
        """One transaction, then what is to be done after it; twice, as after a failed commit."""
        with self.core.ledger.transaction(durable=False):
            for act in acts:
                act()
        done, self.core.acts = self.core.acts, []
        for act in done:
            act()
        self.publication.act()

    def settle(self) -> None:
        """Until nothing is on its way any more."""
        while self.core.errands.assembling or not self.events.empty():
            event = self.events.get(timeout=30)
            if isinstance(event, Published):
                self.published += event.job_ids
                self.round(lambda event=event: self.publication.published(event))
            elif isinstance(event, ErrandDone):
                self.round(event.then)

    def submit(self, **job: Any) -> str:
        text = json.dumps(job)
        document = documents.read(text.encode(), self.core.registry, self.core.settings, default_name="job")
        made: list[str] = []
        self.round(lambda: made.append(self.intake.accept(document, text, origin="command")))
        return made[0]

    def begin(self, job: str, step: str, ordinal: int = 1) -> tuple[int, int]:
        """Have a queued run running; returns its attempt and itself."""
        ledger = self.core.ledger
        run = ledger.row(
            "SELECT runs.*, steps.name FROM runs JOIN steps ON steps.id = step_id WHERE runs.job_id = ? AND name = ? AND ordinal = ?",
            job, step, ordinal,
        )  # fmt: skip
        assert run["state"] == "queued", f"{step} is {run['state']}"
        number = ledger.value("SELECT count(*) FROM attempts WHERE run_id = ?", run["id"]) + 1
        attempt = ledger.insert(
            "attempts", job_id=job, run_id=run["id"], number=number, lane=run["lane"], folder=f"{job}/{step}.{ordinal:03d}.{number}",
            worker_pid=1, worker_start=1, boot_id="x", started_at=self.core.stamp(),
        )  # fmt: skip
        ledger.update("runs", run["id"], state="running", started_at=self.core.stamp())
        ledger.update("steps", run["step_id"], state="running")
        ledger.update("jobs", job, state="running")
        return attempt, run["id"]

    def item(self, begun: tuple[int, int], item: int = 1) -> None:
        """Let a run finish an item."""
        attempt, run_id = begun
        row = self.core.ledger.row("SELECT attempts.*, runs.ordinal FROM attempts JOIN runs ON runs.id = run_id WHERE attempts.id = ?", attempt)
        place = self.core.outbox.staging / row["folder"] / f"{item}.txt"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("sound")
        self.core.ledger.insert(
            "artifacts", job_id=row["job_id"], run_id=run_id, attempt_id=attempt, item=item, kind="primary", label="",
            path=f"{row['folder']}/{item}.txt", published=f"{run_id}-{item}.txt", size_bytes=5, sha256=f"{run_id}{item}", facts={}, created_at=self.core.stamp(),
        )  # fmt: skip

    def end(self, begun: tuple[int, int], outcome: str = "done", meaning: str | None = None, message: str = "") -> None:
        self.round(lambda: self.reports.end_attempt(*begun, outcome, meaning=meaning, message=message, inputs=[]))

    def do(self, job: str, step: str, outcome: str = "done", ordinal: int = 1, items: int = 1, **more: Any) -> None:
        """A whole run."""
        begun = self.begin(job, step, ordinal)
        for item in range(1, items + 1):
            self.item(begun, item)
        self.end(begun, outcome, **more)

    def job(self, job: str) -> sqlite3.Row:
        row = self.core.ledger.row("SELECT * FROM jobs WHERE id = ?", job)
        assert row is not None
        return row

    def steps(self, job: str) -> dict[str, str]:
        return dict(self.core.ledger.rows("SELECT name, state FROM steps WHERE job_id = ? ORDER BY position", job))


@pytest.fixture
def desk(house: House) -> Iterator[Desk]:
    desk = Desk(house)
    yield desk
    for thread in (desk.core.errands, desk.core.messenger):
        thread.stop()
    desk.core.ledger.close()


PROBE = {"do": "probe"}


def test_a_step_begins_when_all_it_reads_is_done(desk: Desk) -> None:
    job = desk.submit(steps={"a": PROBE, "b": PROBE, "both": {"do": "probe", "input": ["a", "b"]}})
    assert desk.steps(job) == {"a": "queued", "b": "queued", "both": "waiting"}
    desk.do(job, "a")
    assert desk.steps(job)["both"] == "waiting"
    desk.do(job, "b")
    assert desk.steps(job)["both"] == "queued"


def test_a_job_is_published_once_all_its_steps_are_done(desk: Desk) -> None:
    job = desk.submit(steps={"a": PROBE, "b": PROBE})
    desk.do(job, "a")
    desk.settle()
    assert desk.published == [] and desk.job(job)["state"] == "running"
    desk.do(job, "b")
    desk.settle()
    assert desk.published == [job] and desk.job(job)["state"] == "done"


def test_a_job_is_not_over_while_a_sibling_of_the_failed_step_runs(desk: Desk) -> None:
    job = desk.submit(steps={"a": PROBE, "b": PROBE, "c": PROBE})
    a, b = desk.begin(job, "a"), desk.begin(job, "b")
    desk.end(a, "failed", "invalid", "wrong")
    desk.settle()
    assert desk.steps(job) == {"a": "failed", "b": "running", "c": "cancelled"} and desk.published == []
    desk.item(b)
    desk.end(b)
    desk.settle()
    assert desk.published == [job] and desk.job(job)["reason"] == "step a: wrong"


def test_a_sibling_that_runs_again_after_a_retry_is_waited_for_too(desk: Desk) -> None:
    job = desk.submit(steps={"a": PROBE, "b": PROBE})
    for step in ("a", "b"):
        desk.do(job, step, "failed", items=0, meaning="invalid", message="wrong") if step == "a" else None
    desk.settle()
    desk.round(lambda: desk.commands.retry(job))
    run = desk.core.ledger.rows(NEXT_RUNS, "cpu", desk.core.stamp(), desk.core.stamp(), 2)
    assert {row["step"] for row in run} == {"a", "b"} and {row["step_state"] for row in run} == {"queued"}


def test_nothing_of_a_job_that_has_failed_is_tried_again(desk: Desk) -> None:
    job = desk.submit(steps={"a": PROBE, "b": PROBE})
    a, b = desk.begin(job, "a"), desk.begin(job, "b")
    desk.end(a, "failed", "invalid", "wrong")
    desk.end(b, "failed", "transient", "busy")
    desk.settle()
    assert desk.steps(job) == {"a": "failed", "b": "cancelled"} and desk.job(job)["state"] == "failed"


def test_for_each_counts_every_failure_and_forgets_none_at_a_retry(desk: Desk) -> None:
    job = desk.submit(
        steps={
            "a": PROBE,
            "mine": {"do": "probe", "input": ["each"], "for_each": {"in": "a"}, "min_success": 1},
            "last": {"do": "probe", "input": ["mine"]},
        }
    )
    desk.do(job, "a", items=3)
    desk.do(job, "mine", "failed", ordinal=1, items=0, meaning="bug", message="no")
    desk.do(job, "mine", ordinal=2)
    desk.do(job, "mine", "failed", ordinal=3, items=0, meaning="bug", message="no")
    assert desk.steps(job)["mine"] == "done" and desk.job(job)["failures"] == 2
    desk.do(job, "last", "failed", items=0, meaning="invalid", message="wrong")
    desk.settle()
    assert desk.job(job)["failures"] == 2
    desk.round(lambda: desk.commands.retry(job))
    desk.do(job, "last")
    desk.settle()
    assert (desk.job(job)["state"], desk.job(job)["failures"]) == ("done", 2)


def test_too_few_successes_fail_the_step_and_say_how_many(desk: Desk) -> None:
    job = desk.submit(
        steps={"a": PROBE, "mine": {"do": "probe", "input": ["each"], "for_each": {"in": "a"}, "min_success": 2}}
    )
    desk.do(job, "a", items=2)
    desk.do(job, "mine", ordinal=1)
    desk.do(job, "mine", "failed", ordinal=2, items=0, meaning="bug", message="no")
    desk.settle()
    assert desk.job(job)["reason"] == "step mine: 1 of 2 runs succeeded, 2 must; last: no"
    assert (desk.job(job)["state"], desk.job(job)["failures"]) == ("failed", 1)


def test_nothing_to_go_over_ends_the_job_and_every_step_of_it(desk: Desk) -> None:
    source = desk.submit(name="source", steps={"a": PROBE})
    desk.do(source, "a", items=2)
    desk.settle()
    for_each = {"do": "probe", "input": ["each"], "for_each": {"in": "from/a", "start": 5}}
    job = desk.submit(**{"from": "source", "steps": {"mine": for_each, "again": for_each, "other": PROBE}})
    desk.settle()
    assert desk.steps(job) == {"mine": "failed", "again": "cancelled", "other": "cancelled"}
    assert desk.job(job)["state"] == "failed" and desk.published == [source, job]
    assert "from/a has 2 items, start is 5" in desk.job(job)["reason"]


def test_a_job_goes_over_the_items_of_an_earlier_one(desk: Desk) -> None:
    source = desk.submit(name="source", steps={"a": PROBE})
    desk.do(source, "a", items=3)
    desk.settle()
    job = desk.submit(
        **{"from": "source", "steps": {"mine": {"do": "probe", "input": ["each"], "for_each": {"in": "from/a", "start": 1}}}}
    )
    for ordinal in (1, 2):
        desk.do(job, "mine", ordinal=ordinal)
    desk.settle()
    assert desk.job(job)["state"] == "done"
    assert [row["each"] for row in desk.core.ledger.rows("SELECT each FROM runs WHERE job_id = ?", job)] == ["from/a/2", "from/a/3"]


def test_a_job_that_was_quicker_than_its_cancel_is_done_and_gives_no_reason(desk: Desk) -> None:
    job = desk.submit(steps={"a": PROBE})
    begun = desk.begin(job, "a")
    desk.round(lambda: desk.commands.cancel(job))
    desk.item(begun)
    desk.end(begun)
    desk.settle()
    assert (desk.job(job)["state"], desk.job(job)["reason"]) == ("done", None)


def test_a_cancel_in_the_same_batch_as_its_workers_death_ends_the_job(desk: Desk) -> None:
    job = desk.submit(steps={"a": PROBE})
    begun = desk.begin(job, "a")
    desk.round(lambda: desk.reports.end_attempt(*begun, "crashed", message="killed"), lambda: desk.commands.cancel(job))
    desk.settle()
    assert desk.job(job)["state"] == "cancelled"


def test_a_waiting_job_can_be_cancelled(desk: Desk) -> None:
    job = desk.submit(steps={"a": {"do": "probe", "input": ["./never.wav"]}})
    assert desk.job(job)["state"] == "waiting"
    desk.round(lambda: desk.commands.cancel(job))
    desk.settle()
    assert desk.job(job)["state"] == "cancelled"


def test_a_folder_asked_for_twice_is_assembled_and_published_once(desk: Desk) -> None:
    job = desk.submit(steps={"a": PROBE})
    desk.do(job, "a")
    desk.round(lambda: desk.progress.job_may_be_over(job), lambda: desk.progress.job_may_be_over(job))
    desk.settle()
    desk.round(lambda: desk.publication.published(Published((job,))))
    assert desk.published == [job]
    said = desk.core.ledger.value("SELECT count(*) FROM jobs WHERE state = 'done'")
    assert said == 1 and (desk.house.outbox / job / "manifest.json").exists()


def test_what_is_being_published_is_neither_cancelled_nor_retried(desk: Desk) -> None:
    job = desk.submit(steps={"a": PROBE})
    desk.do(job, "a")
    for ask in (desk.commands.cancel, desk.commands.retry):
        with pytest.raises(Refused):
            ask(job)
    desk.settle()


def test_a_retry_waits_until_the_outbox_is_back(desk: Desk) -> None:
    job = desk.submit(steps={"a": PROBE})
    begun = desk.begin(job, "a")
    desk.item(begun)
    desk.end(begun, "failed", "invalid", "wrong")
    desk.settle()
    hidden = desk.house.home / "unplugged"
    desk.house.outbox.rename(hidden)
    desk.core.obstacle = desk.core.outbox.obstacle()
    with pytest.raises(Refused, match="is the drive mounted"):
        desk.commands.retry(job)
    assert desk.core.ledger.value("SELECT count(*) FROM artifacts WHERE job_id = ?", job) == 1
    hidden.rename(desk.house.outbox)


def test_a_failed_folder_that_was_cleaned_away_comes_back_with_the_next_failure(desk: Desk) -> None:
    (desk.house.outbox / "failed").rmdir()
    job = desk.submit(steps={"a": PROBE})
    desk.do(job, "a", "failed", items=0, meaning="invalid", message="wrong")
    desk.settle()
    assert (desk.house.outbox / "failed" / job / "reason.txt").exists()
    assert desk.job(job)["folder"] == str(desk.house.outbox / "failed" / job)


def test_a_done_job_is_published_though_failed_was_cleaned_away(desk: Desk) -> None:
    (desk.house.outbox / "failed").rmdir()
    job = desk.submit(steps={"a": PROBE})
    desk.do(job, "a")
    desk.settle()
    assert desk.job(job)["state"] == "done"


def test_retry_after_a_retry_that_failed_keeps_what_was_finished(desk: Desk) -> None:
    job = desk.submit(steps={"a": PROBE, "b": {"do": "probe", "input": ["a"]}})
    desk.do(job, "a")
    for _ in range(2):
        desk.do(job, "b", "failed", items=0, meaning="invalid", message="wrong")
        desk.settle()
        desk.round(lambda: desk.commands.retry(job))
    desk.do(job, "b")
    desk.settle()
    folder = Path(desk.job(job)["folder"])
    assert folder == desk.house.outbox / job and len(list(folder.glob("*.txt"))) == 2
    assert desk.published == [job] * 3


def test_a_finished_file_that_is_lost_fails_its_step_and_a_retry_makes_it_again(desk: Desk) -> None:
    job = desk.submit(steps={"a": PROBE, "b": {"do": "probe", "input": ["a"]}})
    desk.do(job, "a", items=2)
    begun = desk.begin(job, "b")
    desk.item(begun)
    (desk.house.outbox / ".staging" / job / "a.001.1" / "2.txt").unlink()
    desk.end(begun)
    desk.settle()
    assert desk.job(job)["state"] == "failed" and "a.001.1/2.txt: gone" in desk.job(job)["reason"]
    assert len(list(Path(desk.job(job)["folder"]).glob("*.txt"))) == 3  # With reason.txt.
    desk.round(lambda: desk.commands.retry(job))
    begun = desk.begin(job, "a")
    desk.item(begun, 2)
    desk.end(begun)
    desk.settle()
    assert desk.job(job)["state"] == "done"
    assert len(list((desk.house.outbox / job).glob("*.txt"))) == 3
