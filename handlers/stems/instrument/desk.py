"""The desk: plays a score onto buses and mixes them, a block at a time.

Parts are played onto four buses (drums, bass, harmony, noise), each with its own drive; the bass, the harmony and the
noise duck under the kick; sends go to echoes and one room. The master is a gain curve and two high-passes, nothing
that mixes the buses with each other: what each bus adds to the mix is a layer, and the layers sum to it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np

from handlers.audio.loudness import integrated
from handlers.stems.instrument import bus
from handlers.stems.instrument.limiter import limit
from handlers.stems.instrument.players import Players, Voice
from handlers.stems.instrument.score import STEPS, Score
from handlers.stems.instrument.variety import Place
from handlers.stems.styles import Character

SAMPLE_RATE = 44_100
LOUDNESS_LUFS = -15.0
CEILING_DBTP = -1.3
"""What the limiter works to; its gain curve moves the true peak by up to 0.2 dB."""
BLOCK = 1 << 15
"""Samples played at a time, 0.74 s: what a block needs stays in the processor's cache."""

# Level of each part on its bus, and its share into the room; found by measuring bands of finished stems.
_LEVELS = {
    "kick": (0.86, 0.03), "snare": (0.56, 0.16), "toms": (0.5, 0.2), "hats": (0.68, 0.06), "metal": (0.42, 0.26),
    "bass": (0.42, 0.02), "lead": (0.20, 0.30), "arp": (0.20, 0.25), "stab": (0.21, 0.4), "pad": (0.14, 0.30),
    "drone": (0.12, 0.12), "texture": (0.09, 0.25), "riser": (0.32, 0.25), "impact": (0.75, 0.30),
    "rumble": (0.24, 0.0),
}  # fmt: skip
LAYERS = {
    "drums": ("kick", "snare", "toms", "hats", "metal", "impact"),
    "bass": ("bass", "rumble"),
    "harmony": ("lead", "arp", "stab", "pad", "drone"),
    "noise": ("texture", "riser"),
}
_DRIVES = {"drums": 0.55, "bass": 1.0, "harmony": 0.4, "noise": 0.4}
"""Share of the style's drive on each bus; the hits of the drums are driven one by one already."""
_ECHOES = {"lead": (3, 0.35), "arp": (3, 0.25), "stab": (3, 0.6)}
"""Steps of delay, and how loud."""
_LOW_END = {
    "build": (0.9, 0.15), "rise": (0.45, 0.1), "intro": (0.5, 0.9), "outro": (0.8, 0.35), "aftershock": (0.7, 0.3),
}  # fmt: skip
"""The share of the low end that is there where a section begins and where it ends: builds take it away."""

Pulse = Callable[[float], None]


@dataclass
class Mixed:
    """A mix, float32 ``(2, samples)``, and its layers where they were asked for."""

    audio: np.ndarray
    layers: dict[str, np.ndarray] = field(default_factory=dict)


def mix(
    score: Score, character: Character, place: Place, pulse: Pulse, *, layers: bool = False, ring: int = 0
) -> Mixed:
    """Play a score.

    Parameters
    ----------
    score, character, place
        What is played, how it sounds, and where its random streams begin.
    pulse
        Called several times a second with the share done; may raise to stop.
    layers
        Keep what each bus adds to the mix; the mix itself is the same without.
    ring
        Samples played on after the end of the score: echoes and rooms, in place of a fade.
    """
    samples = score.meter.frames + ring
    names = list(LAYERS) if layers else []
    mixed = Mixed(np.empty((2, samples), np.float32), {name: np.empty((2, samples), np.float32) for name in names})
    desk = _Desk(score, character, place, names)

    def play() -> Iterator[np.ndarray]:
        for start in range(0, samples, BLOCK):
            pulse(0.88 * start / samples)
            stop = min(samples, start + BLOCK)
            for kept, made in zip([mixed.audio, *mixed.layers.values()], desk.play(start), strict=True):
                kept[:, start:stop] = made[:, : stop - start]
            yield mixed.audio[:, start:stop]

    _finish(mixed, score, integrated(play(), SAMPLE_RATE, 2), pulse, ring)
    return mixed


