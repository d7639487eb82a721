"""Which files of some folders are recordings: a walk that is the same every time. Light: stdlib only.

In every folder the files come first, then the folders, each in alphabetical order (case set aside). Links are counted,
not followed: so nothing is found twice, no loop is walked, and nothing leads out of the folders that were given.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

AUDIO = frozenset({".wav", ".wave", ".aiff", ".aif", ".aifc", ".flac", ".mp3", ".ogg", ".oga", ".opus"})
UNSUPPORTED = frozenset(
    {".m4a", ".wma", ".aac", ".mp4", ".m4b", ".alac", ".ape", ".wv", ".mpc", ".dsf", ".dff", ".ac3", ".amr", ".mka"}
    | {".webm", ".caf", ".au", ".w64", ".rf64", ".ra", ".tta", ".3gp"}
)
"""Audio to a person, and none of the types that are catalogued."""
SKIPPED = frozenset({
    "venv", ".venv", "env", ".git", ".github", "__pycache__", ".pytest_cache", "node_modules",
    "export", "exported", "exports", ".cache",
})  # fmt: skip
OUTBOX_MARKER = ".drophammer-outbox"
"""Lies in every folder that finished work is published to; what came out is no source."""
SCRATCH = ".drophammer-"
"""Our own folders of work in progress: not worth a word."""
OUTBOX, DOT_FOLDER = "the outbox", "dot-folders"


@dataclass(frozen=True)
class Found:
    """A file that should be a recording."""

    rel_path: str
    """Below its root, `/` between folders; of several roots it begins with the root's name."""
    path: str
    size_bytes: int
    mtime_ns: int
    inode: int


@dataclass
class Walk:
    """What was found, and what was passed over."""

    found: list[Found] = field(default_factory=list)
    broken: list[tuple[str, str]] = field(default_factory=list)
    """Path and reason of what could not be looked at; names that are no UTF-8 are shown with escapes."""
    folders: int = 0
    files: int = 0
    skipped: Counter[str] = field(default_factory=Counter)
    """How many folders were skipped, by name; all dot-folders that have no name of their own here count as one."""
    unsupported: Counter[str] = field(default_factory=Counter)
    """How many files of other audio types, by suffix."""
    links: int = 0
    junk: int = 0
    """Files that systems leave behind beside audio: `._track.wav`."""


def walk(roots: Sequence[Path], pulse: Callable[[int], None] = lambda folders: None) -> Walk:
    """Look through folders.

    Parameters
    ----------
    roots
        Folders that are there. One that lies in another is not walked twice.
    pulse
        Called with the number of folders looked through; may raise to stop.
    """
    result = Walk()
    seen: set[tuple[int, int]] = set()
    for root, name in zip(roots, _names(roots), strict=True):
        waiting = [(str(root), name)]
        while waiting:
            pulse(result.folders)
            folder, rel_folder = waiting.pop()
            below = _look(folder, rel_folder, result, seen)
            waiting.extend(reversed(below))
    return result


def _names(roots: Sequence[Path]) -> list[str]:
    """What the paths of each root begin with: nothing for a single one, else names that differ."""
    if len(roots) == 1:
        return [""]
    names: list[str] = []
    for root in roots:
        name, number = root.name or "root", 1
        while name in names:
            number += 1
            name = f"{root.name or 'root'}-{number}"
        names.append(name)
    return names


def _look(folder: str, rel_folder: str, result: Walk, seen: set[tuple[int, int]]) -> list[tuple[str, str]]:
    """Take a folder's recordings; return the folders in it."""
    try:
        about = os.stat(folder)
        if (about.st_dev, about.st_ino) in seen:
            return []
        seen.add((about.st_dev, about.st_ino))
        with os.scandir(folder) as entries:
            inside = sorted(entries, key=lambda entry: (entry.name.casefold(), entry.name))
    except OSError as error:
        result.broken.append((legible(rel_folder or folder), f"the folder cannot be read: {error.strerror}"))
        return []
    if any(entry.name == OUTBOX_MARKER for entry in inside):
        result.skipped[OUTBOX] += 1
        return []
    result.folders += 1
    below = []
    for entry in inside:
        rel_path = f"{rel_folder}/{entry.name}" if rel_folder else entry.name
        if entry.is_symlink():
            result.links += 1
        elif not entry.is_dir():
            _take(entry, rel_path, result)
        elif entry.name.startswith(SCRATCH):
            continue
        elif entry.name in SKIPPED:
            result.skipped[entry.name] += 1
        elif entry.name.startswith("."):
            result.skipped[DOT_FOLDER] += 1
        else:
            below.append((entry.path, rel_path))
    return below


def _take(entry: os.DirEntry[str], rel_path: str, result: Walk) -> None:
    result.files += 1
    suffix = os.path.splitext(entry.name)[1].lower()
    if suffix not in AUDIO and suffix not in UNSUPPORTED:
        return
    if entry.name.startswith("."):
        result.junk += 1
    elif suffix in UNSUPPORTED:
        result.unsupported[suffix] += 1
    elif problem := _problem(rel_path):
        result.broken.append((legible(rel_path), problem))
    elif not entry.is_file(follow_symlinks=False):
        result.broken.append((rel_path, "is not a regular file"))
    else:
        try:
            about = entry.stat(follow_symlinks=False)
        except OSError as error:
            result.broken.append((rel_path, f"cannot be read: {error.strerror}"))
            return
        result.found.append(Found(rel_path, entry.path, about.st_size, about.st_mtime_ns, about.st_ino))


def _problem(rel_path: str) -> str:
    """Why a path cannot be named in a catalogue; nothing for almost all."""
    try:
        rel_path.encode("utf-8")
    except UnicodeEncodeError:
        return "its name or its folder's is not UTF-8; rename it, for example with convmv"
    return "" if rel_path.isprintable() else "its name or its folder's holds a control character; rename it"


def legible(path: str) -> str:
    """A path that can be printed, whatever its bytes are: `caf\\xe9.wav`."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in text)
