"""From a job whose runs have all ended to its folder in the outbox: assembled, published once, announced."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import structlog

from daemon.core import Core
from daemon.events import Published
from daemon.jobs import DONE, ENDED, PUBLISHING
from daemon.outbox import Lost, deliver
from daemon.progress import Progress

log = structlog.get_logger()

TRY_AGAIN_S = 10.0


class Publication:
    """Publishes, in three moves: assembled (errands), `publishing` written durably and renamed, `done` written."""

    def __init__(self, core: Core, progress: Progress) -> None:
        self.core = core
        self.progress = progress
        self.renames: list[str] = []
        self.try_again: dict[str, float] = {}

    def assemble(self, ledger: sqlite3.Connection, job_ids: Sequence[str]) -> Callable[[], None]:
        """On the errands thread. What it returns runs in the loop's (durable) transaction."""
        try:
            problems = self.core.outbox.assemble(ledger, job_ids)
        except (OSError, sqlite3.Error) as error:  # The disk could not be flushed, or the ledger not be read.
            if ledger.in_transaction:
                ledger.rollback()
            problems = dict.fromkeys(job_ids, str(error))
        return lambda: self._assembled(problems)

    def _assembled(self, problems: dict[str, str | Lost | None]) -> None:
        self.core.errands.assembling.difference_update(problems)
        for job_id, problem in problems.items():
            if self.core.ledger.value("SELECT state FROM jobs WHERE id = ?", job_id) in (*ENDED, PUBLISHING):
                continue  # Asked for twice: the first has published it.
            if isinstance(problem, Lost):
                self._fail_what_was_lost(job_id, problem)
                continue
            if problem is not None:
                log.error("the finished job cannot be assembled; trying again", job_id=job_id, error=problem)
                self.try_again[job_id] = self.core.monotonic() + TRY_AGAIN_S
                continue
            self.core.ledger.update("jobs", job_id, state=PUBLISHING)
            self.renames.append(job_id)

    def _fail_what_was_lost(self, job_id: str, lost: Lost) -> None:
        """Fail the steps whose files are gone: a retry makes just these again."""
        ledger = self.core.ledger
        for path in lost.paths:
            row = ledger.row("SELECT * FROM artifacts WHERE job_id = ? AND path = ?", job_id, path)
            if row is None:
                continue  # It went with another file of its item.
            ledger.connection.execute(
                "DELETE FROM artifacts WHERE run_id = ? AND item = ?", (row["run_id"], row["item"])
            )
            ledger.connection.execute("UPDATE runs SET state = 'failed' WHERE id = ?", (row["run_id"],))
            ledger.connection.execute(
                "UPDATE steps SET state = 'failed' WHERE id = (SELECT step_id FROM runs WHERE id = ?)", (row["run_id"],)
            )
        ledger.update("jobs", job_id, reason=f"{lost}; a retry makes it again")
        log.error("finished work is lost", job_id=job_id, reason=str(lost))
        self.core.after(lambda: self.core.errands.assemble(job_id))

    def act(self) -> None:
        """After the commit: rename what is due, flush the folder once for all, and report."""
        # Looked at again, now: on the bare folder of a drive that has just gone, a job would count as published.
        if not self.renames or self.core.obstacle or self.core.outbox.obstacle():
            return
        done: list[str] = []
        newest = None
        for job_id in self.renames:
            state = self.progress.outcome(job_id)
            try:
                self.core.outbox.publish(job_id, state)
                done.append(job_id)
                newest = job_id if state == DONE else newest
            except OSError as error:
                log.error("cannot publish; trying again", job_id=job_id, error=str(error))
                self.try_again[job_id] = self.core.monotonic() + TRY_AGAIN_S
        self.renames.clear()
        if not done:
            return
        if newest is not None:
            self.core.outbox.point_latest(newest)
        try:
            self.core.outbox.sync()
        except OSError as error:
            log.error("cannot flush the outbox; trying again", error=str(error))
            self.try_again.update(dict.fromkeys(done, self.core.monotonic() + TRY_AGAIN_S))
        else:
            self.core.post(Published(tuple(done)))

    def published(self, event: Published) -> None:
        """Write that jobs have ended; only now do `wait` and the commands of on_done hear of it."""
        for job_id in event.job_ids:
            if self.core.ledger.value("SELECT state FROM jobs WHERE id = ?", job_id) != PUBLISHING:
                continue  # Said before.
            state = self.progress.outcome(job_id)
            folder = self.core.outbox.folder_of(job_id, state)
            self.core.ledger.update("jobs", job_id, state=state, folder=str(folder), finished_at=self.core.stamp())
            job = self.core.ledger.row("SELECT * FROM jobs WHERE id = ?", job_id)
            log.info(state, job_id=job_id, folder=str(folder), reason=job["reason"], failures=job["failures"] or None)
            self.core.after(lambda job=job: self._announce(job))

    def _announce(self, job: sqlite3.Row) -> None:
        if job["state"] == DONE:
            self.core.messenger.send(lambda ledger: self.hand_out(ledger, job))
        commands = self.core.settings.on_done if job["state"] == DONE else self.core.settings.on_failed
        for command in commands:
            facts = {
                "id": job["id"],
                "name": job["name"],
                "state": job["state"],
                "folder": job["folder"],
                "reason": job["reason"] or "",
            }
            words = [fill(word, facts) for word in command]
            self.core.messenger.send(lambda ledger, words=words: _run_command(words, job["id"]))

    def hand_out(self, ledger: sqlite3.Connection, job: sqlite3.Row) -> None:
        """On the messenger's thread: copies that the job asked for, then the emptied staging folder."""
        wanted = json.loads(job["deliver"]) if job["deliver"] else {}
        folder = Path(job["folder"])
        rows = ledger.execute(
            "SELECT published, kind, label, runs.id AS run FROM artifacts JOIN runs ON runs.id = artifacts.run_id "
            "WHERE artifacts.job_id = ? AND kind IN ('primary', 'rendition')",
            (job["id"],),
        ).fetchall()

        def clash(target: Path) -> None:
            log.warning("not delivered: another file of that name is there", job_id=job["id"], target=str(target))

        try:
            if wanted.get("to"):
                target = self.core.settings.deliver[wanted["to"]]
                files = [(folder / row["published"], row["published"]) for row in rows]
                self._say_delivered(job["id"], deliver(target / (wanted["name"] or job["name"]), files, clash))
            if wanted.get("beside"):
                self._beside(ledger, job, rows, clash)
        except (OSError, KeyError) as error:
            log.error(
                "delivery failed; the work itself is in the outbox",
                job_id=job["id"],
                error=f"{type(error).__name__}: {error}",
            )
        self.core.outbox.clear(job["id"])

    def _beside(
        self, ledger: sqlite3.Connection, job: sqlite3.Row, rows: list[sqlite3.Row], clash: Callable[[Path], Any]
    ) -> None:
        """Put an analysis next to the file it is of, under that file's name."""
        for row in rows:
            inputs = ledger.execute(
                "SELECT inputs FROM attempts WHERE run_id = ? AND outcome = 'done'", (row["run"],)
            ).fetchone()
            # None: of a run that failed later. Ours: nothing is added to a folder that is published.
            sources = [Path(entry["path"]) for entry in json.loads(inputs["inputs"])] if inputs else []
            if any(source.is_relative_to(self.core.outbox.root) for source in sources):
                continue
            if len(sources) == 1 and row["kind"] == "primary":
                name = sources[0].stem + Path(row["published"]).suffix
                placed = deliver(sources[0].parent, [(Path(job["folder"]) / row["published"], name)], clash)
                self._say_delivered(job["id"], placed)

    def _say_delivered(self, job_id: str, placed: list[Path]) -> None:
        log.info("delivered", job_id=job_id, files=[str(path) for path in placed])

    def look_out(self) -> None:
        """Park while the outbox is not there or its disk is full, say so once, and go on by itself."""
        obstacle = self.core.outbox.obstacle()
        if obstacle == self.core.obstacle:
            return
        self.core.obstacle = obstacle
        if obstacle:
            log.error("parked", reason=obstacle)
            return
        log.info("going on")
        waiting = self.core.ledger.rows("SELECT id FROM jobs WHERE state = 'publishing'")
        self.renames.extend(row["id"] for row in waiting if row["id"] not in self.renames)

    def tick(self) -> None:
        """Try again what could not be assembled or renamed."""
        now = self.core.monotonic()
        for job_id in [job for job, due in self.try_again.items() if now >= due]:
            del self.try_again[job_id]
            state = self.core.ledger.value("SELECT state FROM jobs WHERE id = ?", job_id)
            if state == PUBLISHING:
                self.renames.append(job_id)
            elif state not in ENDED:
                self.core.after(lambda job_id=job_id: self.core.errands.assemble(job_id))


def fill(word: str, facts: dict[str, str]) -> str:
    """Put facts into a word of a command; text in the facts is never read as a pattern again."""
    parts = []
    while word:
        before, brace, rest = word.partition("{")
        name, close, after = rest.partition("}")
        parts.append(before)
        if brace and close and name in facts:
            parts.append(facts[name])
            word = after
        else:
            parts.append(brace)
            word = rest
    return "".join(parts)


def _run_command(words: list[str], job_id: str) -> None:
    try:
        done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
        if done.returncode:
            log.warning(
                "a notification command failed",
                job_id=job_id,
                command=words[0],
                status=done.returncode,
                error=done.stderr[-300:].decode(errors="replace"),
            )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("a notification command failed", job_id=job_id, command=words[0], error=str(error))
