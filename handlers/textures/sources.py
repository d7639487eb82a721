"""Recordings that a catalogue lists, as `discover` and `select` write it: the rows that are to be mined. Light."""

from __future__ import annotations

import hashlib
from pathlib import Path

from handlers.audio.delivery import catalogue
from handlers.contract import InputFile, Invalid


def read_rows(path: Path, start: int = 0, count: int | None = None) -> list[catalogue.Row]:
    """Read the rows that are to be mined, in the catalogue's order.

    Parameters
    ----------
    path
        A `.csv`, `.json` or `.md` file.
    start, count
        How many rows to pass over, and how many to return at most. Slugs do not depend on either.

    Raises
    ------
    Invalid
        When it is no catalogue, or no row is left; the message says how many there are.
    """
    rows = catalogue.read(path)
    if not rows:
        raise Invalid(f"{path}: lists no recordings; run discover and select again, with other rules")
    chosen = rows[start:] if count is None else rows[start : start + count]
    if not chosen:
        raise Invalid(f"{path}: has {len(rows)} recordings, none from start_index {start} on; lower it")
    return chosen


def is_catalogue(path: Path) -> bool:
    """Whether a file is a catalogue, by its suffix."""
    return path.suffix.lower() in catalogue.SUFFIXES


def expand(listed: InputFile, start: int, count: int | None, root: Path | None = None) -> list[InputFile]:
    """Return the recordings of a catalogue as inputs.

    A catalogue opens no other folder than its own, or the `root` that was named and checked: it is a file like any
    other, and must not lead out of the folders that a job may read.
    """
    folder = (root or listed.path.parent).resolve()
    inputs = []
    for row in read_rows(listed.path, start, count):
        path = Path(row["path"])
        if root is not None and not path.exists():
            path = root / row["rel_path"]
        path = path.resolve()
        if not path.is_relative_to(folder):
            raise Invalid(
                f"{listed.label}: row {row['id']} names {path}, which does not lie below {folder}; "
                "name the folder of the recordings with `root`"
            )
        digest = hashlib.sha256(str(path).encode("utf-8", "surrogateescape")).hexdigest()
        inputs.append(InputFile(path, row["rel_path"], row["content_hash"] or digest, row))
    return inputs
