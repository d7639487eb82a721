"""Patterns: from sections to every hit and note. Drums here, what has pitch in :mod:`handlers.stems.instrument.lines`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from handlers.stems.instrument.score import STEPS, Event, Meter, Section
from handlers.stems.styles import Character

_KICKS: dict[str, tuple[tuple[int, ...], ...]] = {
    "four": ((0, 4, 8, 12),),
    "broken": ((0, 6, 10), (0, 3, 8, 11), (0, 7, 10), (0, 5, 8, 14), (0, 3, 6, 10)),
    "half": ((0, 10), (0, 7), (0, 8, 11), (0, 3, 10)),
    "sparse": ((0,), (0, 11), (0, 6)),
}
_BACKBEATS: dict[str, tuple[tuple[int, ...], ...]] = {
    "four": ((4, 12),), "broken": ((4, 12), (4, 12, 15)), "half": ((8,),), "sparse": ((8,),),
}  # fmt: skip
METAL_KINDS = ("anvil", "pipe", "plate")
THROW = 0.9
"""How much of a last hit goes into the room: the reverb throw that ends a section."""


class Drums:
    """The drum patterns of one stem: drawn once, then varied bar by bar.

    Parameters
    ----------
    character
        The style's.
    meter
        The stem's grid.
    rng
        The stem's stream for patterns.
    """

    def __init__(self, character: Character, meter: Meter, rng: np.random.Generator) -> None:
        self.character = character
        self.meter = meter
        self.rng = rng
        kicks = _KICKS[character.kick]
        self.kick = kicks[int(rng.integers(len(kicks)))]
        self.ghost_kick = int(rng.choice((7, 10, 14, 15)))
        backbeats = _BACKBEATS[character.kick]
        self.backbeat = backbeats[int(rng.integers(len(backbeats)))]
        self.ghost_snare = int(rng.choice((3, 7, 10, 15)))
        self.open_hats = ((2, 6, 10, 14), (2, 6, 10, 14), (6, 14), (2, 10), (2, 6, 11, 14))[int(rng.integers(5))]
        self.accents = np.clip(rng.normal(0.55, 0.18, STEPS), 0.15, 1.0)
        self.accents[::4] += 0.2
        closed = rng.random(STEPS) < 0.35 + 0.6 * character.density
        self.closed_hats = tuple(int(step) for step in np.flatnonzero(closed))
        self.metal = [
            (kind, euclid(hits, cycle, int(rng.integers(cycle))), float(rng.uniform(0.5, 1.0)))
            for kind, cycle, hits in zip(
                rng.permutation(METAL_KINDS),
                rng.choice((12, 16, 16, 20, 24, 32), len(METAL_KINDS)),
                1 + rng.binomial(4, 0.25 + 0.5 * character.density, len(METAL_KINDS)),
                strict=True,
            )
        ]

    def play(self, section: Section) -> dict[str, list[Event]]:
        """Return the events of the drum parts in one section."""
        players = {"kick": self._kick, "snare": self._snare, "hats": self._hats, "metal": self._metal}
        return {part: player(section) for part, player in players.items() if part in section.parts}

    def _hit(
        self, bar: int, step: float, velocity: float, kind: str = "", loose_s: float = 0.0, send: float = 0.0
    ) -> Event:
        """One hit, its velocity humanised; `loose_s` is how far it may stray from the grid, never before the start."""
        rng, swing = self.rng, self.character.swing * (1 / 3) * (int(step) % 2 == 1)
        stray = (
            float(np.clip(rng.normal(0, loose_s / 2), -loose_s, loose_s)) * self.meter.sample_rate if loose_s else 0.0
        )
        start = max(0, self.meter.frame(bar * STEPS + step + swing) + round(stray))
        return Event(start, float(np.clip(velocity * rng.normal(1.0, 0.06), 0.05, 1.0)), kind=kind, send=send)

    def _kick(self, section: Section) -> list[Event]:
        events = []
        hard = 0.75 + 0.25 * section.energy
        for bar in range(section.start_bar, section.end_bar):
            last = bar == section.end_bar - 1 and section.bars > 1
            steps = set(self.kick)
            if section.label == "intro" and self.character.kick == "four" and self.rng.random() < 0.3:
                steps = {0, 8}
            if section.energy > 0.6 and self.rng.random() < 0.5 * self.character.density:
                steps.add(self.ghost_kick)
            if section.label in ("build", "rise") and last:
                steps = set() if self.rng.random() < 0.5 else {0, 4}
            elif last:
                steps = self._fill(steps)
            for step in sorted(steps):
                on_beat = step in self.kick
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
            steps = [(step, 0.9) for step in self.backbeat]
            if self.rng.random() < 0.6 * self.character.density:
                steps.append((self.ghost_snare, 0.3))
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
        return sorted(events, key=lambda event: event.start)

    def _roll(self, section: Section) -> list[Event]:
        """A roll over the whole section: quarters, eighths, sixteenths, louder all the way, silence on the last beat."""
        events = []
        total = section.bars * STEPS
        step = 0.0
        while step < total - 4:
            done = step / total
            events.append(self._hit(section.start_bar, step, 0.25 + 0.65 * done, loose_s=0.002, send=0.3 * done))
            step += 4 if done < 0.4 else 2 if done < 0.7 else 1
        return events

    def _hats(self, section: Section) -> list[Event]:
        events = []
        closed = set(self.closed_hats)
        for bar in range(section.start_bar, section.end_bar):
            # One step comes or goes every bar: the pattern drifts and stays itself.
            closed ^= {int(self.rng.integers(STEPS))}
            last = bar == section.end_bar - 1 and section.bars > 1
            stop = 14 if last and self.rng.random() < 0.5 else STEPS
            opened = self.open_hats if section.energy > 0.55 else self.open_hats[-1:]
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
                events.append(self._hit(bar, step, velocity, str(kind), loose_s=0.004, send=THROW * final))
        return sorted(events, key=lambda event: event.start)


def end_on(meter: Meter, events: list[Event], rng: np.random.Generator) -> list[Event]:
    """Return `events` with one last hit on the downbeat of the tail."""
    start = meter.frame(meter.bars * STEPS)
    return [*events, replace(Event(start, 0.9, send=THROW), velocity=float(rng.uniform(0.85, 0.95)))]


def euclid(hits: int, steps: int, turn: int) -> tuple[bool, ...]:
    """Spread `hits` over `steps` as evenly as whole steps allow, turned by `turn` (Toussaint, BRIDGES 2005)."""
    return tuple((step + turn) * hits % steps < hits for step in range(steps))
