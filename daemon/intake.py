"""From a file that has settled, or a command, to a job in the ledger; or back to the person with the reason."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Collection
from dataclasses import asdict
from pathlib import Path

import structlog

from daemon import documents
from daemon.core import Core
from daemon.documents import Document, DocumentError
from daemon.events import Identity, JobFileSettled
from daemon.inbox import NotSettled, take
from daemon.jobs import ID_PATTERN, WAITING, later, make_id, slug, timestamp
from daemon.outbox import make_shared
from daemon.readiness import Readiness

log = structlog.get_logger()


class Intake:
    """Accepts and rejects."""

    def __init__(self, core: Core, readiness: Readiness) -> None:
        self.core = core
        self.readiness = readiness
        self.promised: set[Path] = set()
        """Names in rejected/ that files of this batch will get."""
        self.number = core.ledger.value("SELECT coalesce(max(number), 0) FROM jobs")

    # --- job files ---

    def job_file(self, event: JobFileSettled) -> str | None:
        """Take a dropped job file; returns the new job's id, or None when it is no job (now)."""
        try:
            text, identity = take(event.path, event.inbox)
        except NotSettled:
            self.core.inbox.forget(event.path)
            return None
        except FileNotFoundError:
            return None
        except OSError as error:
            self.reject(event.path, event.inbox, f"it cannot be read: {error.strerror}")
            return None
        except ValueError as error:
            self.reject(event.path, event.inbox, str(error))
            return None
        if owner := self._owner(event.path, event.inbox, identity):
            # This very file was accepted already, in this batch or before we last went down: only its move is left to do.
            self.core.after(lambda: self._move(event.path, event.inbox, owner, identity))
            return None
        named = ID_PATTERN.fullmatch(event.path.stem)
        try:
            document = documents.read(
                text,
                self.core.registry,
                self.core.settings,
                default_name=named[2] if named else slug(event.path.stem),
                inbox=event.inbox,
            )
        except DocumentError as error:
            self.reject(event.path, event.inbox, str(error), identity)
            return None
        job_id = self.accept(
            document,
            text.decode(),
            origin="inbox",
            wanted_id=event.path.stem if named else None,
            source_path=event.path,
            identity=identity,
        )
        self.core.after(lambda: self._move(event.path, event.inbox, job_id, identity))
        return job_id

    def _owner(self, path: Path, inbox: Path, identity: Identity) -> str | None:
        """The job that this very file was accepted as, if it has not been set aside since."""
        rows = self.core.ledger.rows("SELECT id, source_identity FROM jobs WHERE source_path = ?", os.fsdecode(path))
        for row in rows:
            same = json.dumps(asdict(identity)) == row["source_identity"]
            if same and not accepted_file(inbox, row["id"]).exists():
                return row["id"]
        return None

    def _move(self, path: Path, inbox: Path, job_id: str, identity: Identity) -> None:
        """Set an accepted file aside. If it was exchanged since we read it, it goes back as a new drop."""
        target = accepted_file(inbox, job_id)
        if os.path.lexists(target):
            return  # Reported twice in one batch, and set aside by the first. What lies at `path` now is another file.
        try:
            make_shared(self.core.settings, target.parent)
            os.rename(path, target)
        except FileNotFoundError:
            log.warning("the job file was gone before it could be set aside", job_id=job_id, path=str(path))
            return
        except OSError as error:
            log.error(
                "the job file cannot be moved to accepted/; it is taken once all the same",
                job_id=job_id,
                error=str(error),
            )
            return
        self.core.inbox.forget(path)
        moved = version_of(target, inbox)
        if moved is not None and moved.sha256 == identity.sha256:
            return
        if moved is not None and (owner := self._owner(path, inbox, moved)):
            os.rename(target, accepted_file(inbox, owner))  # The newer version was read in the same batch.
            return
        back = free_name(path)
        os.rename(target, back)
        log.warning(
            "the file was changed after it was read; the new version is a new drop", job_id=job_id, path=str(back)
        )

    def reject(self, path: Path, inbox: Path, reason: str, identity: Identity | None = None) -> None:
        """Set a file that is no job aside, with the reason beside it; unless, by then, another lies there."""
        target = free_name(inbox / "rejected" / path.name, self.promised)
        self.promised.add(target)
        self.core.ledger.insert(
            "rejections", at=self.core.stamp(), path=os.fsdecode(path), moved_to=str(target), reason=reason
        )
        log.warning("rejected", path=str(path), reason=reason)

        def move() -> None:
            self.promised.discard(target)
            try:
                make_shared(self.core.settings, target.parent)
                os.rename(path, target)
                moved = version_of(target, inbox)
                if identity is not None and moved is not None and moved.sha256 != identity.sha256:
                    os.rename(target, free_name(path))
                    return
                note = f"{path.name} is not a job that Drophammer can run:\n\n{reason}\n\nMend it and drop it into the inbox again.\n"
                target.with_name(target.name + ".reason.txt").write_text(note, encoding="utf-8", errors="replace")
            except OSError as error:
                log.error("a rejected file cannot be set aside; it stays", path=str(path), error=str(error))
            else:
                self.core.inbox.forget(path)

        self.core.after(move)

    # --- jobs ---

    def accept(
        self,
        document: Document,
        text: str,
        *,
        origin: str,
        wanted_id: str | None = None,
        source_path: Path | None = None,
        identity: Identity | None = None,
    ) -> str:
        """Write a job, its steps and its runs; it is queued as soon as everything it needs is here."""
        core, ledger = self.core, self.core.ledger
        self.number += 1
        job_id = wanted_id if wanted_id and not self._known(wanted_id) else self._new_id(document.name)
        wait = document.input_timeout_s if document.input_timeout_s is not None else core.settings.input_timeout
        ledger.insert(
            "jobs",
            id=job_id,
            number=self.number,
            name=document.name,
            state=WAITING,
            document=text,
            origin=origin,
            source_path=os.fsdecode(source_path) if source_path else None,
            source_identity=asdict(identity) if identity else None,
            priority=document.priority,
            seed=_seed(document),
            seeds=list(document.seeds) or None,
            deliver=asdict(document.deliver) if document.deliver else None,
            from_wanted=document.from_job,
            keep_work=int(document.keep_work),
            accepted_at=core.stamp(),
            wait_until=timestamp(later(core.now(), wait)),
        )
        for position, (seed, step) in enumerate(document.laid_out(), 1):
            handler = core.registry[step.handler]
            lane = core.settings.lane_of(step.handler, handler.lane)
            timeout_s = step.timeout_s if step.timeout_s is not None else getattr(core.settings.lanes, lane).timeout
            step_id = ledger.insert(
                "steps",
                job_id=job_id,
                position=position,
                name=step.name,
                handler=step.handler,
                params=step.params,
                needs=step.needs,
                inputs=step.inputs,
                sources=step.sources,
                for_each=asdict(step.for_each) if step.for_each else None,
                min_success=step.min_success,
                seed=seed,
                keep=dict(step.keep) or None,
                retries=core.settings.retries if step.retries is None else step.retries,
                timeout_s=timeout_s,
                fallback=step.fallback,
                lane=lane,
                state=WAITING,
            )
            if step.for_each is None:
                ledger.insert(
                    "runs",
                    job_id=job_id,
                    step_id=step_id,
                    ordinal=1,
                    key="",
                    state=WAITING,
                    priority=document.priority,
                    lane=lane,
                )
        log.info(
            "accepted",
            job_id=job_id,
            name=document.name,
            steps=[step.name for step in document.steps],
            seeds=list(document.seeds) or None,
            origin=origin,
        )
        self.readiness.look(job_id)
        return job_id

    def _known(self, job_id: str) -> bool:
        return self.core.ledger.value("SELECT 1 FROM jobs WHERE id = ?", job_id) is not None

    def _new_id(self, name: str) -> str:
        while True:
            job_id = make_id(self.core.now(), name, self.number)
            # A submitted file that still lies in the inbox has promised its id to someone.
            if not self._known(job_id) and not any(
                (inbox / f"{job_id}.yaml").exists() for inbox in self.core.settings.paths.inboxes
            ):
                return job_id
            self.number += 1


def _seed(document: Document) -> int:
    """The job's seed: the one named, the first of several, or one drawn now."""
    if document.seeds:
        return document.seeds[0]
    return secrets.randbits(32) if document.seed is None else document.seed


def version_of(path: Path, inbox: Path) -> Identity | None:
    """Which version of which file lies there; None when it is nothing that can be a job file."""
    try:
        return take(path, inbox)[1]
    except (OSError, ValueError, NotSettled):
        return None


def accepted_file(inbox: Path, job_id: str) -> Path:
    return inbox / "accepted" / f"{job_id}.yaml"


def free_name(path: Path, taken: Collection[Path] = ()) -> Path:
    """`path`, or with a number before its suffix that no file has yet, and none of `taken` will."""
    candidate, number = path, 1
    while candidate in taken or os.path.lexists(candidate):
        number += 1
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return candidate
