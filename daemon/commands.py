"""What people ask of the running daemon through the control socket, and the live picture it gives of itself."""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import structlog

from daemon import VERSION, kept
from daemon.core import Core
from daemon.events import Command
from daemon.jobs import ENDED, WAITING, timestamp
from daemon.lane import Lane
from daemon.settings import SettingsError, load
from daemon.settings_model import Settings
from handlers.registry import load_registry

if TYPE_CHECKING:
    from daemon.service import Service

log = structlog.get_logger()

NEEDS_RESTART = ("inboxes", "outbox", "state", "watch", "umask", "log_level")
"""Keys that a running daemon keeps as they were."""


class Refused(Exception):
    """The request cannot be met; the message goes back to whoever asked."""


class Commands:
    """Each public method whose name a request gives in `do` answers it."""

    def __init__(self, core: Core, service: Service) -> None:
        self.core = core
        self.service = service
        self.known = {
            name: getattr(self, name) for name in ("ping", "status", "cancel", "retry", "keep", "pause", "resume", "stop")
        }

    def handle(self, event: Command) -> None:
        """Answer one request, after the commit."""
        name = event.request.get("do")
        arguments = {key: value for key, value in event.request.items() if key != "do"}
        try:
            _check(arguments)
            if name == "reload":
                answer = self.reload()
            elif name in self.known:
                answer = self.known[name](**arguments)
            else:
                raise Refused(f"unknown request {name!r}; known: {', '.join([*self.known, 'reload'])}")
        except (Refused, SettingsError) as error:
            answer = {"ok": False, "error": str(error)}
        except TypeError:
            answer = {"ok": False, "error": f"{name}: wrong arguments {sorted(arguments)}"}
        self.core.after(lambda: event.reply({"ok": True, **answer}))

    # --- looking ---

    def ping(self) -> dict[str, Any]:
        return {"pid": os.getpid(), "ready": self.service.ready}

    def status(self) -> dict[str, Any]:
        """Everything `drophammer top` shows, as of now."""
        core = self.core
        return {
            "pid": os.getpid(),
            "version": VERSION,
            "home": str(core.settings.paths.home),
            "started_at": self.service.started_at,
            "ready": self.service.ready,
            "draining": core.draining,
            "obstacle": core.obstacle,
            "lanes": {name: self._lane(lane) for name, lane in core.lanes.items()},
            "states": dict(
                core.ledger.rows(f"SELECT state, count(*) FROM jobs WHERE state NOT IN {ENDED} GROUP BY state")
            ),
            "watching": core.inbox.watching,
        }

    def _lane(self, lane: Lane) -> dict[str, Any]:
        now = self.core.monotonic()
        workers = [
            {
                "pid": worker.pid,
                "state": worker.state,
                "since_s": round(now - worker.since, 1),
                **{key: value for key, value in worker.work.items() if key not in ("progress_at", "unsaved")},
            }
            for worker in lane.workers.values()
        ]
        queued = self.core.ledger.value("SELECT count(*) FROM runs WHERE lane = ? AND state = 'queued'", lane.name)
        return {
            "workers": workers,
            "queued": queued,
            "limit": lane.settings.workers,
            "closed": lane.closed(self.core.now()),
            "paused": lane.paused,
            "paused_until": timestamp(lane.paused_until) if lane.paused_until else None,
        }

    def summary(self) -> str:
        """One line for the service manager: what runs now."""
        core = self.core
        if core.obstacle:
            return f"parked: {core.obstacle}"
        running = [worker.work for lane in core.lanes.values() for worker in lane.busy()]
        if not running:
            return "draining" if core.draining else "idle"
        words = []
        for work in running:
            share = f" {100 * work['done'] / work['total']:.0f} %" if work.get("total") else ""
            words.append(f"{work['job']}/{work['step']}{share}")
        return ("draining: " if core.draining else "running: ") + ", ".join(words)

    # --- jobs ---

    def _job(self, job: str) -> Any:
        row = self.core.ledger.row("SELECT * FROM jobs WHERE id = ?", job)
        if row is None:
            raise Refused(f"no job {job!r}")
        return row

    def cancel(self, job: str) -> dict[str, Any]:
        """Stop a job. What it finished is published under outbox/failed/."""
        core, row = self.core, self._job(job)
        if row["state"] in (*ENDED, "publishing"):
            raise Refused(f"{job} is {row['state']} already")
        if (
            core.ledger.value(
                "SELECT count(*) FROM steps WHERE job_id = ? AND state NOT IN ('done', 'failed', 'cancelled')", job
            )
            == 0
        ):
            raise Refused(f"{job} has finished its steps and is being published")
        core.ledger.update("jobs", job, cancel_asked=1, reason="cancelled", state="running")
        self.service.progress.stop_rest(job)
        running = 0
        for lane in core.lanes.values():
            for worker in lane.busy():
                if worker.work["job_id"] == job:
                    running += 1
                    core.after(lambda lane=lane, worker=worker: lane.ask_to_cancel(worker))
        self.service.progress.job_may_be_over(job)
        log.info("cancel asked", job_id=job, running_steps=running)
        return {"job": job, "running_steps": running}

    def retry(self, job: str) -> dict[str, Any]:
        """Take a failed or cancelled job up again where it was."""
        core, row = self.core, self._job(job)
        if row["state"] not in ("failed", "cancelled"):
            raise Refused(
                f"{job} is {row['state']}: only failed and cancelled jobs are retried (submit its job.yaml to run it again)"
            )
        staged = (core.outbox.staging / job).exists()
        if not staged and core.obstacle:  # What was finished may only be out of sight.
            raise Refused(f"{job} is not retried now: {core.obstacle}")
        if not staged:
            core.ledger.connection.execute("DELETE FROM artifacts WHERE job_id = ?", (job,))
            # What a step goes over is made anew and may differ: its runs are laid out again then.
            gone = "SELECT runs.id FROM runs JOIN steps ON steps.id = step_id WHERE runs.job_id = ? AND for_each IS NOT NULL"
            core.ledger.connection.execute(f"DELETE FROM attempts WHERE run_id IN ({gone})", (job,))
            core.ledger.connection.execute(f"DELETE FROM runs WHERE id IN ({gone})", (job,))
        again = "state != 'done'" if staged else "1"
        core.ledger.connection.execute(
            f"UPDATE runs SET state = ?, finished_at = NULL WHERE job_id = ? AND {again} "
            f"AND step_id IN (SELECT id FROM steps WHERE job_id = runs.job_id AND {again})",
            (WAITING, job),
        )
        core.ledger.connection.execute(
            f"UPDATE steps SET state = ?, finished_at = NULL WHERE job_id = ? AND {again}", (WAITING, job)
        )
        core.ledger.connection.execute(
            "UPDATE runs SET failed_attempts = 0, crashes = 0, interruptions = 0, not_before = NULL WHERE job_id = ? AND state = ?",
            (job, WAITING),
        )
        core.ledger.update(
            "jobs",
            job,
            state=WAITING,
            reason=None,
            cancel_asked=0,
            folder=None,
            finished_at=None,
            wait_until=timestamp(core.now() + timedelta(seconds=core.settings.input_timeout)),
        )
        self.service.progress.count_failures(job)
        self.place_runs()
        log.info("retried", job_id=job, kept_finished_items=staged)
        self.service.readiness.look(job)
        return {"job": job, "kept": staged}

    def keep(self, job: str, items: str, drop: str | None = None) -> dict[str, Any]:
        """Mark finished items (labels with spaces between), so that `again` takes them over; with `drop` no longer."""
        self._job(job)
        ledger, there = self.core.ledger, kept.finished(self.core.ledger.connection, job)
        for label in items.split():
            entry = there.get(label)
            if entry is None:
                raise Refused(f"{job} has no finished item {label!r}; there are {kept.listed(there)}")
            if entry.many_runs:
                raise Refused(f"{label} is made from another item (for_each), and anew with it: keep that one")
        for entry in [there[label] for label in items.split()]:
            if drop:
                mark = (job, entry.step, entry.item)
                ledger.connection.execute("DELETE FROM kept WHERE job_id = ? AND step = ? AND item = ?", mark)
            else:
                columns = {"step": entry.step, "item": entry.item, "kept_at": self.core.stamp()}
                ledger.insert("kept", replace=True, job_id=job, **columns)
        now = [entry.label for entry in kept.finished(ledger.connection, job).values() if entry.kept]
        log.info("items kept", job_id=job, kept=now)
        return {"job": job, "kept": now}

    # --- lanes ---

    def _lanes(self, lane: str | None) -> list[Lane]:
        if lane is None:
            return list(self.core.lanes.values())
        if lane not in self.core.lanes:
            raise Refused(f"no lane {lane!r}; there are {', '.join(self.core.lanes)}")
        return [self.core.lanes[lane]]

    def pause(self, lane: str | None = None, until: str | None = None) -> dict[str, Any]:
        """Let a lane start nothing new; its idle workers go, which frees the device's memory."""
        moment = parse_until(until, self.core.now()) if until else None
        for chosen in self._lanes(lane):
            chosen.paused, chosen.paused_until = True, moment
            self.core.ledger.insert(
                "lanes", replace=True, name=chosen.name, paused=1, paused_until=timestamp(moment) if moment else None
            )
            log.info("lane paused", lane=chosen.name, until=timestamp(moment) if moment else None)
        return {"until": timestamp(moment) if moment else None}

    def resume(self, lane: str | None = None) -> dict[str, Any]:
        for chosen in self._lanes(lane):
            chosen.paused, chosen.paused_until = False, None
            self.core.ledger.insert("lanes", replace=True, name=chosen.name, paused=0)
            log.info("lane resumed", lane=chosen.name)
        return {}

    def restore_pauses(self) -> None:
        """A pause outlives the daemon."""
        for row in self.core.ledger.rows("SELECT * FROM lanes WHERE paused = 1"):
            lane = self.core.lanes.get(row["name"])
            if lane is not None:
                lane.paused = True
                lane.paused_until = datetime.fromisoformat(row["paused_until"]) if row["paused_until"] else None

    # --- the daemon ---

    def stop(self) -> dict[str, Any]:
        self.service.stop()
        return {}

    def reload(self) -> dict[str, Any]:
        """Read the configuration again: validated whole, swapped at once; a broken one changes nothing."""
        core = self.core
        core.after(lambda: self.service.notify.send(RELOADING=1))
        try:
            new = load(core.settings.paths.home)
            schedules = self.service.timetable.read(new)
        except (SettingsError, ValueError) as error:
            log.error("the new configuration is broken; the old one stays in force", reason=str(error))
            core.after(lambda: self.service.notify.send(READY=1))
            raise Refused(f"the new configuration is broken; the old one stays in force:\n{error}") from None
        changed = [
            key for key in Settings.model_fields if key != "paths" and getattr(new, key) != getattr(core.settings, key)
        ]
        later = [key for key in changed if key in NEEDS_RESTART]
        kept = {key: getattr(core.settings, key) for key in NEEDS_RESTART}
        core.settings = new.model_copy(update={**kept, "paths": core.settings.paths})
        core.registry = load_registry(core.settings.handlers)
        core.outbox.configure(core.settings)
        core.inbox.configure(core.settings)
        for lane in core.lanes.values():
            lane.configure(core.settings)
        self.place_runs()
        self.service.timetable.replace(schedules)
        log.info("configuration reloaded", changed=changed, restart_needed=later)
        core.after(lambda: self.service.notify.send(READY=1))
        return {"changed": changed, "restart_needed": later}

    def place_runs(self) -> None:
        """Let everything that has not begun follow its handler to the lane it has now: after a start, a reload, a retry."""
        for name, handler in self.core.registry.items():
            lane = self.core.settings.lane_of(name, handler.lane)
            self.core.ledger.connection.execute(
                f"UPDATE steps SET lane = ? WHERE handler = ? AND lane != ? AND state NOT IN {ENDED}",
                (lane, name, lane),
            )
            self.core.ledger.connection.execute(
                "UPDATE runs SET lane = ? WHERE state IN ('queued', 'waiting') AND lane != ? "
                "AND step_id IN (SELECT id FROM steps WHERE handler = ?)",
                (lane, lane, name),
            )


def _check(arguments: dict[str, Any]) -> None:
    """Every argument is a word or nothing: what comes through the socket goes into the ledger's queries."""
    for key, value in arguments.items():
        if value is not None and not (isinstance(value, str) and value.isprintable() and len(value) <= 1000):
            raise Refused(f"{key}: {value!r:.100} is not what can stand here; write a word")


def parse_until(text: str, now: datetime) -> datetime:
    """``18:00`` (the next time the local clock shows it) or an ISO time → a moment."""
    try:
        if len(text) <= 5:
            hour, minute = (int(part) for part in text.split(":"))
            local = now.astimezone()
            moment = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
            return moment if moment > local else moment + timedelta(days=1)
        moment = datetime.fromisoformat(text)
        return moment if moment.tzinfo else moment.astimezone()
    except (ValueError, OverflowError):
        raise Refused(f"until: {text!r} is no time; write 18:00 or 2026-11-22T08:00") from None
