"""Lines: what has pitch or length. Bass, lead, arpeggio, stabs, pad, drone, texture, risers and impacts."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from handlers.stems.instrument.patterns import euclid
from handlers.stems.instrument.score import STEPS, Common, Event, Meter, Section
from handlers.stems.styles import Character
from handlers.stems.theory import SCALES, pitch

LEAD_LOWEST = 57
"""A3: a lead's root lies in the octave above it."""
PAD_LOWEST = 45
DRONE_LOWEST = 28

# Of each kind of line: rhythms, the share of steps that leave the root, and of those that leap an octave.
_BASS_LINES: dict[str, tuple[tuple[tuple[int, ...], ...], float, float]] = {
    "sequence": (
        (
            (2, 6, 10, 14), (2, 3, 6, 7, 10, 11, 14, 15), (1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15),
            (0, 3, 6, 8, 11, 14), (0, 2, 4, 6, 8, 10, 12, 14), (0, 3, 4, 7, 8, 11, 12, 15), (2, 3, 6, 10, 11, 14),
        ),
        0.35, 0.2,
    ),
    "pulse": (
        (
            (0, 2, 4, 6, 8, 10, 12, 14), tuple(range(16)), (0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14),
            (0, 2, 4, 6, 8, 9, 10, 12, 14),
        ),
        0.15, 0.15,
    ),
    "offbeat": (
        ((2, 6, 10, 14), (2, 6, 10, 13, 14), (2, 3, 6, 10, 11, 14), (2, 6, 7, 10, 14, 15), (2, 5, 6, 10, 14)),
        0.3, 0.15,
    ),
    "roll": (
        (
            (1, 2, 3, 5, 6, 7, 9, 10, 11, 13, 14, 15), (2, 3, 6, 7, 10, 11, 14, 15), (1, 2, 3, 5, 6, 9, 10, 11, 13, 14),
            (1, 3, 5, 6, 7, 9, 11, 13, 14, 15),
        ),
        0.15, 0.05,
    ),
    "gallop": (
        (
            (0, 2, 3, 4, 6, 7, 8, 10, 11, 12, 14, 15), (0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14),
            (0, 3, 4, 7, 8, 11, 12, 15), (0, 2, 3, 4, 6, 7, 8, 10, 11, 12, 13, 14, 15),
        ),
        0.2, 0.1,
    ),
    "arpeggio": ((tuple(range(16)), (0, 2, 4, 6, 8, 10, 12, 14), (0, 2, 3, 4, 6, 7, 8, 10, 11, 12, 14, 15)), 0.0, 0.0),
    "long": (((0,), (0, 8), (0, 10), (0, 6, 12), (0, 12), (0, 14)), 0.35, 0.1),
}  # fmt: skip
_CHORD = (0, 2, 4, 7, 9)
"""Degrees of an arpeggio over its root: third, fifth, octave and the third above it."""
_STABS = ((0,), (3,), (2,), (0, 3), (6, 14), (0, 6), (3, 11), (0, 3, 6), (2, 10), (0, 7, 10), (4, 12), (6,), (0, 10))


@dataclass(frozen=True)
class LinePattern:
    """What a stem's bass, arpeggio and stabs play before anything varies."""

    bass: tuple[tuple[int, int], ...]
    """Step of the bar and degree over its root, an octave being 7."""
    gate: float
    """Share of a bass note's time that it sounds."""
    arp: tuple[tuple[int, int], ...]
    stabs: tuple[int, ...]

    def mark(self) -> Hashable:
        """What may not be shared between two stems of a style; octaves fold where a bass would get too high."""
        return tuple((step, degree % 7) for step, degree in self.bass)


def draw_lines(character: Character, motif_degrees: Sequence[int], rng: np.random.Generator) -> LinePattern:
    """Draw the lines of one stem; degrees that are not the root come from the motif of the job."""
    kind = "long" if character.form == "drift" or character.kick in ("half", "sparse") else character.bass_line
    rhythms, wandering, leaping = _BASS_LINES[kind]
    if kind == "sequence" and rng.random() < 0.35:
        pattern = euclid(int(rng.integers(5, 8)), STEPS, int(rng.integers(STEPS)))
        steps = tuple(step for step in range(STEPS) if pattern[step])
    else:
        steps = rhythms[int(rng.integers(len(rhythms)))]
    if kind == "arpeggio":
        degrees = _arpeggio(len(steps), rng)
    else:
        degrees = tuple(
            (int(rng.choice(motif_degrees)) if rng.random() < wandering else 0)
            + 7 * bool(step and rng.random() < leaping)
            for step in steps
        )
    hits = euclid(int(rng.choice((8, 11, 12, 16))), STEPS, int(rng.integers(4)))
    arp_steps = tuple(step for step in range(STEPS) if hits[step])
    return LinePattern(
        bass=tuple(zip(steps, degrees, strict=True)),
        gate=0.95 if kind == "long" else float(rng.uniform(0.55, 0.9)),
        arp=tuple(zip(arp_steps, _arpeggio(len(arp_steps), rng), strict=True)),
        stabs=_STABS[int(rng.integers(len(_STABS)))],
    )


