"""Loop points in a WAV file, as samplers and audio workstations read them: the RIFF `smpl` chunk.

Layout after Microsoft's Multimedia Data Standards Update 3.0 (1994): nine little-endian 32-bit words, then six for each
loop. The last sample of a loop is played.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

from handlers.contract import Invalid

MIDDLE_C = 60
"""MIDI note at which a sampler plays the file as it is."""
FORWARD = 0
ENDLESS = 0
"""Play count of a loop that goes on while the key is held."""


def write_loop(path: Path | str, first: int, last: int, sample_rate: int, *, note: int = MIDDLE_C) -> None:
    """Add one forward loop to a finished WAV file.

    Parameters
    ----------
    path
        A RIFF WAVE file without a `smpl` chunk; it grows by 68 bytes at its end.
    first, last
        First and last sample that the loop plays, counted from 0; ``first < last``.
    sample_rate
        Hz.
    note
        MIDI note at which the file sounds as recorded, 0 .. 127.

    Raises
    ------
    Invalid
        When the file is no RIFF WAVE, has loop points already, or is too short for them.
    """
    if not 0 <= first < last:
        raise Invalid(f"{path}: a loop from sample {first} to {last} is none")
    with open(path, "r+b") as file:
        frames = _frames_without_loop(file, Path(path))
        if last >= frames:
            raise Invalid(f"{path}: a loop that ends with sample {last} lies outside its {frames} samples")
        period_ns = round(1e9 / sample_rate)
        header = struct.pack("<9I", 0, 0, period_ns, note, 0, 0, 0, 1, 0)
        loop = struct.pack("<6I", 0, FORWARD, first, last, 0, ENDLESS)
        body = header + loop
        end = file.seek(0, 2)
        # Chunks begin at even positions.
        file.write(b"\0" * (end % 2) + b"smpl" + struct.pack("<I", len(body)) + body)
        size = file.tell() - 8
        file.seek(4)
        file.write(struct.pack("<I", size))


def _frames_without_loop(file: BinaryIO, path: Path) -> int:
    """Walk the chunks; return how many sample frames the file has."""
    form, _, kind = struct.unpack("<4sI4s", file.read(12).ljust(12, b"\0"))
    if (form, kind) != (b"RIFF", b"WAVE"):
        raise Invalid(f"{path}: is no RIFF WAVE file; loop points can be written into .wav only")
    width = frames = 0
    while len(head := file.read(8)) == 8:
        name, size = struct.unpack("<4sI", head)
        if name == b"smpl":
            raise Invalid(f"{path}: has loop points already")
        if name == b"fmt ":
            width = struct.unpack("<H", file.read(size)[12:14])[0]
            file.seek(size % 2, 1)
            continue
        if name == b"data" and width:
            frames = size // width
        file.seek(size + size % 2, 1)
    return frames
