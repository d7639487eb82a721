"""A score as MIDI, read back by mido: every note and hit, where it sounds."""

from __future__ import annotations

import io

import mido
import pytest

from handlers.stems.instrument.lines import voicing
from handlers.stems.instrument.notation import CLAP, DRUM_NOTES, PROGRAMS, write_notes
from handlers.stems.instrument.render import SAMPLE_RATE, compose
from handlers.stems.instrument.score import STEPS


def read(data):
    return mido.MidiFile(file=io.BytesIO(data), charset="utf-8")


def starts_s(file, name):
    """Starts and pitches of a track, in seconds, by the file's own tempo."""
    tempo = next(message.tempo for message in file.tracks[0] if message.type == "set_tempo")
    track = next(track for track in file.tracks if track.name == name)
    now, found = 0, []
    for message in track:
        now += message.time
        if message.type == "note_on":
            found.append((mido.tick2second(now, file.ticks_per_beat, tempo), message.note))
    return found


@pytest.fixture(scope="module")
def peak(style):
    return compose(style("darkwave/peak"), 60.0, 3)


@pytest.fixture(scope="module")
def written(peak):
    return read(write_notes(peak, "a title"))


def test_tempo_key_and_sections_are_written(peak, written):
    first = written.tracks[0]
    assert first.name == "a title"
    tempo = next(message.tempo for message in first if message.type == "set_tempo")
    assert mido.tempo2bpm(tempo) == pytest.approx(peak.common.tempo_bpm, rel=1e-6)
    key = next(message.key for message in first if message.type == "key_signature")
    assert key == str(peak.common.key).replace(" minor", "m")
    now, marks = 0, []
    for message in first:
        now += message.time
        if message.type == "marker":
            marks.append((now / written.ticks_per_beat * 4 / STEPS, message.text))
    assert marks == [(section.start_bar * 4 / STEPS * 4, section.label) for section in peak.sections]


def test_every_part_has_a_track_with_all_its_notes(peak, written):
    for part, events in peak.events.items():
        if events:
            heard = starts_s(written, part)
            pitches = [pitch for event in events for pitch in voicing(part, event.pitch, peak.common)]
            # Two voices of one chord or two hits on one tick are one note; nothing else may be missing.
            assert 0.97 * len(pitches) <= len(heard) <= len(pitches), part


def test_hits_lie_where_they_sound(peak, written):
    heard = [start_s for start_s, _ in starts_s(written, "kick")]
    kicks = [event.start / SAMPLE_RATE for event in peak.events["kick"]]
    assert heard == pytest.approx(kicks, abs=0.001)


def test_the_bass_is_written_at_its_pitch(peak, written):
    heard = [note for _, note in starts_s(written, "bass")]
    assert heard == [event.pitch for event in peak.events["bass"]]


def test_drums_are_general_midis_and_on_its_channel(style):
    file = read(write_notes(compose(style("synthwave/drive"), 60.0, 1), "t", snare="clap"))
    for track in file.tracks[1:]:
        channels = {message.channel for message in track if message.type == "note_on"}
        notes = {message.note for message in track if message.type == "note_on"}
        if track.name == "snare":
            assert notes == {CLAP}
        elif track.name in PROGRAMS:
            assert 9 not in channels
        else:
            assert channels == {9}
            assert notes <= {note for (part, _), note in DRUM_NOTES.items() if part == track.name}
