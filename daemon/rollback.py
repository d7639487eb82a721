"""What the loop holds in memory beside the ledger, as it was before a batch: for a transaction that the ledger did not take."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daemon.service import Service


def remember(service: Service) -> Any:
    """Everything that handling events changes, to be given back to :func:`restore`."""
    publication, core = service.publication, service.core
    workers = [
        (worker, dict(vars(worker), work=dict(worker.work)))
        for lane in core.lanes.values()
        for worker in lane.workers.values()
    ]
    publishing = list(publication.renames), copy.copy(publication.try_again), core.obstacle
    drain = core.draining, service.drain_until
    return workers, service.intake.number, publishing, drain, copy.copy(service.timetable.since)


def restore(service: Service, remembered: Any) -> None:
    """Bring everything back to what it was, as if the batch had not come yet."""
    publication, core = service.publication, service.core
    workers, service.intake.number, publishing, drain, service.timetable.since = remembered
    publication.renames, publication.try_again, core.obstacle = publishing
    core.draining, service.drain_until = drain
    for worker, state in workers:
        vars(worker).update(state)
    core.acts.clear()
