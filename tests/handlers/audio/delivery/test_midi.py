"""MIDI files, read back by mido: when notes sound, in seconds, is what was asked for."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import mido
import pytest

from handlers.audio.delivery.midi import DRUM_CHANNEL, Marker, Note, Tempo, TimeSignature, Track, write_midi
from handlers.contract import Invalid


def _seconds(path: Path) -> list[tuple[float, Any]]:
    """Every message with its time in seconds, as mido's own player would send it."""
    now_s, found = 0.0, []
    for message in mido.MidiFile(path, charset="utf-8"):
        now_s += message.time
        found.append((now_s, message))
    return found


def test_notes_sound_when_the_tempo_map_says(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    kick = Track("kick", [Note(start, 0.25, 36) for start in range(8)], channel=DRUM_CHANNEL)
    write_midi(path, [kick], tempo_map=[Tempo(0, 120), Tempo(4, 60)])
    starts_s = [time_s for time_s, message in _seconds(path) if message.type == "note_on"]
    assert starts_s == pytest.approx([0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0])
    assert {message.channel for _, message in _seconds(path) if message.type == "note_on"} == {9}


def test_markers_signatures_and_names_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    write_midi(
        path,
        [Track("Baß", [], program=38)],
        tempo_map=[Tempo(0, 133.33)],
        time_signatures=[TimeSignature(0, 6, 8)],
        markers=[Marker(0, "intro"), Marker(12, "drop")],
        key="F# minor",
        title="a piece",
    )
    file = mido.MidiFile(path, charset="utf-8")
    assert [track.name for track in file.tracks] == ["a piece", "Baß"]
    first = {message.type: message for message in file.tracks[0]}
    assert mido.tempo2bpm(first["set_tempo"].tempo) == pytest.approx(133.33, abs=1e-3)
    assert first["key_signature"].key == "F#m"
    assert (first["time_signature"].numerator, first["time_signature"].denominator) == (6, 8)
    marks = [(round(time_s, 3), message.text) for time_s, message in _seconds(path) if message.type == "marker"]
    assert marks == [(0, "intro"), (pytest.approx(12 * 60 / 133.33, abs=1e-3), "drop")]
    assert file.tracks[1][1].program == 38


def test_a_note_that_overlaps_its_own_pitch_ends_where_the_next_begins(tmp_path: Path) -> None:
    path = tmp_path / "a.mid"
    write_midi(path, [Track("bass", [Note(0, 4, 40), Note(1, 1, 40), Note(1, 2, 47)])], tempo_map=[Tempo(0, 60)])
    heard = [
        (round(time_s, 3), message.type, message.note)
        for time_s, message in _seconds(path)
        if message.type in ("note_on", "note_off")
    ]
    assert heard == [
        (0, "note_on", 40), (1, "note_off", 40), (1, "note_on", 40), (1, "note_on", 47),
        (2, "note_off", 40), (3, "note_off", 47),
    ]  # fmt: skip


def test_the_same_piece_is_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mid", "b.mid"):
        write_midi(tmp_path / name, [Track("x", [Note(0, 1, 60)])], tempo_map=[Tempo(0, 120)])
    assert (tmp_path / "a.mid").read_bytes() == (tmp_path / "b.mid").read_bytes()


@pytest.mark.parametrize("mode", ["minor", "major"])
def test_every_key_that_a_job_can_name_has_a_signature(mode: str) -> None:
    for name in ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B"):
        file = io.BytesIO()
        write_midi(file, tempo_map=[Tempo(0, 120)], key=f"{name} {mode}")
        assert file.getvalue().startswith(b"MThd")


@pytest.mark.parametrize(
    ("notes", "tempo_map", "reason"),
    [
        ([Note(0, 1, 128)], [Tempo(0, 120)], "128|0..127"),
        ([Note(-1, 1, 60)], [Tempo(0, 120)], "position of -1"),
        ([], [Tempo(0, 2.0)], "tempo of 2 BPM"),
        ([], [Tempo(1, 120)], "needs a tempo from its start"),
        ([], [], "needs a tempo from its start"),
    ],
)
def test_what_midi_cannot_hold_is_named(tmp_path: Path, notes: Any, tempo_map: Any, reason: str) -> None:
    with pytest.raises(Invalid, match=reason):
        write_midi(tmp_path / "a.mid", [Track("x", notes)], tempo_map=tempo_map)
