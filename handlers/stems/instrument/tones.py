"""Tones: notes, chords, drones, and noise that moves. Each function returns float32, ``(2, samples)``."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from handlers.stems.instrument.lines import voicing
from handlers.stems.instrument.oscillator import NoiseBands, chord_table, filtered_wave, play, read_loop
from handlers.stems.instrument.score import Common, Event
from handlers.stems.styles import Character
from handlers.stems.theory import frequency

KNOT = 256
"""Samples between two centres of moving noise."""
TABLE = 1 << 18
"""Samples of a pad's loop: 5.9 s, no multiple of a bar, so that no two bars read the same part of it."""


def bass_note(event: Event, character: Character, opening: float, glide: float, sample_rate: int) -> np.ndarray:
    """One note of the sequenced bass; mono in both channels.

    Parameters
    ----------
    event
        Length, pitch, velocity.
    character
        The style's.
    opening
        0..1: how far the filter is open now.
    glide
        Semitones from which the note slides in.
    """
    release = round(0.012 * sample_rate)
    time = np.arange(event.length + release, dtype=np.float32) / np.float32(sample_rate)
    hz = frequency(event.pitch)
    phase = (hz * time).astype(np.float32)
    if glide:
        phase += hz * (2 ** (glide / 12) - 1) * 0.02 * (1 - np.exp(-time / np.float32(0.02)))
    decay = np.float32(0.05 + 0.12 * (1 - character.density))
    # In multiples of the fundamental: the filter starts open by velocity and closes on the note.
    floor = 1.5 + 5 * character.brightness * opening
    peak = (6 + 38 * character.brightness * opening) * event.velocity
    cutoff = np.float32(floor) + np.float32(peak) * np.exp(-time / decay)
    if character.bass == "fm":
        index = (0.6 + 3.5 * opening * event.velocity) * np.exp(-time / (1.6 * decay)) + 0.4 * character.drive
        turn = np.float32(2 * np.pi)
        wave = np.sin(turn * phase + index * np.sin(turn * 2 * phase + 0.7 * np.sin(turn * 3.01 * phase)))
    else:
        bank = filtered_wave(character.bass, 1.2 + 3.5 * character.drive, _harmonics(hz, 15_000, sample_rate))
        wave = play(bank, phase, cutoff) + 0.6 * play(bank, phase * np.float32(1.0045) + 0.31, cutoff)
    wave = 0.8 * wave + np.float32(0.7 * character.weight) * np.sin(np.float32(2 * np.pi) * phase)
    attack_s = 0.15 if character.form == "drift" else 0.002
    driven = np.tanh(np.float32(0.9 + 2.2 * character.drive) * wave)
    return np.broadcast_to(
        driven * _gate(event.length, release, attack_s, sample_rate) * np.float32(event.velocity), (2, len(time))
    )


def lead_note(
    event: Event, character: Character, opening: float, rng: np.random.Generator, sample_rate: int
) -> np.ndarray:
    """One note of the lead: two detuned oscillators left and right, a bell by frequency modulation, or a wail.

    A wail slides in from a semitone above and never stands still.
    """
    kind = character.lead
    release = round({"bell": 0.5, "wail": 0.25}.get(kind, 0.08) * sample_rate)
    time = np.arange(event.length + release, dtype=np.float32) / np.float32(sample_rate)
    hz = frequency(event.pitch)
    turn = np.float32(2 * np.pi)
    depth, onset_s = (0.014, 0.8) if kind == "wail" else (0.0025, 0.4)
    vibrato = np.sin(turn * np.float32(rng.uniform(4.6, 5.4)) * time) * np.minimum(1, time / np.float32(onset_s))
    bend = hz * np.float32(depth / 6) * vibrato
    if kind == "wail":
        bend += np.float32(hz * 0.0595 * 0.07) * (1 - np.exp(-time / np.float32(0.07)))
    channels = []
    for detune in (-0.0032, 0.0032):
        phase = np.float32(hz * (1 + detune)) * time + bend + np.float32(rng.random())
        if kind == "bell":
            index = np.float32((1.0 + 2.5 * opening) * event.velocity) * np.exp(-time / np.float32(0.25))
            wave = np.sin(turn * phase + index * np.sin(turn * np.float32(3.507) * phase))
            wave *= np.exp(-time / np.float32(0.6))
        else:
            # A wail is thin: little of its fundamental gets through, and its resonance sings.
            shape, resonance = ("pulse", 4.5) if kind == "wail" else (kind, 2.2)
            bank = filtered_wave(shape, resonance, _harmonics(hz, 14_000, sample_rate))
            decay = np.float32(0.6 if kind == "wail" else 0.18)
            cutoff = np.float32(2.0) + np.float32(14 * opening * character.brightness) * (
                np.float32(0.35) + np.exp(-time / decay)
            )
            wave = play(bank, phase, cutoff)
            wave = np.tanh(np.float32(0.8 + 2.5 * character.drive) * wave)
        channels.append(wave)
    gate = _gate(event.length, release, 0.05 if kind == "wail" else 0.004, sample_rate) * np.float32(event.velocity)
    return np.stack(channels) * gate


