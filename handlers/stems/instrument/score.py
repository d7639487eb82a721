"""Scores: what a stem plays, as data, before a sound is made.

What the stems of one job share (tempo, key, motif, progression) is drawn from the job's seed; everything else from a
stem's own stream. Positions are counted in steps (sixteenths, 16 to a bar of 4/4) and become samples in one place,
:meth:`Meter.frame`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from handlers.stems.streams import stream
from handlers.stems.styles import Style
from handlers.stems.theory import Key, parse_key, scale_for

STEPS = 16
"""Steps in a bar."""


@dataclass(frozen=True)
class MotifNote:
    """One note of the motif: step 0..31 of its two bars, length in steps, scale degree."""

    step: int
    length: int
    degree: int


@dataclass(frozen=True)
class Common:
    """What the stems of one job share."""

    tempo_bpm: float
    key: Key
    scale: str
    motif: tuple[MotifNote, ...]
    progression: tuple[int, ...]
    """The degree of each of four bars' roots."""


@dataclass(frozen=True)
class Meter:
    """The grid of one stem: `frames` samples at a tempo, starting on a downbeat."""

    tempo_bpm: float
    frames: int
    sample_rate: int

    @property
    def step_frames(self) -> float:
        """Samples of a sixteenth, not rounded."""
        return self.sample_rate * 60 / self.tempo_bpm / 4

    @property
    def bars(self) -> int:
        """Whole bars, at least one; what is left after them is the tail."""
        return max(1, int(self.frames / (self.step_frames * STEPS) + 1e-9))

    @property
    def tail_steps(self) -> float:
        """Steps after the last whole bar."""
        return max(0.0, self.frames / self.step_frames - self.bars * STEPS)

    def frame(self, step: float) -> int:
        """Return the sample at which a step begins; steps may be fractions."""
        return round(step * self.step_frames)


@dataclass(frozen=True)
class Section:
    """A run of bars in which the same parts play."""

    label: str
    start_bar: int
    bars: int
    parts: tuple[str, ...]
    energy: float
    """0..1: how open filters are, how hard things are hit."""

    @property
    def end_bar(self) -> int:
        """The bar after its last."""
        return self.start_bar + self.bars


@dataclass(frozen=True)
class Event:
    """One hit or note."""

    start: int
    """Sample."""
    velocity: float
    """0..1."""
    length: int = 0
    """Samples held; 0 for a hit, which rings as long as it does."""
    pitch: float = 0.0
    """MIDI number, for notes."""
    kind: str = ""
    """Which of a part's sounds."""
    send: float = 0.0
    """Extra share into the room: a reverb throw."""


@dataclass(frozen=True)
class Score:
    """A stem, ready to be played."""

    meter: Meter
    common: Common
    sections: tuple[Section, ...]
    events: dict[str, tuple[Event, ...]] = field(default_factory=dict)
    """Events of each part, ordered by start."""

    def section_at(self, frame: int) -> Section:
        """Return the section that plays at a sample."""
        bar = frame / (self.meter.step_frames * STEPS) + 1e-6
        return next((section for section in reversed(self.sections) if section.start_bar <= bar), self.sections[0])


def draw_common(style: Style, seed: int) -> Common:
    """Draw what the stems of a job share: the same place in the range of tempo, and keys that go together.

    It comes from the seed alone; another range of tempo or other keys of the style change nothing else. Of a style's
    keys it is the one nearest to the job's own on the circle of fifths.
    """
    rng = stream(seed, "common")
    lowest, highest = style.tempo
    tempo = min(max(float(np.round(rng.uniform(lowest, highest))), lowest), highest)
    root = int(rng.integers(12))
    home = min(map(parse_key, style.keys), key=lambda key: _fifths(key, root))
    progressions = ((0, 0, 0, 0), (0, 0, 5, 5), (0, 0, 0, 6), (0, 0, 3, 1), (0, 5, 0, 6), (0, 0, 2, 1), (0, 0, -1, 0))
    progression = progressions[int(rng.integers(len(progressions)))]
    return Common(tempo, home, scale_for(home, style.scale), _draw_motif(rng), progression)


def _fifths(key: Key, root: int) -> int:
    """How many fifths lie between a key and the minor key of a root; a major key stands where its relative minor is."""
    apart = key.root - root + (9 if key.mode == "major" else 0)
    return min(7 * apart % 12, -7 * apart % 12)


def _draw_motif(rng: np.random.Generator) -> tuple[MotifNote, ...]:
    """A call in the first bar, and an answer in the second that starts alike and ends elsewhere."""
    rhythms = (
        (0, 3, 6, 10, 12),
        (0, 4, 7, 10, 14),
        (0, 3, 6, 8, 11, 14),
        (0, 2, 6, 8, 12),
        (0, 6, 8, 11),
        (0, 3, 8, 11),
    )
    steps = rhythms[int(rng.integers(len(rhythms)))]
    degrees = [0]
    while len(degrees) < len(steps):
        move = int(rng.choice((-3, -2, -1, 1, 2, 3, 4), p=(0.08, 0.12, 0.22, 0.26, 0.16, 0.08, 0.08)))
        degrees.append(int(np.clip(degrees[-1] + move, -2, 7)))
    if len(set(degrees)) < 3:
        degrees[-1], degrees[-2] = 4, 1
    answer = [*degrees[:-2], degrees[-1], int(rng.choice((0, 1, 4, 6)))]
    ends = (*steps[1:], STEPS)
    notes = [MotifNote(step, end - step, degree) for step, end, degree in zip(steps, ends, degrees, strict=True)]
    notes += [
        MotifNote(STEPS + step, end - step, degree) for step, end, degree in zip(steps, ends, answer, strict=True)
    ]
    return tuple(notes)