def _arpeggio(notes: int, rng: np.random.Generator) -> tuple[int, ...]:
    """A figure of three to six notes of the chord, repeated."""
    length = int(rng.choice((3, 4, 4, 5, 6)))
    figure = [0, *(int(degree) for degree in rng.choice(_CHORD[1:], length - 1))]
    return tuple(figure[number % length] for number in range(notes))


def voicing(part: str, root: float, common: Common) -> tuple[float, ...]:
    """Return the pitches that sound for a pad's, stab's or drone's event; of any other part, the pitch alone."""
    if part == "drone":
        return (root, root + 12, root + 19, root + 24)
    if part not in ("pad", "stab"):
        return (root,)
    steps = SCALES[common.scale]
    degree = min(range(7), key=lambda number: abs((common.key.root + steps[number] - root) % 12))
    above = [(steps[(degree + move) % 7] + 12 * ((degree + move) // 7)) - steps[degree] for move in (2, 4, 8)]
    return (root, *(root + interval for interval in above))


class Lines:
    """The pitched lines of one stem: its pattern, over the motif and progression of the job.

    Parameters
    ----------
    character, common, meter
        The style's, the job's, the stem's.
    pattern
        From :func:`draw_lines`.
    rng
        The stem's stream for what varies.
    """

    def __init__(
        self, character: Character, common: Common, meter: Meter, pattern: LinePattern, rng: np.random.Generator
    ) -> None:
        self.character = character
        self.common = common
        self.meter = meter
        self.pattern = pattern
        self.rng = rng

    def play(self, section: Section) -> dict[str, list[Event]]:
        """Return the events of the pitched and noise parts in one section."""
        players = {
            "bass": self._bass, "lead": self._lead, "arp": self._arp, "stab": self._stab, "pad": self._pad,
            "drone": self._drone, "texture": self._texture, "riser": self._riser, "impact": self._impact,
        }  # fmt: skip
        return {part: player(section) for part, player in players.items() if part in section.parts}

    def _event(
        self, step: float, steps: float, velocity: float, midi: float = 0.0, kind: str = "", send: float = 0.0
    ) -> Event:
        start, end = self.meter.frame(step), self.meter.frame(step + steps)
        return Event(start, min(1.0, max(0.05, float(velocity))), end - start, midi, kind, send)

    def _root(self, bar: int) -> int:
        return self.common.progression[bar % len(self.common.progression)]

    def _swung(self, bar: int, step: int) -> float:
        return bar * STEPS + step + self.character.swing / 3 * (step % 2)

    def _bass(self, section: Section) -> list[Event]:
        events = []
        line = self.pattern.bass
        ends = [*(step for step, _ in line[1:]), STEPS + line[0][0]]
        for bar in range(section.start_bar, section.end_bar):
            last = bar == section.end_bar - 1 and section.bars > 1
            # Away from the fullest sections a bar on the root answers each bar of the line.
            answers = self.character.bass_line != "arpeggio" and bar % 2 == 0 and section.energy < 0.9
            for (step, degree), end in zip(line, ends, strict=True):
                if (last and step >= 12 and section.label != "outro") or self.rng.random() < 0.03:
                    continue
                midi = pitch(self.common.key, self.common.scale, self._root(bar) + (0 if answers else degree))
                while midi > 52:
                    midi -= 12
                length = min(end - step, 4 if len(line) > 3 else STEPS) * self.pattern.gate
                accent = 0.95 if step % 4 == 2 else 0.8
                velocity = accent * self.rng.normal(0.95, 0.05) * (0.8 + 0.2 * section.energy)
                events.append(self._event(self._swung(bar, step), length, velocity, midi))
        return events

    def _arp(self, section: Section) -> list[Event]:
        """Broken chords over the roots, an octave higher where the section is full."""
        events = []
        lowest = LEAD_LOWEST - 12 * (section.energy < 0.6)
        for bar in range(section.start_bar, section.end_bar):
            for step, degree in self.pattern.arp:
                midi = pitch(self.common.key, self.common.scale, self._root(bar) + degree, lowest)
                accent = 1.0 if step % 4 == 0 else 0.8
                velocity = accent * (0.55 + 0.35 * section.energy) * self.rng.normal(1.0, 0.06)
                events.append(self._event(self._swung(bar, step), 0.8, velocity, midi))
        return events

    def _stab(self, section: Section) -> list[Event]:
        events = []
        for bar in range(section.start_bar, section.end_bar):
            midi = pitch(self.common.key, self.common.scale, self._root(bar), PAD_LOWEST)
            for step in self.pattern.stabs:
                velocity = (0.6 + 0.3 * section.energy) * self.rng.normal(1.0, 0.06)
                events.append(self._event(self._swung(bar, step), 1.2, velocity, midi, send=0.3))
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
                length = note.length * (0.95 if resting or self.character.lead == "wail" else 0.6)
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
