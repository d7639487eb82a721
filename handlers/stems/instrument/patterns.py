"""Drum patterns: from sections to every hit. What has pitch is in :mod:`handlers.stems.instrument.lines`."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace

import numpy as np

from handlers.stems.instrument.score import STEPS, Event, Meter, Section
from handlers.stems.styles import Character

_KICKS: dict[str, tuple[tuple[int, ...], ...]] = {
    "four": ((0, 4, 8, 12),),
    "broken": ((0, 6, 10), (0, 3, 8, 11), (0, 7, 10), (0, 5, 8, 14), (0, 3, 6, 10)),
    "break": ((0, 10), (0, 2, 10), (0, 2, 10, 11), (0, 7, 10), (0, 10, 13), (0, 6, 10)),
    "half": ((0, 10), (0, 7), (0, 8, 11), (0, 3, 10)),
    "sparse": ((0,), (0, 11), (0, 6)),
}
_BACKBEATS: dict[str, tuple[tuple[int, ...], ...]] = {
    "four": ((4, 12),),
    "broken": ((4, 12), (4, 12, 15)),
    "break": ((4, 12), (4, 12), (4, 12, 14), (4, 9, 12)),
    "half": ((8,), (8, 15)),
    "sparse": ((8,),),
}
_OPEN_HATS = ((2, 6, 10, 14), (6, 14), (2, 10), (2, 6, 11, 14), (14,), (2, 6, 10, 15), (6, 10), (3, 6, 14))
# Which steps a closed hat takes first; density says how many it takes.
_HAT_ORDERS = (
    (0, 4, 8, 12, 2, 6, 10, 14, 3, 7, 11, 15, 1, 5, 9, 13),
    (2, 6, 10, 14, 0, 4, 8, 12, 3, 11, 7, 15, 1, 9, 5, 13),
    (0, 3, 4, 7, 8, 11, 12, 15, 2, 6, 10, 14, 1, 5, 9, 13),
    (0, 3, 6, 9, 12, 14, 2, 5, 8, 11, 15, 1, 4, 7, 10, 13),
    (0, 2, 4, 6, 8, 10, 12, 14, 15, 7, 3, 11, 1, 9, 5, 13),
    (2, 3, 6, 7, 10, 11, 14, 15, 0, 8, 4, 12, 1, 5, 9, 13),
)
METAL_KINDS = ("anvil", "pipe", "plate")
_TOMS = ("high", "mid", "low")
THROW = 0.9
"""How much of a last hit goes into the room: the reverb throw that ends a section."""


@dataclass(frozen=True)
class DrumPattern:
    """What a stem's drums play before anything varies. Steps of a bar, 0..15."""

    kick: tuple[int, ...]
    ghost_kick: int
    backbeat: tuple[int, ...]
    ghost_snare: int
    ghost_bar: int
    """Which bar of four has the ghosts even where they are few."""
    open_hats: tuple[int, ...]
    hat_order: tuple[int, ...]
    """Steps in the order in which closed hats take them."""
    metal: tuple[tuple[str, int, int, int], ...]
    """Kind, cycle in steps, hits in it, turn."""

    def mark(self, parts: tuple[str, ...]) -> Hashable:
        """What may not be shared between two stems of a style: the pattern as its parts play it."""
        shown = {
            "kick": (self.kick, self.ghost_kick),
            "snare": (self.backbeat, self.ghost_snare),
            "hats": (self.open_hats, self.hat_order[:8]),
        }
        marks = [shown[part] for part in parts if part in shown]
        return tuple(marks) or self.metal


def draw_drums(character: Character, rng: np.random.Generator) -> DrumPattern:
    """Draw the pattern of one stem. Nothing but the kind of kick has a say in it, so that settings turn no pattern."""

    def one_of(choices):
        return choices[int(rng.integers(len(choices)))]

    cycles = rng.choice((12, 16, 16, 20, 24, 32), len(METAL_KINDS))
    return DrumPattern(
        kick=one_of(_KICKS[character.kick]),
        ghost_kick=one_of((7, 10, 14, 15)),
        backbeat=one_of(_BACKBEATS[character.kick]),
        ghost_snare=one_of((3, 7, 10, 15)),
        ghost_bar=int(rng.integers(4)),
        open_hats=one_of(_OPEN_HATS),
        hat_order=tuple(np.roll(one_of(_HAT_ORDERS), 4 * int(rng.integers(4))).tolist()),
        metal=tuple(
            (str(kind), int(cycle), int(hits), int(rng.integers(cycle)))
            for kind, cycle, hits in zip(rng.permutation(METAL_KINDS), cycles, 1 + rng.integers(0, 5, 3), strict=True)
        ),
    )


