"""Everything that may take long and is not a worker's: threads that do it and answer with events.

One hashes new audio, assembles finished jobs and sweeps; another delivers copies and runs the commands of `on_done`
and `on_failed`, which may hang. An errand reads the ledger through a connection
of its own and never writes it; what it returns runs on the main thread, inside a transaction.
"""

from __future__ import annotations

import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import structlog

from daemon.events import ErrandDone, Event
from daemon.ledger import open_readonly

if TYPE_CHECKING:
    from daemon.settings import Paths

log = structlog.get_logger()

Then = Callable[[], None]
Errand = Callable[[sqlite3.Connection], Then | None]
BATCH = 64


class Errands:
    """A queue of errands and the thread that runs them.

    Parameters
    ----------
    together
        Does many of one kind at once (assembling finished jobs shares one flush of the disk).
    """

    def __init__(
        self,
        paths: Paths,
        post: Callable[[Event], None],
        together: Callable[[sqlite3.Connection, Sequence[str]], Then],
        name: str = "errands",
    ) -> None:
        self.paths = paths
        self.post = post
        self.together = together
        self.assembling: set[str] = set()
        """Jobs asked for and not answered yet: a folder that is being published must not be written again."""
        self.waiting: queue.SimpleQueue[Errand | str | None] = queue.SimpleQueue()
        self.thread = threading.Thread(target=self._work, name=name, daemon=True)
        self.thread.start()

    def send(self, errand: Errand) -> None:
        self.waiting.put(errand)

    def assemble(self, job_id: str) -> None:
        if job_id not in self.assembling:
            self.assembling.add(job_id)
            self.waiting.put(job_id)

    def stop(self) -> None:
        """Finish what is queued, then end."""
        self.waiting.put(None)
        self.thread.join(timeout=30)

    def _work(self) -> None:
        ledger: sqlite3.Connection | None = None
        batch: list[str] = []
        while True:
            errand: Any = self.waiting.get()
            if ledger is None:
                ledger = open_readonly(self.paths)
            if isinstance(errand, str):
                batch.append(errand)
                while len(batch) < BATCH and not self.waiting.empty():
                    errand = self.waiting.get()
                    if not isinstance(errand, str):
                        break
                    batch.append(errand)
                    errand = ""
                self.post(ErrandDone(self.together(ledger, tuple(batch))))
                batch.clear()
                if isinstance(errand, str):
                    continue
            if errand is None:
                ledger.close()
                return
            try:
                then = errand(ledger)
            # A boundary, as the lane is one: the thread must outlive whatever one errand meets.
            except Exception:
                log.exception("an errand failed")
                continue
            if then is not None:
                self.post(ErrandDone(then))
