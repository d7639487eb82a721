"""Keys, scales and degrees. Light: no numpy, since the daemon reads keys at intake.

Conventions: pitches are MIDI numbers (A4 = 69 = 440 Hz), degrees count scale steps from the root, 0 = root, 7 = the
octave above it; negative degrees go down.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Scale = Literal["minor", "phrygian", "dorian", "harmonic minor", "major"]

SCALES: dict[str, tuple[int, ...]] = {
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "harmonic minor": (0, 2, 3, 5, 7, 8, 11),
    "major": (0, 2, 4, 5, 7, 9, 11),
}
NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
LOWEST_BASS = 28
"""E1, 41.2 Hz: the lowest fundamental that small rooms and headphones still carry."""

_LETTERS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_KEY = re.compile(r"\s*([A-Ga-g])([#b♯♭]?)\s+(minor|major)\s*", re.IGNORECASE)


@dataclass(frozen=True)
class Key:
    """A root (pitch class 0..11, C = 0) and a mode."""

    root: int
    mode: Literal["minor", "major"]

    def __str__(self) -> str:
        return f"{NAMES[self.root]} {self.mode}"


def parse_key(text: str) -> Key:
    """Read ``"A minor"``, ``"f# Minor"`` or ``"Eb major"``.

    Raises
    ------
    ValueError
        When `text` is no such key; the message shows how to write one.
    """
    match = _KEY.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a key: write a note and minor or major, such as 'A minor' or 'F# minor'")
    shift = {"#": 1, "♯": 1, "b": -1, "♭": -1}.get(match[2], 0)
    return Key((_LETTERS[match[1].upper()] + shift) % 12, "minor" if match[3].lower() == "minor" else "major")


def scale_for(key: Key, scale: str) -> str:
    """Return `scale` where it fits the key's mode, else the plain scale of that mode."""
    return scale if (scale == "major") == (key.mode == "major") else key.mode


def pitch(key: Key, scale: str, degree: int, lowest: int = LOWEST_BASS) -> int:
    """Return the MIDI number of a degree, counted from the root that lies in ``lowest .. lowest + 11``."""
    octave, step = divmod(degree, 7)
    return lowest + (key.root - lowest) % 12 + 12 * octave + SCALES[scale][step]


def frequency(midi: float) -> float:
    """Return the frequency in Hz of a MIDI number."""
    return 440.0 * 2.0 ** ((midi - 69) / 12)
