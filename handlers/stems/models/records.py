"""What was recorded of weights when they came: ``models/recorded.json``, beside the folders it speaks of. Light.

``models.yaml`` is the same for everybody; which revision a machine got, and the hash of every file, is its own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from handlers.stems.styles import until_changed

NAME = "recorded.json"


@dataclass(frozen=True)
class FileRecord:
    """One file, as it was when it was last known to be whole."""

    sha256: str
    size: int


@dataclass(frozen=True)
class Record:
    """One repository of weights."""

    repository: str
    revision: str = ""
    """The commit it was fetched at; empty for what was imported or found."""
    files: Mapping[str, FileRecord] = field(default_factory=dict)


def read_records(models: Path) -> Mapping[str, Record]:
    """What is recorded, by the name of the folder; nothing where nothing was fetched yet."""
    return _read(models / NAME)


def write_record(models: Path, folder: str, record: Record | None) -> None:
    """Record the weights of one folder anew; `None` forgets them. Whoever calls it holds the lock of ``models/``."""
    records = {name: asdict(known) for name, known in read_records(models).items() if name != folder}
    if record is not None:
        records[folder] = asdict(record)
    fresh = models / f".{NAME}.{os.getpid()}"
    fresh.write_text(json.dumps(dict(sorted(records.items())), indent=1) + "\n", encoding="utf-8")
    fresh.replace(models / NAME)


@until_changed
def _read(path: Path) -> Mapping[str, Record]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return {folder: _record(entry) for folder, entry in document.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}  # Not there yet, or broken: then nothing is known, and `models verify` records it anew.


def _record(entry: Mapping[str, Any]) -> Record:
    files = {name: FileRecord(str(known["sha256"]), int(known["size"])) for name, known in entry["files"].items()}
    return Record(str(entry["repository"]), str(entry["revision"]), files)
