"""The daemon: its parts put together, and the one loop.

Every thread but the main one only puts events on the queue. The main thread takes what waits, handles it in one
transaction, commits, and only then acts. Nothing here takes long.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from daemon.barrier import raise_barrier

raise_barrier()  # Before anything that would import numpy because it happens to be installed.

import structlog  # noqa: E402

from daemon import VERSION  # noqa: E402
from daemon.commands import Commands, Refused  # noqa: E402
from daemon.control import Control  # noqa: E402
from daemon.core import Core  # noqa: E402
from daemon.dispatch import Dispatch  # noqa: E402
from daemon.ears import Ears  # noqa: E402
from daemon.errands import Errands  # noqa: E402
from daemon.events import (  # noqa: E402
    AudioSettled,
    Command,
    ErrandDone,
    Event,
    FirstScanDone,
    Identity,
    JobFileSettled,
    Published,
    Signal,
    Tick,
    WatchNotice,
    WorkerDied,
    WorkerSpoke,
)
from daemon.inbox import Inbox  # noqa: E402
from daemon.intake import Intake  # noqa: E402
from daemon.lane import Lane  # noqa: E402
from daemon.ledger import Ledger, LedgerError, sound_text  # noqa: E402
from daemon.lock import AlreadyRunning, DaemonLock  # noqa: E402
from daemon.logs import Journal, configure, let_go  # noqa: E402
from daemon.notify import Notify  # noqa: E402
from daemon.outbox import Outbox  # noqa: E402
from daemon.progress import Progress  # noqa: E402
from daemon.publication import Publication  # noqa: E402
from daemon.readiness import Readiness  # noqa: E402
from daemon.recordings import IS_DEALT_WITH, Recordings  # noqa: E402
from daemon.recovery import Recovery  # noqa: E402
from daemon.reports import Reports  # noqa: E402
from daemon.rollback import remember, restore  # noqa: E402
from daemon.settings import SettingsError, load  # noqa: E402
from daemon.settings_model import Settings  # noqa: E402
from daemon.timetable import Timetable  # noqa: E402
from daemon.upkeep import Upkeep  # noqa: E402
from handlers.registry import load_registry  # noqa: E402

log = structlog.get_logger()

TICK_S = 1.0
BATCH = 500
"""Events handled in one transaction. More would hold up what is already due; fewer would flush the disk more often."""
LEDGER_PAUSE_S = 2.0


class Service:
    """The composition root: builds every room, runs the loop, takes it all down."""

    def __init__(self, settings: Settings, lock: DaemonLock) -> None:
        self.lock = lock
        self.events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self.journal = Journal()
        configure(self.journal, level=settings.log_level)
        self.notify = Notify()
        ledger = Ledger(settings.paths.ledger)
        ears = Ears(self.post)
        registry = load_registry(settings.handlers)
        lanes = {name: Lane(name, settings, ears, time.monotonic) for name in ("gpu", "cpu")}
        self.core = core = Core(settings, registry, ledger, Outbox(settings, VERSION), lanes, self.post)
        self.progress = Progress(core)
        self.readiness = Readiness(core, self.progress)
        self.intake = Intake(core, self.readiness)
        self.recordings = Recordings(core, self.intake)
        self.dispatch = Dispatch(core)
        self.reports = Reports(core, self.progress)
        self.publication = Publication(core, self.progress)
        self.recovery = Recovery(core, self.reports, self.progress, self.publication)
        core.errands = Errands(settings.paths, self.post, self.publication.assemble)
        core.messenger = Errands(settings.paths, self.post, self.publication.assemble, name="messenger")
        self.known_drops = dict(ledger.rows(f"SELECT path, identity FROM drops WHERE {IS_DEALT_WITH}"))
        core.inbox = Inbox(settings, self.post, known_audio=self._known_audio)
        self.timetable = Timetable(core, self.intake)
        self.upkeep = Upkeep(core)
        self.commands = Commands(core, self)
        self.control = Control(settings.paths, self.post)
        self.next_tick = 0.0
        self.drain_until: float | None = None
        self.stopped = False
        self.status = 0
        self.ready = False
        self.started_at = core.stamp()
        self.beat_at = 0.0
        self.handlers: dict[type[Event], Callable[[Any], Any]] = {
            JobFileSettled: self.intake.job_file,
            AudioSettled: self.recordings.settled,
            WorkerSpoke: self.reports.heard,
            WorkerDied: lambda event: self.reports.died(core.lanes[event.lane], event.worker),
            ErrandDone: lambda event: event.then(),
            Published: self.publication.published,
            Command: self.commands.handle,
            FirstScanDone: self._first_scan_done,
            WatchNotice: lambda event: getattr(log, event.level)(event.message, **event.facts),
            Signal: self._signal,
            Tick: self._tick,
        }

    def post(self, event: Event) -> None:
        self.events.put(event)

    # --- the loop ---

    def run(self) -> int:
        """Work until told to stop; returns the exit status."""
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _: self.post(Signal(number)))
        for name, problem in self.core.registry.problems:
            log.error("a handler was left out", handler=name, problem=problem)
        self._begin()
        while not self.stopped:
            self._round(self._collect())
        self._take_down()
        return self.status

    def _begin(self) -> None:
        core = self.core
        try:
            core.outbox.open(known=core.ledger.value("SELECT 1 FROM jobs WHERE folder IS NOT NULL LIMIT 1") is not None)
        except OSError as error:
            raise SettingsError(
                f"outbox: {core.outbox.root} cannot be made or written ({error}); mend it, or name another folder in "
                f"{core.settings.paths.config / 'drophammer.yaml'}"
            ) from None
        core.obstacle = core.outbox.obstacle()
        log.info("starting", version=VERSION, pid=os.getpid(), home=str(core.settings.paths.home))
        self.recovery.kill_orphans()
        with core.ledger.transaction(durable=True):
            self.recovery.mend()
            self.recovery.sweep()
            self.commands.restore_pauses()
            self.commands.place_runs()
        self._act()
        self.control.start()
        core.inbox.start()

    def _collect(self) -> list[Event]:
        """Wait for something to happen, or for the next tick; then take all that is there."""
        batch: list[Event] = []
        try:
            batch.append(self.events.get(timeout=max(0.0, self.next_tick - time.monotonic())))
            while len(batch) < BATCH:
                batch.append(self.events.get_nowait())
        except queue.Empty:
            pass
        if time.monotonic() >= self.next_tick:
            self.next_tick = time.monotonic() + TICK_S
            batch.append(Tick())
        return batch

    def _round(self, batch: list[Event]) -> None:
        """Handle a batch in one transaction, again and again until the ledger takes it."""
        durable = any(event.durable for event in batch)
        while True:
            remembered = remember(self)
            try:
                with self.core.ledger.transaction(durable=durable):
                    for event in batch:
                        self.handlers[type(event)](event)
                    self.dispatch.fill_lanes()
                    if self.journal.pending:
                        self.core.ledger.record(self.journal.take())
                break
            except sqlite3.OperationalError as error:
                # The disk is full, or another program holds the file. Nothing was written, so nothing has happened yet.
                restore(self, remembered)
                log.error(
                    "the ledger cannot be written; everything waits", error=str(error), file=str(self.core.ledger.path)
                )
                self._beat(f"waiting: the ledger cannot be written: {error}")
                time.sleep(LEDGER_PAUSE_S)
        self._act()

    def _act(self) -> None:
        acts, self.core.acts = self.core.acts, []
        for act in acts:
            act()
        self.publication.act()

    # --- what happens ---

    def _tick(self, _: Tick) -> None:
        core = self.core
        core.inbox.tick(time.monotonic())
        for lane in core.lanes.values():
            core.after(lane.tick)
        self.reports.tick()
        self.publication.tick()
        self.timetable.tick()
        self.upkeep.tick(self.readiness, self.progress)
        if not core.draining and not core.ledger.is_in_place():
            log.error(
                "the ledger was deleted or exchanged while the daemon ran; it is written back, and the daemon ends: start it again",
                file=str(core.ledger.path),
            )
            self.status = 1
            self.stop()
            self.drain_until = time.monotonic()
        self.publication.look_out()
        self._drain()
        self._beat()

    def _beat(self, status: str | None = None) -> None:
        """Feed the watchdog, from the loop itself: a loop that hangs is a daemon that hangs."""
        self.notify.status(status or self.commands.summary())
        interval = self.notify.watchdog_s
        if interval is not None and time.monotonic() - self.beat_at >= min(interval / 3, 10.0):
            self.beat_at = time.monotonic()
            self.notify.send(WATCHDOG=1)

    def _first_scan_done(self, _: FirstScanDone) -> None:
        self.ready = True
        self.core.after(lambda: self.notify.send(READY=1, MAINPID=os.getpid()))
        log.info("ready", inboxes=[str(inbox) for inbox in self.core.settings.paths.inboxes])

    def _signal(self, event: Signal) -> None:
        if event.number == signal.SIGHUP:
            with contextlib.suppress(Refused):  # A signal has nobody to answer; the log has the reason already.
                self.commands.reload()
        elif self.core.draining:
            log.warning("asked twice to stop: giving running steps back now")
            self.drain_until = time.monotonic()
            self._drain()
        else:
            self.stop()

    def stop(self) -> None:
        """Begin to stop: nothing new starts, running steps may finish within `drain`."""
        core = self.core
        core.draining = True
        self.drain_until = time.monotonic() + core.settings.drain
        busy = sum(len(lane.busy()) for lane in core.lanes.values())
        log.info("stopping", running_steps=busy, drain_s=core.settings.drain)
        self.notify.send(STOPPING=1, EXTEND_TIMEOUT_USEC=int((core.settings.drain + 30) * 1e6))
        self._drain()

    def _drain(self) -> None:
        if self.drain_until is None:
            return
        lanes = list(self.core.lanes.values())
        if not any(lane.busy() for lane in lanes):
            self.stopped = True
        elif time.monotonic() >= self.drain_until:
            for lane in lanes:
                for worker in lane.busy():
                    self.core.after(
                        lambda lane=lane, worker=worker: lane.end(worker, "drain", "given back: the daemon is stopping")
                    )

    def _take_down(self) -> None:
        core = self.core
        core.inbox.stop()
        self.control.stop()
        for lane in core.lanes.values():
            for worker in list(lane.workers.values()):
                lane.end(worker, "drain")
                lane.reap(worker)
        core.errands.stop()
        core.messenger.stop()
        rest: list[Event] = []
        while not self.events.empty():
            event = self.events.get()
            if isinstance(event, ErrandDone | Published):
                rest.append(event)
        if rest:
            self._round(rest)
        while not self.events.empty():
            event = self.events.get()
            if isinstance(event, Published):
                self._round([event])
        log.info("stopped")
        with core.ledger.transaction(durable=True):
            core.ledger.record(self.journal.take())
        if not core.ledger.is_in_place():
            print(f"drophammer: the ledger was written to {core.ledger.write_back(core.stamp())}", file=sys.stderr)
        core.ledger.close()
        self.lock.release()

    def _known_audio(self, path: Path, identity: Identity) -> bool:
        """Whether the ledger knew this version of a recording when we started. Asked by the inbox's own thread."""
        return self.known_drops.get(sound_text(os.fsdecode(path))) == json.dumps(asdict(identity))


def main() -> int:
    """Run the daemon in the foreground until it is told to stop."""
    # The loop must not wait long for a thread that assembles folders in plain Python; the default is 5 ms.
    sys.setswitchinterval(0.0005)
    try:
        settings = load()
        os.umask(int(settings.umask, 8))
        settings.paths.state.mkdir(parents=True, exist_ok=True)
        lock = DaemonLock(settings.paths.lock)
        lock.take()
        return Service(settings, lock).run()
    except (SettingsError, LedgerError, AlreadyRunning) as error:
        print(f"drophammer: {error}", file=sys.stderr)
        return 2
    except sqlite3.OperationalError as error:  # Only while starting or ending: the loop itself waits for its ledger.
        print(f"drophammer: the ledger cannot be written: {error}; start again once that is over", file=sys.stderr)
        return 1
    finally:
        let_go(sys.stdout)


if __name__ == "__main__":
    sys.exit(main())
