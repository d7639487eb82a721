"""Named places in a WAV file, as audio editors show them: the RIFF `cue ` chunk, and their names in a `LIST` of `adtl`.

Layout after Microsoft's Multimedia Programming Interface and Data Specifications 1.0 (1991): a cue point is six
little-endian 32-bit words; `labl` holds its name, `ltxt` the length of a region in samples.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from handlers.contract import Invalid

_REGION = b"rgn "


class Cue(NamedTuple):
    """A named place, or a region if it has a length."""

    frame: int
    """Sample, counted from 0."""
    name: str
    frames: int = 0
    """Samples of the region; 0 for a point."""


def write_cues(path: Path | str, cues: Sequence[Cue]) -> None:
    """Add cues to a finished WAV file that has none.

    Parameters
    ----------
    path
        A RIFF WAVE file; it grows at its end.
    cues
        In any order; they are written by their place.

    Raises
    ------
    Invalid
        When the file is no RIFF WAVE, has cues already, or would pass 4 GiB.
    """
    cues = sorted(cues, key=lambda cue: cue.frame)
    points = struct.pack("<I", len(cues))
    texts = b"adtl"
    for number, cue in enumerate(cues, 1):
        points += struct.pack("<II4sIII", number, cue.frame, b"data", 0, 0, cue.frame)
        texts += _chunk(b"labl", struct.pack("<I", number) + cue.name.encode("utf-8") + b"\0")
    for number, cue in enumerate(cues, 1):
        if cue.frames:
            texts += _chunk(b"ltxt", struct.pack("<II4sHHHH", number, cue.frames, _REGION, 0, 0, 0, 0))
    added = _chunk(b"cue ", points) + _chunk(b"LIST", texts)
    with open(path, "r+b") as file:
        form, _, kind = struct.unpack("<4sI4s", file.read(12).ljust(12, b"\0"))
        if (form, kind) != (b"RIFF", b"WAVE"):
            raise Invalid(f"{path}: is no RIFF WAVE file; cues can be written into .wav only")
        while len(head := file.read(8)) == 8:
            name, size = struct.unpack("<4sI", head)
            if name == b"cue ":
                raise Invalid(f"{path}: has cues already")
            file.seek(size + size % 2, 1)
        end = file.seek(0, 2)
        end += end % 2
        if end + len(added) - 8 > 0xFFFFFFFF:
            raise Invalid(f"{path}: has no room for cues below the 4 GiB of a WAV file; cut it into parts")
        file.seek(end)
        file.write(added)
        file.seek(4)
        file.write(struct.pack("<I", end + len(added) - 8))


def _chunk(name: bytes, body: bytes) -> bytes:
    """A chunk, padded so that the next begins at an even position."""
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)