class _Desk:
    """What is between the players and the master, from one block to the next."""

    def __init__(self, score: Score, character: Character, place: Place, layers: list[str]) -> None:
        self.score, self.character, self.layers = score, character, layers
        players = Players(score, character, place, SAMPLE_RATE)
        self.parts = [part for part, events in score.events.items() if events]
        self.coming = {part: _Queue(players.voices(part)) for part in self.parts}
        self.playing: dict[str, list[Voice]] = {part: [] for part in _LEVELS}
        self.kicks = [(event.start, event.velocity) for event in score.events.get("kick", ())]
        self.low_end = self._low_end()
        self.echoes = {
            part: bus.Echo(score.meter.frame(_ECHOES[part][0]), 0.55) for part in self.parts if part in _ECHOES
        }
        self.thin = bus.Thin(SAMPLE_RATE)
        response = bus.room_response(character.room_s, character.brightness, place.stream("room"), SAMPLE_RATE)
        self.rooms = [bus.Room(response, BLOCK) for _ in range(1 + len(layers))]
        self.masters = [bus.Clean(SAMPLE_RATE) for _ in range(1 + len(layers))]

    def _low_end(self) -> tuple[list[int], list[float]]:
        knots, values = [0], [1.0]
        for section in self.score.sections:
            begin = self.score.meter.frame(section.start_bar * STEPS)
            end = self.score.meter.frame(section.end_bar * STEPS)
            knots += [begin, end - 1]
            values += _LOW_END.get(section.label, (1.0, 1.0))
        return knots, values

    def play(self, start: int) -> Iterator[np.ndarray]:
        """Yield the block from sample `start` on, not yet limited: the mix, and then the layers."""
        stop = start + BLOCK
        buses, sends = self._gather(start, stop)
        duck = bus.sidechain(self.kicks, start, stop, 0.9 * self.character.pump, self.score.meter.frame(3.6))
        low_end = bus.join(*self.low_end, start, stop)
        for name, audio in buses.items():
            if name == "drums":
                audio[:] = self.thin.run(audio, low_end)
            elif name == "bass":
                audio *= duck * low_end
            else:
                audio *= np.float32(0.35) + np.float32(0.65) * duck
            bus.drive(audio, _DRIVES[name] * self.character.drive)
        # The room breathes with the kick too, half as deep.
        breath = np.float32(1.1 * self.character.room) * (np.float32(0.5) + np.float32(0.5) * duck)
        dry = [sum(buses.values()), *(buses[name] for name in self.layers)]
        sent = [sum(sends.values()), *(sends[name] for name in self.layers)]
        for audio, send, room, master in zip(dry, sent, self.rooms, self.masters, strict=True):
            yield master.run(audio + breath * room.run(send))

    def _gather(self, start: int, stop: int) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
        """Play every part from `start` to `stop`: the four buses, and what each sends into the room."""
        buses = {name: np.zeros((2, BLOCK), np.float32) for name in LAYERS}
        sends = {name: np.zeros((2, BLOCK), np.float32) for name in LAYERS}
        for part in self.parts:
            for voice in self.coming[part].until(stop):
                self.playing[voice.part].append(voice)
        for name, parts in LAYERS.items():
            for part in parts:
                if not (self.playing[part] or part in self.echoes):
                    continue
                line = self._line(part, start, stop, sends[name])
                if part in self.echoes:
                    line += np.float32(_ECHOES[part][1]) * self.echoes[part].run(line)
                level, room = _LEVELS[part]
                line *= np.float32(level)
                buses[name] += line
                line *= np.float32(room)
                sends[name] += line
        return buses, sends

    def _line(self, part: str, start: int, stop: int, send: np.ndarray) -> np.ndarray:
        """Sum the voices of a part over a block, and throw into the room what they throw."""
        line = np.zeros((2, BLOCK), np.float32)
        level = _LEVELS[part][0]
        for voice in self.playing[part]:
            first, last = max(0, start - voice.start), min(voice.samples, stop - voice.start)
            sound = voice.read(first, last)
            at = slice(voice.start + first - start, voice.start + last - start)
            for side, gain in enumerate((voice.left, voice.right)):
                heard = sound[side] * np.float32(gain)
                line[side, at] += heard
                if voice.send:
                    send[side, at] += heard * np.float32(level * voice.send)
        self.playing[part] = [voice for voice in self.playing[part] if voice.start + voice.samples > stop]
        return line


class _Queue:
    """A part's voices, taken as their time comes."""

    def __init__(self, voices: Iterator[Voice]) -> None:
        self._voices = voices
        self._next: Voice | None = next(voices, None)

    def until(self, stop: int) -> Iterator[Voice]:
        """Yield the voices that start before sample `stop` and were not yielded before."""
        while self._next and self._next.start < stop:
            yield self._next
            self._next = next(self._voices, None)


def _finish(mixed: Mixed, score: Score, loudness: float, pulse: Pulse, ring: int) -> None:
    """Bring the mix to its level, limit it and fade it out, in place, and every layer with it."""
    audio = mixed.audio
    if math.isfinite(loudness):
        gain = 10 ** ((LOUDNESS_LUFS - loudness) / 20)
    else:
        # Under 0.4 s of signal there is no loudness to aim at; the limiter alone sets the level.
        gain = 0.5 / (float(np.abs(audio).max()) + 1e-9)
    ceiling = 10 ** (CEILING_DBTP / 20) / gain
    curve = limit(audio, ceiling, hold_s=0.12, sample_rate=SAMPLE_RATE, pulse=lambda done: pulse(0.88 + 0.08 * done))
    grid, samples = score.meter, audio.shape[1]
    # A tail rings out under a long fade; a stem of whole bars only needs its last sixteenth.
    tail = grid.frames - grid.frame(grid.bars * STEPS)
    fade = ring // 2 or min(
        samples, max(tail // 2, grid.frame(1)) if grid.tail_steps >= 2 else grid.frame(1) + max(0, tail)
    )
    for start in range(0, samples, BLOCK):
        stop = min(samples, start + BLOCK)
        level = curve.between(start, stop) * np.float32(gain)
        time = np.arange(start, stop, dtype=np.float64)
        level *= np.minimum(1, time / 31).astype(np.float32)
        if stop > samples - fade:
            done = np.clip((time - (samples - fade)) / max(1, fade - 1), 0, 1)
            level *= np.cos(done * (np.pi / 2)).astype(np.float32) ** 2
        for made in (audio, *mixed.layers.values()):
            made[:, start:stop] *= level
        pulse(0.96 + 0.04 * stop / samples)
