"""Hashing files that may be large, and comparing them with what they must be. Light."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

BLOCK = 1 << 22
Seen = Callable[[int], None]
"""Told how many bytes were read."""


def sha256_of(path: Path, seen: Seen = lambda count: None) -> str:
    """SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    _feed(digest.update, path, seen)
    return digest.hexdigest()


def git_sha1_of(path: Path, seen: Seen = lambda count: None) -> str:
    """What git calls a file of this content: SHA-1 of the word `blob`, its length, and itself."""
    digest = hashlib.sha1(f"blob {path.stat().st_size}\0".encode(), usedforsecurity=False)
    _feed(digest.update, path, seen)
    return digest.hexdigest()


def _feed(update: Callable[[bytes], None], path: Path, seen: Seen) -> None:
    with open(path, "rb") as file:
        while block := file.read(BLOCK):
            update(block)
            seen(file.tell())
