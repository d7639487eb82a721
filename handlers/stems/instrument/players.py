"""Players: from a score's events to sounds, each part in the order of its events and with its own random stream."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache

import numpy as np

from handlers.stems.instrument import bus, oscillator, percussion, tones
from handlers.stems.instrument.lines import voicing
from handlers.stems.instrument.score import STEPS, Event, Score
from handlers.stems.instrument.variety import Place
from handlers.stems.styles import Character
from handlers.stems.theory import LOWEST_BASS, frequency, pitch

_PANS = {"anvil": -0.45, "pipe": 0.5, "plate": 0.1, "closed": 0.22, "open": -0.18, "high": -0.3, "low": 0.3}
KNOT = 2048
"""Samples between two looks at how open the filters are."""
_VARIATIONS = {"impact": 2, "metal": 3}
"""One-shots of each sound, 4 where nothing else is said: enough that neighbours differ, few enough to make quickly."""
_LEVELS = 8
"""Steps of a filter's opening in which plucked notes are made, once each."""


@dataclass(frozen=True)
class Voice:
    """A sound that has begun: `read` returns any stretch of it, ``(2, samples)``, counted from its start."""

    part: str
    start: int
    samples: int
    read: Callable[[int, int], np.ndarray]
    left: float = 1.0
    right: float = 1.0
    send: float = 0.0
    """Extra share into the room."""


