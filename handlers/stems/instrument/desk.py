"""The desk: plays a score onto buses and mixes them.

Parts are played onto four buses (drums, bass, harmony, noise), each with its own drive; the bass, the harmony and the
noise duck under the kick; sends go to one echo and one room. The master is a gain curve and two high-passes, nothing
that mixes the buses with each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from handlers.audio.loudness import Meter
from handlers.stems.instrument import bus, oscillator, percussion, tones
from handlers.stems.instrument.score import STEPS, Event, Score
from handlers.stems.streams import stream
from handlers.stems.styles import Style
from handlers.stems.theory import LOWEST_BASS, frequency, pitch

SAMPLE_RATE = 44_100
LOUDNESS_LUFS = -15.0
CEILING_DBTP = -1.3
"""What the limiter works to; its gain curve moves the true peak by up to 0.2 dB."""

# Level of each part on its bus, and its share into the room; found by measuring bands of finished stems.
_LEVELS = {
    "kick": (0.86, 0.03), "snare": (0.56, 0.16), "hats": (0.68, 0.06), "metal": (0.42, 0.26),
    "bass": (0.42, 0.02), "lead": (0.17, 0.30), "pad": (0.11, 0.30), "drone": (0.12, 0.12),
    "texture": (0.09, 0.25), "riser": (0.32, 0.25), "impact": (0.75, 0.30), "rumble": (0.24, 0.0),
}  # fmt: skip
_BUSES = {
    "drums": ("kick", "snare", "hats", "metal", "impact"),
    "bass": ("bass", "rumble"),
    "harmony": ("lead", "pad", "drone"),
    "noise": ("texture", "riser"),
}
_DRIVES = {"drums": 0.55, "bass": 1.0, "harmony": 0.4, "noise": 0.4}
"""Share of the style's drive on each bus; the hits of the drums are driven one by one already."""
_PANS = {"anvil": -0.45, "pipe": 0.5, "plate": 0.1, "closed": 0.22, "open": -0.18}
_VARIATIONS = 5
"""One-shots of each sound: enough that neighbours differ, few enough to make them in a tenth of a second."""

Pulse = Callable[[float], None]


