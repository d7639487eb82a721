"""What a file's or folder's name says: a job, audio, audio that nothing here can read, or none of our business.

The list is of what is taken, not of what is ignored: a temporary name (`x.yaml~`, `x.wav.part`, `4913`) is no job and
no audio by its ending, and those that keep the ending start with a dot or a mark of their own.
"""

from __future__ import annotations

import os
from enum import Enum


class Kind(Enum):
    JOB = "job"
    AUDIO = "audio"
    UNSUPPORTED = "unsupported audio"


JOBS = frozenset({".yaml", ".yml"})
AUDIO = frozenset({".wav", ".aiff", ".aif", ".flac", ".mp3", ".ogg", ".opus"})
UNSUPPORTED = frozenset({
    ".m4a", ".wma", ".aac", ".mp4", ".alac", ".ape", ".wv", ".mpc", ".dsf", ".dff", ".caf", ".ac3", ".mka",
})  # fmt: skip

SET_ASIDE = frozenset({"accepted", "rejected"})
"""Directly below an inbox: what the daemon itself puts away. Not watched."""

# A dot: hidden, rsync's .x.wav.Ab3dE9, Syncthing's .syncthing.x.tmp, vim's .x.yaml.swp, Emacs' .#x.yaml, macOS's ._x.wav.
# ~$: Office's owner files. ~syncthing~: Syncthing on Windows. #: Emacs' auto-save #x.yaml#.
_TEMPORARY = (".", "~$", "~syncthing~")


def kind_of(name: str) -> Kind | None:
    """What to do with a file of this name; None is to leave it alone."""
    if name.startswith(_TEMPORARY) or (name.startswith("#") and name.endswith("#")):
        return None
    ending = os.path.splitext(name)[1].lower()
    if ending in JOBS:
        return Kind.JOB
    if ending in AUDIO:
        return Kind.AUDIO
    return Kind.UNSUPPORTED if ending in UNSUPPORTED else None


def is_watched_folder(name: str, *, top: bool) -> bool:
    """Whether a folder of this name is looked into; `top`: it lies directly in an inbox."""
    return not name.startswith(_TEMPORARY) and not (top and name in SET_ASIDE)
