"""What earlier runs of `discover` read, so that the next reads only files that changed. Light: stdlib only.

One JSON file for each root. A file is the same while its path, length, time of change and inode are. The memory may
be thrown away at any time, and one that cannot be read is taken for empty.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

from handlers.archaeology.walk import Found

VERSION = 1
"""Of what is remembered of a file; another version's memory is forgotten."""


class Memory:
    """What is known of the files below some roots.

    Parameters
    ----------
    folder
        Where memories are kept.
    roots
        The folders that are walked.
    """

    def __init__(self, folder: Path, roots: list[Path]) -> None:
        key = hashlib.sha256("\0".join(map(str, roots)).encode("utf-8", "surrogateescape")).hexdigest()[:24]
        self._path = folder / f"{key}.json"
        self._known = self._load()
        self._kept: dict[str, Any] = {}

    def recall(self, file: Found) -> dict[str, Any]:
        """What is known of a file that has not changed; `{}` for others. Written to by the caller, it is remembered."""
        identity = [file.size_bytes, file.mtime_ns, file.inode]
        entry = self._known.get(file.path)
        if not isinstance(entry, dict) or entry.get("identity") != identity:
            entry = {"identity": identity}
        self._kept[file.path] = entry
        return entry

    def forget(self, file: Found) -> None:
        """Remember nothing of a file, so that it is read again."""
        self._kept.pop(file.path, None)

    def save(self) -> None:
        """Replace what was remembered by what was recalled since."""
        text = json.dumps({"version": VERSION, "files": self._kept}, separators=(",", ":"))
        if text == self._text:
            return
        new = self._path.with_suffix(f".{os.getpid()}.new")
        new.write_text(text, encoding="ascii")
        os.replace(new, self._path)

    def _load(self) -> dict[str, Any]:
        self._text = ""
        try:
            self._text = self._path.read_text(encoding="ascii")
            held = json.loads(self._text)
        except (OSError, ValueError):
            return {}
        right = isinstance(held, dict) and held.get("version") == VERSION and isinstance(held.get("files"), dict)
        return held["files"] if right else {}