class Desk:
    """The mixing desk of one stem: its buses, its sends, and the players' sounds."""

    def __init__(self, score: Score, style: Style, seed: int, place: tuple[str | int, ...], pulse: Pulse) -> None:
        self.score = score
        self.character = style.character
        self.seed, self.place, self.pulse = seed, place, pulse
        self.samples = score.meter.frames
        self.buses = {name: np.zeros((2, self.samples), np.float32) for name in _BUSES}
        self.send = np.zeros((2, self.samples), np.float32)
        self.wobble = self._stream("wobble").uniform(0, 2 * np.pi, 3)

    def _stream(self, *purpose: str) -> np.random.Generator:
        return stream(self.seed, *self.place, *purpose)

    def mix(self) -> np.ndarray:
        """Play every part, run the buses, and return the master."""
        players = {
            "kick": self._play_hits, "snare": self._play_hits, "hats": self._play_hits, "metal": self._play_hits,
            "impact": self._play_hits, "bass": self._play_bass, "lead": self._play_lead, "pad": self._play_chords,
            "drone": self._play_chords, "texture": self._play_noise, "riser": self._play_noise,
        }  # fmt: skip
        self.bands = oscillator.noise_bands(self._stream("noise"), SAMPLE_RATE)
        playing = [part for part, events in self.score.events.items() if events]
        for number, part in enumerate(playing):
            self.reach = (0.6 * number / len(playing), 0.6 * (number + 1) / len(playing))
            players[part](part)
        master = self._sum()
        return self._finish(master)

    # --- playing ---

    def _events(self, part: str) -> Iterator[Event]:
        """Yield the events of a part, telling now and then how far it is."""
        events, (begin, end) = self.score.events[part], self.reach
        for number, event in enumerate(events):
            if number % 48 == 0:
                self.pulse(begin + (end - begin) * number / len(events))
            yield event

    def _opening(self, frame: float) -> float:
        """How open filters are at a sample, 0..1: the section's energy, its rise in builds, and slow movement."""
        section = self.score.section_at(int(frame))
        meter = self.score.meter
        begin, end = meter.frame(section.start_bar * STEPS), meter.frame(section.end_bar * STEPS)
        done = min(1.0, (frame - begin) / max(1, end - begin))
        rising = {"build": 0.5, "rise": 0.7, "swell": 0.4, "intro": 0.25, "breakdown": 0.3}.get(section.label, 0.0)
        falling = {"outro": 0.4, "fall": 0.5, "settle": 0.4, "aftershock": 0.5}.get(section.label, 0.0)
        seconds = frame / SAMPLE_RATE
        slow = sum(math.sin(seconds / period + turn) for period, turn in zip((2.9, 5.3, 9.7), self.wobble, strict=True))
        level = section.energy * (1 - 0.5 * rising) + rising * done - falling * done * section.energy + 0.07 * slow
        return min(1.0, max(0.05, level))

    def _low_end(self) -> np.ndarray:
        """Return the share of the low end that is there, ``(samples,)``: builds take it away, drops give it back."""
        knots, values = [0], [1.0]
        for section in self.score.sections:
            begin = self.score.meter.frame(section.start_bar * STEPS)
            end = self.score.meter.frame(section.end_bar * STEPS)
            first, last = {
                "build": (0.9, 0.15), "rise": (0.45, 0.1), "intro": (0.5, 0.9), "outro": (0.8, 0.35),
                "aftershock": (0.7, 0.3),
            }.get(section.label, (1.0, 1.0))  # fmt: skip
            knots += [begin, end - 1]
            values += [first, last]
        return bus.join(knots, values, self.samples)

    def _add(self, part: str, sound: np.ndarray, start: int, gain: float, send: float = 0.0, pan: float = 0.0) -> None:
        """Add a sound to its part's bus and to the room; cut off at the end of the stem."""
        bus_name = next(name for name, parts in _BUSES.items() if part in parts)
        level, room = _LEVELS[part]
        stop = min(self.samples, start + sound.shape[1])
        sound = sound[:, : stop - start] * np.float32(gain * level)
        if pan:
            # Equal power, and unity in the middle.
            angle = (1 + pan) * math.pi / 4
            sound = sound * np.array([[math.cos(angle)], [math.sin(angle)]], np.float32) * np.float32(math.sqrt(2))
        self.buses[bus_name][:, start:stop] += sound
        if share := room + send:
            self.send[:, start:stop] += sound * np.float32(share)

    def _one_shots(self, part: str, kind: str) -> list[np.ndarray]:
        rng, character, common = self._stream(part, kind), self.character, self.score.common
        tone_hz = frequency(pitch(common.key, common.scale, 0, LOWEST_BASS))
        make: Callable[[], np.ndarray] = {
            "kick": lambda: percussion.kick(character, min(tone_hz, 58.0), rng, SAMPLE_RATE),
            "snare": lambda: percussion.snare(character, rng, SAMPLE_RATE),
            "hats": lambda: percussion.hat(character, kind, rng, SAMPLE_RATE),
            "metal": lambda: percussion.metal(character, kind, rng, SAMPLE_RATE),
            "impact": lambda: percussion.boom(character, min(tone_hz, 50.0), rng, SAMPLE_RATE),
        }[part]
        return [make() for _ in range({"impact": 2, "metal": 4}.get(part, _VARIATIONS))]

    def _play_hits(self, part: str) -> None:
        rng = self._stream(part, "choice")
        shots = {
            kind: self._one_shots(part, kind) for kind in sorted({event.kind for event in self.score.events[part]})
        }
        # A clap is short where a gated snare is long; far away in a drift even an impact is soft.
        balance = 1.7 if (part, self.character.snare) == ("snare", "clap") else 1.0
        balance *= 0.5 if self.character.form == "drift" else 1.0
        rumbles = []
        if part == "kick" and self.character.weight > 0.5 and self.character.form != "drift":
            beat_s = 60 / self.score.common.tempo_bpm
            rumbles = [percussion.rumble(shot, beat_s, self._stream("rumble"), SAMPLE_RATE) for shot in shots[""]]
        for event in self._events(part):
            section = self.score.section_at(event.start)
            choice = int(rng.integers(len(shots[event.kind])))
            gain = event.velocity**1.3 * balance
            pan = _PANS.get(event.kind, 0.0) * self.character.width
            self._add(part, shots[event.kind][choice], event.start, gain, event.send, pan)
            # The rumble belongs to full sections; where it always played, nothing would drop.
            if rumbles and section.energy > 0.6:
                self._add("rumble", rumbles[choice], event.start, 2 * (self.character.weight - 0.4) * gain)

    def _play_bass(self, part: str) -> None:
        rng = self._stream("bass", "glide")
        for event in self._events(part):
            glide = float(rng.choice((0.0, 0.0, 0.0, -2.0, 12.0))) + float(rng.normal(0, 0.03))
            opening = self._opening(event.start) * float(rng.uniform(0.85, 1.15))
            sound = tones.bass_note(event, self.character, opening, glide, SAMPLE_RATE)
            self._add(part, sound, event.start, 0.4 if self.character.form == "drift" else 1.0, event.send)

    def _play_lead(self, part: str) -> None:
        rng = self._stream("lead")
        lead = np.zeros((2, self.samples), np.float32)
        for event in self._events(part):
            sound = tones.lead_note(event, self.character, self._opening(event.start), rng, SAMPLE_RATE)
            stop = min(self.samples, event.start + sound.shape[1])
            lead[:, event.start : stop] += sound[:, : stop - event.start]
        delay = self.score.meter.frame(3)
        self.pulse(self.reach[1])
        lead += np.float32(0.35) * bus.echo(lead, delay, 0.55)
        self.pulse(self.reach[1])
        self._add(part, lead, 0, 1.0)

    def _play_chords(self, part: str) -> None:
        common = self.score.common
        chords = tones.Chords(self.character, common.key, common.scale, self._stream(part), SAMPLE_RATE)
        still = self.character.form == "drift"
        attack_s, release_s = (1.6, 3.0) if still else (0.02, 0.08) if part == "drone" else (0.25, 1.2)
        release = round(release_s * SAMPLE_RATE)
        for event in self._events(part):
            samples = min(event.length + release, max(self.samples - event.start, event.length + 2))
            knots = np.arange(0, samples + 2048, 2048)
            curve = [self._opening(event.start + int(knot)) for knot in knots]
            opening = bus.join(knots, curve, samples)
            self._add(part, chords.held(event, part, opening, attack_s), event.start, 1.0, event.send)

    def _play_noise(self, part: str) -> None:
        step_frames = self.score.meter.step_frames
        for event in self._events(part):
            if event.kind == "air":
                knots = np.arange(0, event.length + 8192, 8192)
                curve = [2.5 * self._opening(event.start + int(knot)) - 1.5 for knot in knots]
                still = self.character.form == "drift"
                drift = bus.join(knots, curve, event.length)
                sound = tones.air(event, self.bands, drift, round((2.5 if still else 0.2) * SAMPLE_RATE))
                sound *= np.float32(0.4 if still else 1.0)
            elif event.kind == "steam":
                sound = 2.5 * tones.steam(event, self.bands, SAMPLE_RATE)
            elif event.kind == "sink":
                sound = tones.sink(event, self.bands)
            else:
                sound = tones.riser(event, self.bands, self.character, step_frames, SAMPLE_RATE)
            self._add(part, sound.astype(np.float32, copy=False), event.start, 1.0, event.send)

    # --- buses and master ---

    def _sum(self) -> np.ndarray:
        character = self.character
        kicks = self.score.events.get("kick", ())
        duck = bus.sidechain(
            [event.start for event in kicks],
            [event.velocity for event in kicks],
            self.samples,
            0.9 * character.pump,
            self.score.meter.frame(3.6),
        )
        response = bus.room_response(character.room_s, character.brightness, self._stream("room"), SAMPLE_RATE)
        wet = bus.reverberate(self.send, response, lambda done: self.pulse(0.6 + 0.2 * done))
        wet *= np.float32(1.1 * character.room)
        # The room breathes with the kick too, half as deep.
        wet *= 0.5 + 0.5 * duck
        master = wet
        low_end = self._low_end()
        for number, (name, audio) in enumerate(self.buses.items()):
            self.pulse(0.8 + 0.02 * number)
            if name == "drums":
                audio = bus.thin(audio, low_end, SAMPLE_RATE)
            elif name == "bass":
                audio *= duck * low_end
            else:
                audio *= 0.35 + 0.65 * duck
            master += bus.drive(audio, _DRIVES[name] * character.drive)
        self.buses.clear()
        return master

    def _finish(self, master: np.ndarray) -> np.ndarray:
        self.pulse(0.88)
        master = bus.clean(master, SAMPLE_RATE)
        self.pulse(0.9)
        meter = Meter(SAMPLE_RATE, 2)
        for start in range(0, self.samples, 1 << 20):
            meter.feed(master[:, start : start + (1 << 20)])
            self.pulse(0.9 + 0.05 * start / self.samples)
        loudness = meter.result().integrated_lufs
        if math.isfinite(loudness):
            master *= np.float32(10 ** ((LOUDNESS_LUFS - loudness) / 20))
        else:
            # Under 0.4 s of signal there is no loudness to aim at; the limiter alone sets the level.
            master *= np.float32(0.5 / (np.abs(master).max() + 1e-9))
        self.pulse(0.95)
        ceiling = 10 ** (CEILING_DBTP / 20)
        master *= bus.limiter_gain(
            master, ceiling, hold_s=0.12, sample_rate=SAMPLE_RATE, pulse=lambda done: self.pulse(0.95 + 0.05 * done)
        )
        grid = self.score.meter
        # A tail rings out under a long fade; a stem of whole bars only needs its last sixteenth.
        tail = self.samples - grid.frame(grid.bars * STEPS)
        fade = min(self.samples, max(tail, grid.frame(1)) if grid.tail_steps >= 2 else grid.frame(1) + max(0, tail))
        master[:, self.samples - fade :] *= np.cos(np.linspace(0, np.pi / 2, fade, dtype=np.float32)) ** 2
        start = 32
        master[:, :start] *= np.linspace(0, 1, start, dtype=np.float32)
        return master