def arp_note(pitch: float, length: int, character: Character, opening: float, sample_rate: int) -> np.ndarray:
    """One plucked note of an arpeggio, at full velocity; mono in both channels."""
    release = round(0.06 * sample_rate)
    time = np.arange(length + release, dtype=np.float32) / np.float32(sample_rate)
    hz = frequency(pitch)
    bank = filtered_wave("pulse" if character.lead == "pulse" else "saw", 2.4, _harmonics(hz, 14_000, sample_rate))
    cutoff = np.float32(1.5) + np.float32(2 + 22 * character.brightness * opening) * np.exp(-time / np.float32(0.09))
    phase = np.float32(hz) * time
    wave = play(bank, phase, cutoff) + np.float32(0.7) * play(
        bank, phase * np.float32(1.0038) + np.float32(0.4), cutoff
    )
    wave = np.tanh(np.float32(0.8 + 1.5 * character.drive) * wave) * np.exp(-time / np.float32(0.22))
    return np.broadcast_to(wave * _gate(length, release, 0.002, sample_rate), (2, len(time)))


def stab(pitches: Sequence[float], length: int, character: Character, opening: float, sample_rate: int) -> np.ndarray:
    """A chord struck short through a closing filter, at full velocity; its notes lean left and right in turn."""
    release = round(0.12 * sample_rate)
    time = np.arange(length + release, dtype=np.float32) / np.float32(sample_rate)
    sound = np.zeros((2, len(time)), np.float32)
    envelope = np.exp(-time / np.float32(0.11))
    for number, midi in enumerate(pitches):
        hz = frequency(midi)
        bank = filtered_wave("saw", 1.6, _harmonics(hz, 12_000, sample_rate))
        cutoff = np.float32(1.4) + np.float32(2 + 16 * character.brightness * opening) * envelope
        wave = play(bank, np.float32(hz) * time + np.float32(0.21 * number), cutoff)
        near = np.float32(0.75)
        sound[number % 2] += near * wave
        sound[1 - number % 2] += (1 - near) * wave
    sound = np.tanh(np.float32(0.5 + 1.5 * character.drive) * sound)
    return sound * _gate(length, release, 0.002, sample_rate)


class Chords:
    """The pads and drones of one stem: each chord's loops are made once, dark and bright, left and right."""

    def __init__(self, character: Character, common: Common, rng: np.random.Generator, sample_rate: int) -> None:
        self.character = character
        self.common = common
        self.rng = rng
        self.sample_rate = sample_rate
        self._tables: dict[tuple[str, float], np.ndarray] = {}

    def loops(self, part: str, root: float) -> np.ndarray:
        """Return the loops of a chord: ``(2, 2, TABLE)``, dark and bright, left and right."""
        if (part, root) not in self._tables:
            self._tables[part, root] = self._draw(part, root)
        return self._tables[part, root]

    def _draw(self, part: str, root: float) -> np.ndarray:
        bright = self.character.brightness
        if part == "drone":
            slopes, cents, tops = (2.1, 1.1), 14.0, (900.0, 2500 + 3500 * bright)
        else:
            slopes, cents, tops = (1.9, 1.2), 22.0, (1600.0, 3500 + 9000 * bright)
        hertz = [frequency(midi) for midi in voicing(part, root, self.common)]
        colour = 0.45 * (0.75 - bright)
        loops = [
            chord_table(
                hertz, self.rng, size=TABLE, sample_rate=self.sample_rate, slope=slope + colour, cents=cents, top_hz=top
            )
            for slope, top in zip(slopes, tops, strict=True)
        ]
        # Two unlike loops alone have no middle and vanish from a mono speaker; a share of each goes across.
        return np.stack([loop + np.float32(0.5) * loop[::-1] for loop in loops]) / np.float32(1.25**0.5)


def held(event: Event, loops: np.ndarray, opening: np.ndarray, first: int, attack: int, release: int) -> np.ndarray:
    """Return a stretch of a pad or drone, read from its loops where it falls.

    Parameters
    ----------
    event
        Start, length, velocity.
    loops
        From :meth:`Chords.loops`.
    opening
        0..1, ``(samples,)``: blends from the dark to the bright loop over the stretch.
    first
        Where the stretch begins, in samples from the start of the event.
    attack, release
        Samples; the release follows the event's length.
    """
    samples = len(opening)
    time = np.arange(first, first + samples, dtype=np.float32)
    gate = np.minimum(1, time / np.float32(attack))
    if first + samples > event.length:
        gone = np.clip((time - event.length) / np.float32(release), 0, 1)
        gate *= np.cos(gone * np.float32(np.pi)) * np.float32(0.5) + np.float32(0.5)
    gate *= np.float32(event.velocity)
    dark, bright = (read_loop(loop, event.start + first, samples) for loop in loops)
    return dark * (gate * (1 - opening)) + bright * (gate * opening)