class Drums:
    """The drums of one stem: its pattern, varied bar by bar.

    Parameters
    ----------
    character
        The style's.
    meter
        The stem's grid.
    pattern
        From :func:`draw_drums`.
    rng
        The stem's stream for what varies.
    """

    def __init__(self, character: Character, meter: Meter, pattern: DrumPattern, rng: np.random.Generator) -> None:
        self.character = character
        self.meter = meter
        self.pattern = pattern
        self.rng = rng
        self.accents = np.clip(rng.normal(0.55, 0.18, STEPS), 0.15, 1.0)
        self.accents[::4] += 0.2
        self.closed_hats = frozenset(pattern.hat_order[: round(3 + 12 * character.density)])
        # A denser style strikes more often in the same cycles.
        self.metal = [
            (kind, euclid(max(1, round(hits * (0.4 + 1.2 * character.density))), cycle, turn), level)
            for (kind, cycle, hits, turn), level in zip(pattern.metal, rng.uniform(0.5, 1.0, 3), strict=True)
        ]

    def play(self, section: Section) -> dict[str, list[Event]]:
        """Return the events of the drum parts in one section."""
        players = {
            "kick": self._kick, "snare": self._snare, "toms": self._toms, "hats": self._hats, "metal": self._metal,
        }  # fmt: skip
        return {part: player(section) for part, player in players.items() if part in section.parts}

    def _hit(
        self, bar: int, step: float, velocity: float, kind: str = "", loose_s: float = 0.0, send: float = 0.0
    ) -> Event:
        """One hit, its velocity humanised; `loose_s` is how far it may stray from the grid, never before the start."""
        swing = self.character.swing / 3 * (int(step) % 2)
        stray = self.rng.normal(0, loose_s / 2) * self.meter.sample_rate if loose_s else 0.0
        stray = min(max(stray, -loose_s * self.meter.sample_rate), loose_s * self.meter.sample_rate)
        start = max(0, self.meter.frame(bar * STEPS + step + swing) + round(stray))
        velocity *= float(self.rng.normal(1.0, 0.06))
        return Event(start, min(1.0, max(0.05, velocity)), kind=kind, send=send)

    def _has_ghosts(self, bar: int, share: float) -> bool:
        return bar % 4 == self.pattern.ghost_bar or self.rng.random() < share * self.character.density

    def _kick(self, section: Section) -> list[Event]:
        events = []
        pattern = self.pattern
        hard = 0.75 + 0.25 * section.energy
        for bar in range(section.start_bar, section.end_bar):
            last = bar == section.end_bar - 1 and section.bars > 1
            steps = set(pattern.kick)
            if section.label == "intro" and self.character.kick == "four" and self.rng.random() < 0.3:
                steps = {0, 8}
            if section.energy > 0.6 and self._has_ghosts(bar, 0.5):
                steps.add(pattern.ghost_kick)
            if section.label in ("build", "rise") and last:
                steps = set() if self.rng.random() < 0.5 else {0, 4}
            elif last:
                steps = self._fill(steps)
            for step in sorted(steps):
                on_beat = step in pattern.kick
                events.append(self._hit(bar, step, hard if on_beat else 0.7 * hard))
        return events

    def _fill(self, steps: set[int]) -> set[int]:
        """The kick's part of a fill at a section's end: a gap, a stumble or a run."""
        kind = int(self.rng.integers(4))
        if kind == 0:
            return {step for step in steps if step < 12}
        if kind == 1:
            return {step for step in steps if step < 8} | {11, 14}
        if kind == 2 and self.character.density > 0.4:
            return steps | {12, 13, 14}
        return {step for step in steps if step < 14} | {10}

    def _snare(self, section: Section) -> list[Event]:
        if section.label in ("build", "rise"):
            return self._roll(section)
        events = []
        for bar in range(section.start_bar, section.end_bar):
            last = bar == section.end_bar - 1 and section.bars > 1
            steps = [(step, 0.9) for step in self.pattern.backbeat]
            if self._has_ghosts(bar, 0.6):
                steps.append((self.pattern.ghost_snare, 0.3))
            if last:
                start = int(self.rng.choice((8, 10, 12, 13)))
                steps = [(step, velocity) for step, velocity in steps if step < start]
                run = [step for step in range(start, STEPS) if self.rng.random() < 0.75] or [start]
                steps += [(step, 0.45 + 0.5 * (step - start) / (STEPS - start)) for step in run]
            elif (bar - section.start_bar) % 4 == 3:
                # A small fill closes each phrase of four bars.
                steps += [(step, 0.5) for step in (13, 14, 15) if self.rng.random() < 0.45]
            final = max(step for step, _ in steps) if last else -1
            events += [
                self._hit(bar, step, velocity, loose_s=0.003, send=THROW if step == final else 0.0)
                for step, velocity in steps
            ]
        return events

    def _roll(self, section: Section) -> list[Event]:
        """A roll over the whole section: quarters, eighths, sixteenths, ever louder, silence on the last beat."""
        events = []
        total = section.bars * STEPS
        step = 0.0
        while step < total - 4:
            done = step / total
            events.append(self._hit(section.start_bar, step, 0.25 + 0.65 * done, loose_s=0.002, send=0.3 * done))
            step += 4 if done < 0.4 else 2 if done < 0.7 else 1
        return events

    def _toms(self, section: Section) -> list[Event]:
        """Toms tumble down through each fourth bar's end; in builds they climb through the whole section."""
        events = []
        climbing = section.label in ("build", "rise")
        for bar in range(section.start_bar, section.end_bar):
            if climbing:
                done = (bar - section.start_bar) / section.bars
                kind = _TOMS[2 - int(3 * done)]
                steps = euclid(3 + 2 * int(3 * done), STEPS, 0)
                events += [self._hit(bar, step, 0.5 + 0.4 * done, kind) for step in range(STEPS) if steps[step]]
            elif (bar - section.start_bar) % 4 == 3 or bar == section.end_bar - 1:
                start = int(self.rng.choice((8, 10, 12)))
                for step in range(start, STEPS):
                    if self.rng.random() < 0.7:
                        kind = _TOMS[3 * (step - start) // (STEPS - start)]
                        events.append(self._hit(bar, step, 0.7, kind, loose_s=0.003))
        return events

    def _hats(self, section: Section) -> list[Event]:
        events = []
        opened = self.pattern.open_hats if section.energy > 0.55 else self.pattern.open_hats[-1:]
        for bar in range(section.start_bar, section.end_bar):
            # One step comes or goes in every bar: the pattern moves and stays itself.
            closed = self.closed_hats ^ {int(self.rng.integers(STEPS))}
            last = bar == section.end_bar - 1 and section.bars > 1
            stop = 14 if last and self.rng.random() < 0.5 else STEPS
            for step in range(stop):
                velocity = float(self.accents[step]) * (0.55 + 0.45 * section.energy)
                if step in opened:
                    events.append(self._hit(bar, step, 0.9 * velocity + 0.1, "open", loose_s=0.003))
                elif step in closed:
                    events.append(self._hit(bar, step, 0.8 * velocity, "closed", loose_s=0.003))
        return events

    def _metal(self, section: Section) -> list[Event]:
        events = []
        layers = self.metal if section.energy > 0.55 else self.metal[:1]
        for kind, pattern, level in layers:
            for count in range(section.bars * STEPS):
                bar, step = section.start_bar + count // STEPS, count % STEPS
                # Cycles of 12 or 20 steps run on through bars and sections: the accents wander.
                if not pattern[(section.start_bar * STEPS + count) % len(pattern)]:
                    continue
                if self.rng.random() > 0.55 + 0.4 * section.energy:
                    continue
                final = count >= section.bars * STEPS - 4
                velocity = level * (0.5 + 0.4 * section.energy)
                events.append(self._hit(bar, step, velocity, kind, loose_s=0.004, send=THROW * final))
        return events


def ring_out(events: dict[str, list[Event]], meter: Meter, form: str, rng: np.random.Generator) -> None:
    """Fill what is left after the last whole bar: what is held is held to the end, over one last hit."""
    start = meter.frame(meter.bars * STEPS)
    for part in ("drone", "pad", "texture"):
        for number, event in enumerate(events.get(part, ())):
            if event.kind != "steam" and abs(event.start + event.length - start) <= 1:
                events[part][number] = replace(event, length=meter.frames - event.start)
    if form != "drift":
        for part, kind in (("kick", ""), ("impact", "boom")):
            if part in events:
                events[part].append(Event(start, float(rng.uniform(0.85, 0.95)), kind=kind, send=THROW))


def euclid(hits: int, steps: int, turn: int) -> tuple[bool, ...]:
    """Spread `hits` over `steps` as evenly as whole steps allow, turned by `turn` (Toussaint, BRIDGES 2005)."""
    return tuple((step + turn) * hits % steps < hits for step in range(steps))
