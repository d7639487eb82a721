"""Lines: what has pitch or length. Bass, lead, pad, drone, texture, risers and impacts."""

from __future__ import annotations

import numpy as np

from handlers.stems.instrument.patterns import euclid
from handlers.stems.instrument.score import STEPS, Common, Event, Meter, Section
from handlers.stems.styles import Character
from handlers.stems.theory import pitch

LEAD_LOWEST = 57
"""A3: a lead's root lies in the octave above it."""
PAD_LOWEST = 45
DRONE_LOWEST = 28

_BASS_RHYTHMS = (
    (2, 6, 10, 14),
    (2, 3, 6, 7, 10, 11, 14, 15),
    (1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15),
    (0, 3, 6, 8, 11, 14),
    (0, 2, 4, 6, 8, 10, 12, 14),
    (0, 3, 4, 7, 8, 11, 12, 15),
    (2, 3, 6, 10, 11, 14),
)
_SLOW_RHYTHMS = ((0,), (0, 8), (0, 10), (0, 6, 12))


class Lines:
    """The pitched lines of one stem, drawn once from its stream, over the motif and progression of the job."""

    def __init__(self, character: Character, common: Common, meter: Meter, rng: np.random.Generator) -> None:
        self.character = character
        self.common = common
        self.meter = meter
        self.rng = rng
        slow = character.form == "drift" or character.kick in ("half", "sparse")
        rhythms = _SLOW_RHYTHMS if slow else _BASS_RHYTHMS
        if not slow and rng.random() < 0.35:
            hits = int(rng.integers(5, 8))
            pattern = euclid(hits, STEPS, int(rng.integers(STEPS)))
            self.bass_steps = tuple(step for step in range(STEPS) if pattern[step])
        else:
            self.bass_steps = rhythms[int(rng.integers(len(rhythms)))]
        self.bass_gate = 0.95 if slow else float(rng.uniform(0.55, 0.9))
        # Which of the bass's steps take the motif's degrees instead of the root, and which leap an octave.
        degrees = [note.degree for note in common.motif]
        self.bass_degrees = {step: int(rng.choice(degrees)) for step in self.bass_steps if rng.random() < 0.35}
        self.bass_leaps = {step for step in self.bass_steps if step and rng.random() < 0.2}

    def play(self, section: Section) -> dict[str, list[Event]]:
        """Return the events of the pitched and noise parts in one section."""
        players = {
            "bass": self._bass, "lead": self._lead, "pad": self._pad, "drone": self._drone,
            "texture": self._texture, "riser": self._riser, "impact": self._impact,
        }  # fmt: skip
        return {part: player(section) for part, player in players.items() if part in section.parts}

    def _event(
        self, step: float, steps: float, velocity: float, midi: float = 0.0, kind: str = "", send: float = 0.0
    ) -> Event:
        start, end = self.meter.frame(step), self.meter.frame(step + steps)
        return Event(start, float(np.clip(velocity, 0.05, 1.0)), end - start, midi, kind, send)

    def _root(self, bar: int) -> int:
        return self.common.progression[bar % len(self.common.progression)]

    def _bass(self, section: Section) -> list[Event]:
        events = []
        ends = (*self.bass_steps[1:], STEPS + self.bass_steps[0])
        for bar in range(section.start_bar, section.end_bar):
            last = bar == section.end_bar - 1 and section.bars > 1
            for step, end in zip(self.bass_steps, ends, strict=True):
                if (last and step >= 12 and section.label != "outro") or self.rng.random() < 0.03:
                    continue
                degree = self._root(bar) + self.bass_degrees.get(step, 0) * (bar % 2 == 1 or section.energy > 0.9)
                octave = 7 * (step in self.bass_leaps and section.energy > 0.55)
                midi = pitch(self.common.key, self.common.scale, degree + octave)
                while midi > 52:
                    midi -= 12
                length = min(end - step, 4 if len(self.bass_steps) > 3 else STEPS) * self.bass_gate
                accent = 0.95 if step % 4 == 2 else 0.8
                velocity = accent * self.rng.normal(0.95, 0.05) * (0.8 + 0.2 * section.energy)
                swing = self.character.swing / 3 * (step % 2)
                events.append(self._event(bar * STEPS + step + swing, length, velocity, midi))
        return events

    def _lead(self, section: Section) -> list[Event]:
        """The motif, stated from each second bar of the section; in rests an octave lower and thrown into the room."""
        events = []
        resting = section.energy < 0.6
        for bar in range(section.start_bar, section.end_bar, 2):
            for note in self.common.motif:
                if bar + note.step // STEPS >= section.end_bar:
                    break
                midi = pitch(self.common.key, self.common.scale, note.degree, LEAD_LOWEST)
                velocity = (0.6 + 0.3 * section.energy) * self.rng.normal(1.0, 0.07)
                length = note.length * (0.95 if resting else 0.6)
                events.append(self._event(bar * STEPS + note.step, length, velocity, midi, send=0.5 * resting))
        return events

    def _pad(self, section: Section) -> list[Event]:
        """One chord a root, held as long as the root stays."""
        events = []
        bar = section.start_bar
        while bar < section.end_bar:
            bars = 1
            while bar + bars < section.end_bar and self._root(bar + bars) == self._root(bar):
                bars += 1
            midi = pitch(self.common.key, self.common.scale, self._root(bar), PAD_LOWEST)
            level = 0.7 + 0.2 * section.energy
            events.append(self._event(bar * STEPS, bars * STEPS, level, midi, kind=str(self._root(bar))))
            bar += bars
        return events

    def _drone(self, section: Section) -> list[Event]:
        midi = pitch(self.common.key, self.common.scale, 0, DRONE_LOWEST)
        level = 0.6 + 0.3 * section.energy
        return [self._event(section.start_bar * STEPS, section.bars * STEPS, level, midi)]

    def _texture(self, section: Section) -> list[Event]:
        """A bed of machine air, and in rhythmic sections bursts of steam on it."""
        events = [self._event(section.start_bar * STEPS, section.bars * STEPS, 0.5, kind="air")]
        if self.character.form != "drift":
            for bar in range(section.start_bar, section.end_bar):
                if self.rng.random() < 0.25 + 0.3 * self.character.density:
                    step = int(self.rng.choice((6, 7, 11, 14)))
                    events.append(
                        self._event(bar * STEPS + step, 2, self.rng.uniform(0.4, 0.8), kind="steam", send=0.4)
                    )
        return events

    def _riser(self, section: Section) -> list[Event]:
        """Noise and pitch that climb through the last bars of a section and stop where it ends; a fall sinks first."""
        bars = min(section.bars, 8 if section.label == "rise" else 4)
        start = (section.end_bar - bars) * STEPS
        if section.label == "fall":
            return [self._event(section.start_bar * STEPS, section.bars * STEPS, 0.8, kind="sink")]
        midi = pitch(self.common.key, self.common.scale, 0, LEAD_LOWEST - 12)
        level = 0.95 if section.label in ("rise", "build") else 0.6
        return [self._event(start, bars * STEPS, level, midi, kind="rise")]

    def _impact(self, section: Section) -> list[Event]:
        level = 0.55 + 0.4 * section.energy
        return [self._event(section.start_bar * STEPS, 8, level, kind="boom", send=0.5)]
