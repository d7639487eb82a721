"""What is looked after now and then: waiting jobs, old log lines, old staging, the write-ahead log."""

from __future__ import annotations

import structlog

from daemon.core import Core
from daemon.jobs import later, timestamp
from daemon.progress import Progress
from daemon.readiness import Readiness

log = structlog.get_logger()

LOOK_EVERY_S = 2.0
PRUNE_EVERY_S = 600.0
PRUNE_AGAIN_S = 5.0
"""While there is more to remove than is removed at once."""
PRUNED_AT_ONCE = 5000


class Upkeep:
    """Called with every tick, inside the loop's transaction."""

    def __init__(self, core: Core) -> None:
        self.core = core
        self.look_at = 0.0
        self.prune_at = 0.0

    def tick(self, readiness: Readiness, progress: Progress) -> None:
        now = self.core.monotonic()
        if now >= self.look_at:
            self.look_at = now + LOOK_EVERY_S
            readiness.look_at_all()
            self._give_up(readiness, progress)
        if now >= self.prune_at:
            self.prune_at = now + PRUNE_EVERY_S
            self._prune()

    def _give_up(self, readiness: Readiness, progress: Progress) -> None:
        """Fail jobs whose inputs did not come in time. One that waits for a model only is left to wait."""
        rows = self.core.ledger.rows(
            "SELECT id, reason FROM jobs WHERE state = 'waiting' AND wait_until <= ?", self.core.stamp()
        )
        for row in rows:
            if not readiness.lacks_inputs(row["id"]):
                continue
            # Out of `waiting` at once, so that it is given up once.
            self.core.ledger.update("jobs", row["id"], state="running")
            progress.fail_waiting(row["id"], f"waited too long (input_timeout): {row['reason']}")

    def _prune(self) -> None:
        core = self.core
        old = timestamp(later(core.now(), -core.settings.retention.events))
        removed = core.ledger.prune(old, PRUNED_AT_ONCE)
        if removed == PRUNED_AT_ONCE:
            self.prune_at = core.monotonic() + PRUNE_AGAIN_S
        elif removed:
            log.info("old log lines removed", lines=removed, before=old)
        stale = timestamp(later(core.now(), -core.settings.retention.staging))
        staged = core.outbox.staged_jobs()
        for job_id in staged:
            row = core.ledger.row("SELECT state, finished_at FROM jobs WHERE id = ?", job_id)
            if row and row["state"] in ("failed", "cancelled") and (row["finished_at"] or "9") < stale:
                gone = core.outbox.set_aside(job_id)
                core.errands.send(lambda ledger, gone=gone: core.outbox.clear_staging(gone))