class Players:
    """Everybody who plays one stem."""

    def __init__(self, score: Score, character: Character, place: Place, sample_rate: int) -> None:
        self.score, self.character, self.place, self.sample_rate = score, character, place, sample_rate
        self.wobble = place.stream("wobble").uniform(0, 2 * np.pi, 3)
        self.bands = oscillator.noise_bands(place.stream("noise"), sample_rate)
        self.still = character.form == "drift"
        self._starts = [score.meter.frame(section.start_bar * STEPS) for section in score.sections]

    def voices(self, part: str) -> Iterator[Voice]:
        """Yield the sounds of a part, in the order of their starts."""
        player = {
            "bass": self._bass, "lead": self._lead, "arp": self._arp, "stab": self._stab, "pad": self._chords,
            "drone": self._chords, "texture": self._noise, "riser": self._noise,
        }.get(part, self._hits)  # fmt: skip
        return player(part)

    def opening(self, frame: float) -> float:
        """How open filters are at a sample, 0..1: the section's energy, its rise in builds, and slow movement."""
        number = max(0, bisect_right(self._starts, frame) - 1)
        section, begin = self.score.sections[number], self._starts[number]
        end = self.score.meter.frame(section.end_bar * STEPS)
        done = min(1.0, (frame - begin) / max(1, end - begin))
        rising = {"build": 0.5, "rise": 0.7, "swell": 0.4, "intro": 0.25, "breakdown": 0.3, "hold": 0.2}.get(
            section.label, 0.0
        )
        falling = {"outro": 0.4, "fall": 0.5, "settle": 0.4, "aftershock": 0.5}.get(section.label, 0.0)
        seconds = frame / self.sample_rate
        slow = sum(math.sin(seconds / period + turn) for period, turn in zip((2.9, 5.3, 9.7), self.wobble, strict=True))
        level = section.energy * (1 - 0.5 * rising) + rising * done - falling * done * section.energy + 0.07 * slow
        return min(1.0, max(0.05, level))

    def _openings(self, event: Event, first: int, last: int) -> list[float]:
        """The opening over a stretch of an event, read at every `KNOT` samples of it and once after its end."""
        return [self.opening(event.start + frame) for frame in range(first, last + KNOT, KNOT)]

    def _whole(self, part: str, event: Event, sound: np.ndarray, gain: float = 1.0, pan: float = 0.0) -> Voice:
        # Equal power, and unity in the middle.
        angle = (1 + pan) * math.pi / 4
        sides = [gain * math.sqrt(2) * side(angle) for side in (math.cos, math.sin)]
        return Voice(part, event.start, sound.shape[1], lambda first, last: sound[:, first:last], *sides, event.send)

    def _one_shot(self, part: str, kind: str, variation: int) -> np.ndarray:
        """Make one of a sound's variations; each has its own stream, so that those not heard need not be made."""
        rng, character, common = self.place.stream(part, kind, str(variation)), self.character, self.score.common
        tone_hz = frequency(pitch(common.key, common.scale, 0, LOWEST_BASS))
        if part == "kick":
            return percussion.kick(character, min(tone_hz, 58.0), rng, self.sample_rate)
        if part == "impact":
            return percussion.boom(character, min(tone_hz, 50.0), rng, self.sample_rate)
        if part == "snare":
            return percussion.snare(character, rng, self.sample_rate)
        make = {"toms": percussion.tom, "hats": percussion.hat, "metal": percussion.metal}[part]
        return make(character, kind, rng, self.sample_rate)

    def _hits(self, part: str) -> Iterator[Voice]:
        rng = self.place.stream(part, "choice")
        shot = cache(lambda kind, variation: self._one_shot(part, kind, variation))
        rumble = cache(lambda variation: self._rumble(shot("", variation), variation))
        # A clap is short where a gated snare is long; far away in a drift even an impact is soft.
        balance = 1.7 if (part, self.character.snare) == ("snare", "clap") else 1.0
        balance *= 0.5 if self.still else 1.0
        rumbling = part == "kick" and self.character.weight > 0.5 and not self.still
        for event in self.score.events[part]:
            variation = int(rng.integers(_VARIATIONS.get(part, 4)))
            gain = event.velocity**1.3 * balance
            pan = _PANS.get(event.kind, 0.0) * self.character.width
            yield self._whole(part, event, shot(event.kind, variation), gain, pan)
            # The rumble belongs to full sections; where it always played, nothing would drop.
            if rumbling and self.score.section_at(event.start).energy > 0.6:
                yield self._whole("rumble", event, rumble(variation), 2 * (self.character.weight - 0.4) * gain)

    def _rumble(self, kick: np.ndarray, variation: int) -> np.ndarray:
        beat_s = 60 / self.score.common.tempo_bpm
        return percussion.rumble(kick, beat_s, self.place.stream("rumble", str(variation)), self.sample_rate)

    def _bass(self, part: str) -> Iterator[Voice]:
        rng = self.place.stream("bass", "glide")
        for event in self.score.events[part]:
            glide = float(rng.choice((0.0, 0.0, 0.0, -2.0, 12.0))) + float(rng.normal(0, 0.03))
            opening = self.opening(event.start) * float(rng.uniform(0.85, 1.15))
            sound = tones.bass_note(event, self.character, opening, glide, self.sample_rate)
            yield self._whole(part, event, sound, 0.4 if self.still else 1.0)

    def _lead(self, part: str) -> Iterator[Voice]:
        rng = self.place.stream("lead")
        for event in self.score.events[part]:
            sound = tones.lead_note(event, self.character, self.opening(event.start), rng, self.sample_rate)
            yield self._whole(part, event, sound)

    def _arp(self, part: str) -> Iterator[Voice]:
        @cache
        def note(midi: float, length: int, level: int) -> np.ndarray:
            return tones.arp_note(midi, length, self.character, level / _LEVELS, self.sample_rate)

        for number, event in enumerate(self.score.events[part]):
            # Lengths differ by a sample, from where steps fall between samples; one note serves all.
            sound = note(event.pitch, event.length // 16 * 16, round(self.opening(event.start) * _LEVELS))
            yield self._whole(part, event, sound, event.velocity, 0.5 * self.character.width * (-1) ** number)

    def _stab(self, part: str) -> Iterator[Voice]:
        @cache
        def chord(midi: float, length: int, level: int) -> np.ndarray:
            pitches = voicing(part, midi, self.score.common)
            return tones.stab(pitches, length, self.character, level / _LEVELS, self.sample_rate)

        for event in self.score.events[part]:
            sound = chord(event.pitch, event.length // 16 * 16, round(self.opening(event.start) * _LEVELS))
            yield self._whole(part, event, sound, event.velocity)

    def _chords(self, part: str) -> Iterator[Voice]:
        chords = tones.Chords(self.character, self.score.common, self.place.stream(part), self.sample_rate)
        attack_s, release_s = (1.6, 3.0) if self.still else (0.02, 0.08) if part == "drone" else (0.25, 1.2)
        attack, release = round(attack_s * self.sample_rate), round(release_s * self.sample_rate)
        for event in self.score.events[part]:
            loops = chords.loops(part, event.pitch)

            def read(first: int, last: int, event: Event = event, loops: np.ndarray = loops) -> np.ndarray:
                opening = bus.ramp(self._openings(event, first, last), KNOT, 0, last - first)
                return tones.held(event, loops, opening, first, attack, release)

            yield Voice(part, event.start, event.length + release, read, send=event.send)

    def _noise(self, part: str) -> Iterator[Voice]:
        edge, gain = round((2.5 if self.still else 0.2) * self.sample_rate), 0.4 if self.still else 1.0
        for event in self.score.events[part]:
            if event.kind == "air":

                def read(first: int, last: int, event: Event = event) -> np.ndarray:
                    octaves = 2.5 * np.array(self._openings(event, first, last)) + 2 * self.character.brightness
                    return tones.air(event, self.bands, 220 * 2.0**octaves, KNOT, first, last, edge)

                yield Voice(part, event.start, event.length, read, gain, gain, event.send)
            elif event.kind == "steam":
                yield self._whole(part, event, tones.steam(event, self.bands, self.sample_rate), 2.5)
            elif event.kind == "sink":
                yield self._whole(part, event, tones.sink(event, self.bands))
            else:
                step = self.score.meter.step_frames
                yield self._whole(part, event, tones.riser(event, self.bands, self.character, step, self.sample_rate))
