"""Recordings dropped into an inbox: to the first route that matches, once per route and content. They are never moved."""

from __future__ import annotations

import json
import os
import re
import sqlite3
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog
import yaml

from daemon import documents
from daemon.core import Core
from daemon.documents import DocumentError
from daemon.events import AudioSettled
from daemon.execution import sha256_of
from daemon.intake import Intake
from daemon.jobs import slug
from handlers.contract import HandlerError

log = structlog.get_logger()

IS_DEALT_WITH = "(sha256 IS NOT NULL OR note IS NOT NULL)"
"""A recording that was seen, but not hashed before the daemon went, is taken up again."""


class Recordings:
    """Makes jobs of dropped audio."""

    def __init__(self, core: Core, intake: Intake) -> None:
        self.core = core
        self.intake = intake

    def settled(self, event: AudioSettled) -> None:
        """Give a dropped recording to the first route that matches; once per route and content."""
        core = self.core
        identity = asdict(event.identity)
        seen = core.ledger.row(
            f"SELECT identity FROM drops WHERE path = ? AND {IS_DEALT_WITH}", os.fsdecode(event.path)
        )
        if seen and seen["identity"] == json.dumps(identity):
            return
        route = self.route(event.path, event.inbox)
        note = None
        if not event.supported:
            note = f"{event.path.suffix} files cannot be read here; convert it to WAV, FLAC, MP3, OGG or AIFF"
            log.warning("unsupported audio", path=str(event.path), note=note)
        elif route is None:
            note = "no route of on_audio: matches this folder"
        self._drop(event, None if note else route, note=note)
        if note is None:
            core.after(lambda: core.errands.send(lambda ledger: self._hash(event, route, ledger)))

    def route(self, path: Path, inbox: Path) -> str | None:
        """The handler of the first `on_audio` line that matches the path below its inbox."""
        place = path.relative_to(inbox).as_posix()
        for route in self.core.settings.on_audio:
            if matches(route.match, place):
                return route.do
        return None

    def _drop(self, event: AudioSettled, route: str | None, **more: Any) -> None:
        self.core.ledger.insert(
            "drops",
            replace=True,
            path=os.fsdecode(event.path),
            identity=asdict(event.identity),
            route=route,
            seen_at=self.core.stamp(),
            **more,
        )

    def _hash(self, event: AudioSettled, route: str | None, ledger: sqlite3.Connection) -> Any:
        """On the errands thread: what it is, by content."""
        try:
            sha256 = sha256_of(event.path)
        except HandlerError as error:
            note = str(error)
            log.warning("dropped audio cannot be read", path=str(event.path), reason=note)
            return lambda: self._drop(event, route, note=note)
        return lambda: self._known(event, route, sha256)

    def _known(self, event: AudioSettled, route: str | None, sha256: str) -> None:
        core = self.core
        made = core.ledger.row("SELECT job_id FROM artifacts WHERE sha256 = ? LIMIT 1", sha256)
        done = core.ledger.row(
            "SELECT job_id FROM drops WHERE sha256 = ? AND route = ? AND job_id IS NOT NULL", sha256, route
        )
        if made or done:
            note = f"made here, by {made['job_id']}" if made else f"the same recording went to {done['job_id']}"
            self._drop(event, route, sha256=sha256, note=note)
            log.info("nothing to do for dropped audio", path=str(event.path), note=note)
            return
        text = yaml.safe_dump({"do": route, "input": os.fsdecode(event.path)}, allow_unicode=True, sort_keys=False)
        try:
            document = documents.read(
                text.encode(),
                core.registry,
                core.settings,
                default_name=slug(event.path.stem, "audio"),
                inbox=event.inbox,
            )
        except (DocumentError, UnicodeEncodeError) as error:
            self._drop(event, route, sha256=sha256, note=str(error))
            log.error("no job could be made for dropped audio", path=str(event.path), reason=str(error))
            return
        job_id = self.intake.accept(document, text, origin="audio", source_path=event.path)
        self._drop(event, route, sha256=sha256, job_id=job_id)


def matches(pattern: str, place: str) -> bool:
    """Match a path below an inbox: `*` within one folder, `**` through any number of them. Case counts."""
    expression = (
        re.escape(pattern)
        .replace(r"\*\*/", "(?:.*/)?")
        .replace(r"\*\*", ".*")
        .replace(r"\*", "[^/]*")
        .replace(r"\?", "[^/]")
    )
    return re.fullmatch(expression, place, re.DOTALL) is not None
