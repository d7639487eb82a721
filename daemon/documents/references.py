"""What a reference means: items of a step, items of a finished job, or a file; and where a job may read files.

`beds` is all items of a step, `beds/3` its third; `from/beds/3` the same of the job named by `from:`; `each` the
current item of a `for_each` step. Of an earlier job with `seeds:`, `from/seed-7/beds/3` says which. Everything else is a path: it starts with `./`, `../`, `/` or `~/`, or ends in a
suffix of audio or of a catalogue. The form alone decides, so that the daemon reads a reference as this reader did.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from daemon.settings_model import Settings

AUDIO_SUFFIXES = frozenset(
    {
        ".wav",
        ".wave",
        ".flac",
        ".mp3",
        ".ogg",
        ".oga",
        ".opus",
        ".aiff",
        ".aif",
        ".aifc",
        ".w64",
        ".rf64",
        ".caf",
        ".au",
    }
    | {".m4a", ".wma", ".aac", ".mp4", ".m4b", ".ape", ".wv", ".mpc", ".dsf", ".dff", ".ac3", ".amr", ".mka", ".webm"}
)
"""Suffixes that make a word a path. Some cannot be read here; the handler says so, by name."""
CATALOGUE_SUFFIXES = frozenset({".csv", ".json", ".md", ".markdown"})
"""Suffixes of catalogues of recordings; they make a word a path, too."""

_STEP = re.compile(r"(?:(from/)(seed-[0-9]{1,10}/)?)?([a-z][a-z0-9_-]{0,30})(?:/([0-9]{1,9}))?", re.ASCII)


class ReferenceRefused(ValueError):
    """A reference that means nothing, or a path that a job may not read; the message says what to do."""


@dataclass(frozen=True)
class StepReference:
    """Items of a step of the same job; `item` counts from 1, `None` is all."""

    step: str
    item: int | None = None


@dataclass(frozen=True)
class FromReference:
    """Items of a step of the job named by `from:`."""

    step: str
    """`beds`, or `seed-7/beds` of a job that has several seeds."""
    item: int | None = None


@dataclass(frozen=True)
class EachReference:
    """The current item of a `for_each` step."""


@dataclass(frozen=True)
class PathReference:
    """A file, as written."""

    path: str


AnyReference = StepReference | FromReference | EachReference | PathReference


def parse(text: str) -> AnyReference:
    """Read a reference by its form alone.

    Raises
    ------
    ReferenceRefused
        When it has the form of neither a step's items nor a path.
    """
    if not text.isprintable():
        raise ReferenceRefused("is not one line of plain text")
    if text == "each":
        return EachReference()
    if text == "from":
        raise ReferenceRefused("needs the step it means: from/beds, or from/beds/3 for its third item")
    if match := _STEP.fullmatch(text):
        other, seed, step, item = match.groups()
        if item is not None and (item.startswith("0") or len(item) > 6):
            raise ReferenceRefused(f"names no item: items are numbered {step}/1, {step}/2, ...")
        number = None if item is None else int(item)
        return FromReference(f"{seed or ''}{step}", number) if other else StepReference(step, number)
    if (
        text.startswith(("./", "../", "/", "~/"))
        or os.path.splitext(text)[1].lower() in AUDIO_SUFFIXES | CATALOGUE_SUFFIXES
    ):
        return PathReference(text)
    raise ReferenceRefused(f"is neither a step nor a path; for a file write ./{text}")


def absolute(path: str, inbox: Path) -> str:
    """The path from the root of the filesystem, links not followed. Relative ones start at `inbox`.

    Not normalised: `link/..` is not the folder that holds the link.
    """
    return os.path.join(inbox, os.path.expanduser(path) if path.startswith("~/") else path.removeprefix("./"))


def resolve(path: str, settings: Settings, *, inbox: Path | None = None) -> Path:
    """Follow a path to the file it means now, and check that a job may read there. The file need not exist yet.

    To be called at intake and again before the file is opened: links may have changed in between.

    Parameters
    ----------
    path
        As written in the job file.
    inbox
        Where relative paths start; by default the first inbox.

    Raises
    ------
    ReferenceRefused
        When it leaves the configured folders, or names the outbox, the configuration or the state.
    """
    real = _allowed(path, settings, inbox)
    if os.path.lexists(real) and not stat.S_ISREG(os.lstat(real).st_mode):
        raise ReferenceRefused("is a folder, not a file" if os.path.isdir(real) else "is not a regular file")
    return Path(real)


def resolve_folder(path: str, settings: Settings, *, inbox: Path | None = None) -> Path:
    """Follow a path to the folder it means now, and check as :func:`resolve` does. It need not exist yet.

    Raises
    ------
    ReferenceRefused
        As :func:`resolve`, and for what is there and no folder.
    """
    real = _allowed(path, settings, inbox)
    if os.path.lexists(real) and not os.path.isdir(real):
        raise ReferenceRefused("is not a folder")
    return Path(real)


def _allowed(path: str, settings: Settings, inbox: Path | None) -> str:
    """Where a path leads, links followed, if a job may read there."""
    if not path.isprintable():
        raise ReferenceRefused("is not one line of plain text")
    real = os.path.realpath(absolute(path, inbox or settings.paths.inboxes[0]))
    paths = settings.paths
    for folder, advice in (
        (paths.outbox, "a finished job's items are used by `from: <job id>` and from/<step>/<item>"),
        (paths.state, "a job file never names the ledger or anything else in there"),
        (paths.config, "a job file never names the configuration"),
    ):
        if _inside(real, folder):
            raise ReferenceRefused(f"lies in {folder}; {advice}")
    if not any(_inside(real, root) for root in settings.readable_roots):
        where = f"leads to {real}, which is" if os.path.normpath(path) != real else "is"
        raise ReferenceRefused(
            f"{where} outside the folders that jobs may read; to allow it, add to config/drophammer.yaml: "
            f"roots: [{', '.join([*map(str, settings.roots), real if os.path.isdir(real) else os.path.dirname(real)])}]"
        )
    return real


def _inside(real: str, folder: Path) -> bool:
    root = os.path.realpath(folder)
    return real == root or real.startswith(root.rstrip("/") + "/")


def nearest_file(path: Path) -> str | None:
    """The name in the same folder that is most like one that is missing, to show while a job waits for it."""
    try:
        names = [entry.name for entry in os.scandir(path.parent) if not entry.name.startswith(".")]
    except OSError:
        return None
    found = difflib.get_close_matches(path.name, names, 1, cutoff=0.6)
    return found[0] if found else None
