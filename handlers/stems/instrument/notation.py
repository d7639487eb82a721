"""A score as a MIDI file: tempo, key, sections, and every note and hit, one track a part.

Drums go to channel 10 as General MIDI has them, so that any player's drum kit answers; what has pitch has a channel of
its own with a program that comes near. Hits lie where they sound, a few milliseconds off the grid where the drummer is.
"""

from __future__ import annotations

import io

from handlers.audio.delivery.midi import DRUM_CHANNEL, Marker, Note, Tempo, Track, write_midi
from handlers.stems.instrument.lines import voicing
from handlers.stems.instrument.score import STEPS, Event, Score

DRUM_NOTES = {
    ("kick", ""): 36, ("snare", ""): 38, ("toms", "high"): 50, ("toms", "mid"): 47, ("toms", "low"): 43,
    ("hats", "closed"): 42, ("hats", "open"): 46, ("metal", "anvil"): 56, ("metal", "pipe"): 80,
    ("metal", "plate"): 52, ("impact", "boom"): 57,
}  # fmt: skip
"""General MIDI's percussion key map. Anvil: cowbell, pipe: mute triangle, plate: Chinese cymbal, impact: crash 2."""
CLAP = 39
PROGRAMS = {
    "bass": 38, "lead": 81, "arp": 80, "stab": 90, "pad": 89, "drone": 95, "texture": 122, "riser": 119,
}  # fmt: skip
"""From 0: synth bass 1, saw and square lead, polysynth, warm pad, sweep pad, seashore, reverse cymbal."""
BELL = 14
"""Tubular bells, for a lead of bells."""
NOISE_NOTE = 60
"""What noise without a pitch is written as."""
HIT_QUARTERS = 0.25


def write_notes(score: Score, title: str, *, snare: str = "", lead: str = "") -> bytes:
    """Return the bytes of a MIDI file of type 1; `snare` and `lead`, the character's, choose note and program."""
    meter = score.meter
    quarters = meter.tempo_bpm / 60 / meter.sample_rate

    def notes(part: str, event: Event) -> list[Note]:
        if (part, event.kind) in DRUM_NOTES:
            pitch = CLAP if (part, snare) == ("snare", "clap") else DRUM_NOTES[part, event.kind]
            return [Note(event.start * quarters, HIT_QUARTERS, pitch, event.velocity)]
        pitches = voicing(part, event.pitch, score.common) if event.pitch else (NOISE_NOTE,)
        return [
            Note(event.start * quarters, event.length * quarters, round(pitch), event.velocity) for pitch in pitches
        ]

    tracks = []
    for part, events in score.events.items():
        if events:
            channel = list(PROGRAMS).index(part) if part in PROGRAMS else DRUM_CHANNEL
            program = BELL if (part, lead) == ("lead", "bell") else PROGRAMS.get(part)
            tracks.append(Track(part, [note for event in events for note in notes(part, event)], channel, program))
    file = io.BytesIO()
    write_midi(
        file,
        tracks,
        tempo_map=[Tempo(0.0, meter.tempo_bpm)],
        markers=[Marker(section.start_bar * STEPS / 4, section.label) for section in score.sections],
        key=str(score.common.key),
        title=title,
    )
    return file.getvalue()
