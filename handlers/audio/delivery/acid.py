"""The `acid` chunk of a WAV file: tempo, beats and meter, by which Acid, Live, Cubase and others lay it on their grid.

Layout as libsndfile's wav.c reads it: flags, root note, two unknown words, beats, meter, tempo.
"""

from __future__ import annotations

import struct
from pathlib import Path

from handlers.contract import Invalid

STRETCHED = 0x04
"""Follows the project's tempo."""


def write_acid(path: Path | str, tempo_bpm: float, beats: int, *, meter: tuple[int, int] = (4, 4)) -> None:
    """Add tempo (BPM) and length in beats to a finished WAV file.

    Raises
    ------
    Invalid
        When it is no RIFF WAVE.
    """
    body = struct.pack("<IHHfIHHf", STRETCHED, 60, 0x8000, 0.0, beats, meter[1], meter[0], tempo_bpm)
    with open(path, "r+b") as file:
        form, _, kind = struct.unpack("<4sI4s", file.read(12).ljust(12, b"\0"))
        if (form, kind) != (b"RIFF", b"WAVE"):
            raise Invalid(f"{path}: is no RIFF WAVE file; a tempo can be written into .wav only")
        end = file.seek(0, 2)
        file.write(b"\0" * (end % 2) + b"acid" + struct.pack("<I", len(body)) + body)
        size = file.tell() - 8
        if size > 0xFFFFFFFF:
            raise Invalid(f"{path}: has no room for a tempo below the 4 GiB of a WAV file")
        file.seek(4)
        file.write(struct.pack("<I", size))
