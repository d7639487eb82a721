"""Rekordbox's XML: a collection whose tracks carry their beat grid and marks, for File > Import.

After Pioneer DJ's "rekordbox xml format" (2020): `TEMPO` elements with Inizio (s), Bpm, Metro and Battito (the beat in
the bar). Link lossless files: rekordbox cuts what LAME puts before an MP3 itself, which moves the grid by about 26 ms.
"""

from __future__ import annotations

import xml.etree.ElementTree as xml
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

TEMPO_STEP_BPM = 0.01
"""To which rekordbox keeps a tempo."""
MEMORY_CUE = -1


class GridMark(NamedTuple):
    """A tempo that holds from a beat on."""

    start_s: float
    tempo_bpm: float
    beat: int
    """Its place in the bar, from 1."""


class Mark(NamedTuple):
    """A named place, shown as a memory cue."""

    start_s: float
    name: str


@dataclass(frozen=True)
class RekordboxTrack:
    """One recording of a collection."""

    path: Path
    """Where the audio lies; rekordbox finds it by this path alone."""
    name: str
    duration_s: float
    sample_rate: int
    tempo_bpm: float | None
    """The whole track's, shown in lists."""
    meter: str
    """Such as 4/4."""
    grid: Sequence[GridMark]
    marks: Sequence[Mark]
    key: str | None = None
    """As rekordbox writes it: Am, F#, or a Camelot code."""


def write_rekordbox(path: Path | str, tracks: Sequence[RekordboxTrack], *, version: str) -> None:
    """Write a collection without playlists.

    Parameters
    ----------
    path
        The .xml file.
    tracks
        In order; their ids count from 1.
    version
        Of this program, named as the product that wrote it.
    """
    root = xml.Element("DJ_PLAYLISTS", Version="1.0.0")
    xml.SubElement(root, "PRODUCT", Name="drophammer", Version=version, Company="")
    collection = xml.SubElement(root, "COLLECTION", Entries=str(len(tracks)))
    for number, track in enumerate(tracks, 1):
        element = xml.SubElement(
            collection,
            "TRACK",
            TrackID=str(number),
            Name=track.name,
            Kind=f"{track.path.suffix.lstrip('.').upper()} File",
            TotalTime=str(round(track.duration_s)),
            SampleRate=str(track.sample_rate),
            Location=f"file://localhost{quote(str(track.path.absolute()))}",
        )
        if track.tempo_bpm is not None:
            element.set("AverageBpm", f"{track.tempo_bpm:.2f}")
        if track.key is not None:
            element.set("Tonality", track.key)
        for start_s, tempo_bpm, beat in track.grid:
            xml.SubElement(
                element,
                "TEMPO",
                Inizio=f"{start_s:.3f}",
                Bpm=f"{tempo_bpm:.2f}",
                Metro=track.meter,
                Battito=str(beat),
            )
        for start_s, name in track.marks:
            xml.SubElement(element, "POSITION_MARK", Name=name, Type="0", Start=f"{start_s:.3f}", Num=str(MEMORY_CUE))
    lists = xml.SubElement(root, "PLAYLISTS")
    xml.SubElement(lists, "NODE", Type="0", Name="ROOT", Count="0")
    xml.indent(root)
    xml.ElementTree(root).write(path, encoding="UTF-8", xml_declaration=True)
