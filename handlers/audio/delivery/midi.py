"""Standard MIDI files: a tempo map, markers, and named tracks of notes. Written by mido.

Positions and lengths are in quarter notes from the start of the file; where they fall in seconds is the tempo map's
say. The file is of type 1 and its first track holds everything that is not a note, as sequencers expect it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple

import mido

from handlers.contract import Invalid

TICKS_PER_QUARTER = 960
"""0.5 ms at 120 BPM; what common sequencers use themselves."""
DRUM_CHANNEL = 9
"""Channel 10 as people count: General MIDI's drums."""
SLOWEST_BPM, FASTEST_BPM = 60e6 / 0xFFFFFF, 60e6
"""What the three bytes of microseconds a quarter can hold."""


class Note(NamedTuple):
    """One note."""

    start: float
    """Quarter notes from the start of the file."""
    length: float
    """Quarter notes."""
    pitch: int
    """0..127, 60 = middle C."""
    velocity: float = 0.8
    """0..1; 0 would be a note that ends."""


@dataclass(frozen=True)
class Track:
    """A named track of notes on one channel."""

    name: str
    notes: Sequence[Note]
    channel: int = 0
    """0..15; `DRUM_CHANNEL` for drums."""
    program: int | None = None
    """General MIDI's instrument, 0..127, if any is named."""


class Tempo(NamedTuple):
    """A tempo that holds from a position on."""

    start: float
    """Quarter notes."""
    tempo_bpm: float
    """Quarter notes a minute."""


class TimeSignature(NamedTuple):
    """A time signature that holds from a position on."""

    start: float
    """Quarter notes."""
    beats: int
    unit: int = 4
    """What counts as one: 4 for quarters, 8 for eighths."""


class Marker(NamedTuple):
    """A named place."""

    start: float
    """Quarter notes."""
    text: str


def write_midi(
    path: Path | str | BinaryIO,
    tracks: Iterable[Track] = (),
    *,
    tempo_map: Sequence[Tempo],
    time_signatures: Sequence[TimeSignature] = (TimeSignature(0.0, 4, 4),),
    markers: Sequence[Marker] = (),
    key: str = "",
    title: str = "",
) -> None:
    """Write a Standard MIDI File.

    Parameters
    ----------
    path
        The .mid file, or a file open for writing.
    tracks
        Notes; none make a file that holds a tempo map only. Notes of one pitch and channel that overlap are cut where
        the next begins.
    tempo_map
        At least one tempo, the first at 0, increasing.
    time_signatures, markers
        As their types say.
    key
        Such as ``A minor`` or ``Eb major``; without one there is no key signature.
    title
        The name of the first track, which sequencers show as that of the piece.

    Raises
    ------
    Invalid
        For a value that MIDI cannot hold; the message names it.
    """
    if not tempo_map or tempo_map[0].start != 0:
        raise Invalid(f"{path}: a MIDI file needs a tempo from its start on; the tempo map is {list(tempo_map)[:1]}")
    file = mido.MidiFile(type=1, ticks_per_beat=TICKS_PER_QUARTER, charset="utf-8")
    try:
        file.tracks.append(_track(_conductor(tempo_map, time_signatures, markers, key, title)))
        for track in tracks:
            file.tracks.append(_track(_events(track)))
    except ValueError as error:
        raise Invalid(f"{path}: cannot be written as MIDI: {error}") from error
    if isinstance(path, Path | str):
        file.save(path)
    else:
        file.save(file=path)


def _conductor(
    tempo_map: Sequence[Tempo],
    time_signatures: Sequence[TimeSignature],
    markers: Sequence[Marker],
    key: str,
    title: str,
) -> Iterator[tuple[int, int, mido.MetaMessage]]:
    yield 0, 0, mido.MetaMessage("track_name", name=title)
    if key:
        root, _, mode = key.partition(" ")
        yield 0, 1, mido.MetaMessage("key_signature", key=root + "m" * (mode == "minor"))
    for start, beats, unit in time_signatures:
        yield _tick(start), 1, mido.MetaMessage("time_signature", numerator=beats, denominator=unit)
    for start, tempo_bpm in tempo_map:
        if not SLOWEST_BPM <= tempo_bpm <= FASTEST_BPM:
            raise ValueError(f"a tempo of {tempo_bpm:g} BPM; it holds {SLOWEST_BPM:.2f} and more")
        yield _tick(start), 2, mido.MetaMessage("set_tempo", tempo=round(60e6 / tempo_bpm))
    for start, text in markers:
        yield _tick(start), 3, mido.MetaMessage("marker", text=text)


def _events(track: Track) -> Iterator[tuple[int, int, mido.Message | mido.MetaMessage]]:
    yield 0, 0, mido.MetaMessage("track_name", name=track.name)
    if track.program is not None:
        yield 0, 1, mido.Message("program_change", channel=track.channel, program=track.program)
    following: dict[int, int] = {}
    for note in sorted(track.notes, key=lambda note: note.start, reverse=True):
        start = _tick(note.start)
        end = min(max(start + 1, _tick(note.start + note.length)), following.get(note.pitch, 1 << 62))
        if end <= start:
            continue  # begins with another of its pitch
        following[note.pitch] = start
        velocity = min(127, max(1, round(note.velocity * 127)))
        yield start, 3, mido.Message("note_on", channel=track.channel, note=note.pitch, velocity=velocity)
        yield end, 2, mido.Message("note_off", channel=track.channel, note=note.pitch, velocity=64)


def _track(events: Iterable[tuple[int, int, mido.Message | mido.MetaMessage]]) -> mido.MidiTrack:
    """Order by tick, then by the second number (a note ends before the next begins), and turn ticks into distances."""
    track = mido.MidiTrack()
    last = 0
    for tick, _, message in sorted(events, key=lambda event: event[:2]):
        track.append(message.copy(time=tick - last))
        last = tick
    return track


def _tick(position: float) -> int:
    if not (math.isfinite(position) and position >= 0):
        raise ValueError(f"a position of {position} quarter notes; it counts from 0")
    return round(position * TICKS_PER_QUARTER)