def riser(event: Event, bands: NoiseBands, character: Character, step_frames: float, sample_rate: int) -> np.ndarray:
    """Noise whose centre climbs five octaves, chopped ever faster, with a saw that climbs two octaves beneath it."""
    samples = event.length
    noise = bands.swept(220 * 2.0 ** (5.2 * _knots(samples) ** 1.3), KNOT, samples, 0.9, event.start)
    done = np.linspace(0, 1, samples, dtype=np.float32)
    # Chopped in eighths, then sixteenths, then thirty-seconds; the chop deepens as it climbs.
    steps = np.arange(samples, dtype=np.float32) / np.float32(step_frames)
    place = (steps / np.where(done < 0.5, np.float32(2), np.where(done < 0.8, np.float32(1), np.float32(0.5)))) % 1
    chop = 1 - np.float32(0.7) * done * np.minimum(1, place * np.float32(1.4)) ** 2
    phase = np.cumsum(np.exp2(2 * done * done), dtype=np.float64) * (frequency(event.pitch) / sample_rate)
    bank = filtered_wave("saw", 2.0, 24)
    tone = np.stack([play(bank, phase * detune, 2 + 14 * done) for detune in (0.996, 1.004)])
    level = done ** np.float32(1.6) * np.float32(event.velocity)
    level[-round(0.01 * sample_rate) :] *= np.linspace(1, 0, round(0.01 * sample_rate), dtype=np.float32)
    return (np.float32(0.5) * noise + np.float32(0.12 + 0.2 * character.drive) * tone) * (level * chop)


def sink(event: Event, bands: NoiseBands) -> np.ndarray:
    """Noise whose centre falls from air to floor while it fades: the opposite of a riser."""
    noise = bands.swept(7000 * 2.0 ** (-5 * _knots(event.length) ** 0.7), KNOT, event.length, 0.9, event.start)
    done = np.linspace(0, 1, event.length, dtype=np.float32)
    return noise * ((1 - done) ** np.float32(1.5) * np.float32(0.5 * event.velocity))


def steam(event: Event, bands: NoiseBands, sample_rate: int) -> np.ndarray:
    """A short burst of pressured air that closes quickly."""
    samples = event.length + round(0.15 * sample_rate)
    time = np.arange(samples, dtype=np.float32) / np.float32(sample_rate)
    envelope = np.minimum(1, time / np.float32(0.03)) * np.exp(-time / np.float32(0.12))
    envelope[-256:] *= np.linspace(1, 0, 256, dtype=np.float32)
    closing = 2500 + 5500 * np.exp(-_knots(samples) * samples / sample_rate / 0.1)
    return bands.swept(closing, KNOT, samples, 0.7, event.start) * envelope * np.float32(event.velocity)


def air(
    event: Event, bands: NoiseBands, centres_hz: np.ndarray, every: int, first: int, last: int, edge: int
) -> np.ndarray:
    """Return a stretch of steady machine air, from sample `first` to `last` of the event.

    Its centre runs through `centres_hz`, which lie `every` samples apart; it comes and goes within `edge` samples.
    """
    time = np.arange(first, last, dtype=np.float32)
    edge = max(1, min(edge, event.length // 2))
    gate = np.clip(np.minimum(time, event.length - 1 - time) / np.float32(edge), 0, 1) * np.float32(event.velocity)
    return bands.swept(centres_hz, every, last - first, 1.4, event.start + first) * gate


def _knots(samples: int) -> np.ndarray:
    """How far a sound is, 0..1, at every 256th sample and once after its end."""
    return np.minimum(1.0, np.arange(0, samples + KNOT, KNOT) / samples)


def _harmonics(hz: float, top_hz: float, sample_rate: int) -> int:
    """Return how many harmonics fit under `top_hz`, in few sizes so that tables are shared between pitches."""
    fit = int(min(top_hz, 0.45 * sample_rate) / hz)
    return max(4, min(360, 1 << (fit.bit_length() - 1) if fit > 1 else 1))


def _gate(length: int, release: int, attack_s: float, sample_rate: int) -> np.ndarray:
    gate = np.ones(length + release, np.float32)
    attack = min(length, max(2, round(attack_s * sample_rate)))
    gate[:attack] = np.linspace(0, 1, attack, dtype=np.float32)
    gate[length:] = np.cos(np.linspace(0, np.pi / 2, release, dtype=np.float32)) ** 2
    return gate
