"""Schedules in the loop: what is due becomes a job, recorded once for each due time, in the same transaction."""

from __future__ import annotations

from datetime import datetime

import structlog

from daemon import documents, schedule
from daemon.core import Core
from daemon.documents import DocumentError
from daemon.intake import Intake
from daemon.jobs import ENDED, slug, timestamp
from daemon.schedule import Firing, Schedule
from daemon.settings_model import Settings

log = structlog.get_logger()


class Timetable:
    """The schedules in force. The last due time of each is what the ledger's `firings` say."""

    def __init__(self, core: Core, intake: Intake) -> None:
        self.core = core
        self.intake = intake
        self.schedules: tuple[Schedule, ...] = ()
        self.since: dict[str, datetime] = {}
        self.replace(self.read(core.settings))

    def read(self, settings: Settings) -> tuple[Schedule, ...]:
        """Read config/schedules.yaml; raises a `SettingsError` naming every problem."""
        return tuple(schedule.read(settings.paths.config / "schedules.yaml"))

    def replace(self, schedules: tuple[Schedule, ...]) -> None:
        """Put schedules in force. One that is new, or due at other times than before, has missed nothing before now."""
        self.schedules = schedules
        ledger, now = self.core.ledger, self.core.stamp()
        known = dict(ledger.rows("SELECT name, definition FROM schedules"))
        for entry in schedules:
            definition = f"{entry.cron.expression} {entry.cron.timezone or 'local'} {'on' if entry.enabled else 'off'}"
            if known.get(entry.name) != definition:
                ledger.insert("schedules", replace=True, name=entry.name, definition=definition, since=now)
        latest = "SELECT max(due_at) FROM firings WHERE schedule = name"
        last = dict(ledger.rows(f"SELECT name, max(since, coalesce(({latest}), '')) FROM schedules"))
        self.since = {entry.name: datetime.fromisoformat(last[entry.name]) for entry in schedules}

    def tick(self) -> None:
        """Fire what is due. Judged by the wall clock at every tick, so that sleep and clock steps need no care."""
        if not self.schedules:
            return
        now = self.core.now()
        if any(since > now for since in self.since.values()):
            self._take_back(now)
        for firing in schedule.due(self.schedules, self.since, now):
            self._fire(firing)

    def _take_back(self, now: datetime) -> None:
        """The clock was put back. What was passed over ahead of time can still come; what was queued is not queued again."""
        self.since = {name: min(since, now) for name, since in self.since.items()}
        self.core.ledger.connection.execute(
            "DELETE FROM firings WHERE due_at > ? AND outcome IN ('missed', 'coalesced')", (timestamp(now),)
        )

    def _fire(self, firing: Firing) -> None:
        entry, core = firing.schedule, self.core
        self.since[entry.name] = max(firing.due_at, self.since[entry.name])
        due_at = timestamp(firing.due_at)
        if core.ledger.value("SELECT 1 FROM firings WHERE schedule = ? AND due_at = ?", entry.name, due_at):
            return
        outcome, job_id, note = firing.outcome, None, firing.note
        if outcome == "fire" and entry.overlap == "skip" and (running := self._unfinished(entry.name)):
            outcome, note = "skipped", f"{running} has not ended"
        elif outcome == "fire":
            outcome, job_id, note = self._queue(entry)
        core.ledger.insert(
            "firings",
            schedule=entry.name,
            due_at=due_at,
            outcome=outcome,
            job_id=job_id,
            note=note,
            recorded_at=core.stamp(),
        )
        level = log.error if outcome == "refused" else log.info
        level("schedule " + outcome, schedule=entry.name, due_at=due_at, job_id=job_id, note=note)

    def _unfinished(self, name: str) -> str | None:
        return self.core.ledger.value(
            f"SELECT jobs.id FROM firings JOIN jobs ON jobs.id = firings.job_id WHERE schedule = ? AND jobs.state NOT IN {ENDED} LIMIT 1",
            name,
        )

    def _queue(self, entry: Schedule) -> tuple[str, str | None, str | None]:
        """Make the schedule's job: outcome, job id, note."""
        try:
            text = schedule.text_of(entry, self.core.settings.paths.config)
            document = documents.read(text, self.core.registry, self.core.settings, default_name=slug(entry.name))
        except (DocumentError, OSError) as error:
            return "refused", None, str(error)
        return "queued", self.intake.accept(document, text.decode(), origin="schedule"), None
