"""Tones: bass and lead notes, chords, drones, and noise that moves. Each function returns float32, ``(2, samples)``."""

from __future__ import annotations

import numpy as np

from handlers.stems.instrument.oscillator import NoiseBands, chord_table, filtered_wave, play, read_loop
from handlers.stems.instrument.score import Event
from handlers.stems.styles import Character
from handlers.stems.theory import SCALES, Key, frequency

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
    """One note of the lead: two detuned oscillators left and right, or a bell by frequency modulation."""
    release = round((0.5 if character.lead == "bell" else 0.08) * sample_rate)
    time = np.arange(event.length + release, dtype=np.float32) / np.float32(sample_rate)
    hz = frequency(event.pitch)
    turn = np.float32(2 * np.pi)
    vibrato = np.float32(0.0025) * np.sin(turn * np.float32(rng.uniform(4.6, 5.4)) * time) * np.minimum(1, time / 0.4)
    channels = []
    for detune in (-0.0032, 0.0032):
        phase = (hz * (1 + detune) * time + hz * vibrato / 6).astype(np.float32) + np.float32(rng.random())
        if character.lead == "bell":
            index = (1.0 + 2.5 * opening) * event.velocity * np.exp(-time / np.float32(0.25))
            wave = np.sin(turn * phase + index.astype(np.float32) * np.sin(turn * np.float32(3.507) * phase))
            wave = wave * np.exp(-time / np.float32(0.6))
        else:
            bank = filtered_wave(character.lead, 2.2, _harmonics(hz, 14_000, sample_rate))
            cutoff = 2.0 + 14 * opening * character.brightness * (0.35 + np.exp(-time / np.float32(0.18)))
            wave = play(bank, phase, cutoff.astype(np.float32))
            wave = np.tanh(np.float32(0.8 + 2.5 * character.drive) * wave)
        channels.append(wave)
    gate = _gate(event.length, release, 0.004, sample_rate) * np.float32(event.velocity)
    return np.stack(channels) * gate


class Chords:
    """The pads and drones of one stem: each chord's loops are made once, dark and bright, left and right."""

    def __init__(self, character: Character, key: Key, scale: str, rng: np.random.Generator, sample_rate: int) -> None:
        self.character = character
        self.key = key
        self.scale = scale
        self.rng = rng
        self.sample_rate = sample_rate
        self._tables: dict[tuple[str, float], np.ndarray] = {}

    def held(self, event: Event, part: str, opening: np.ndarray, attack_s: float) -> np.ndarray:
        """Return a pad or drone for the event, read from its loop where the event starts.

        `opening`, 0..1, shape ``(samples,)``, blends from the dark to the bright loop; `samples` includes the release.
        """
        tables = self._tables.setdefault((part, event.pitch), np.empty(0))
        if not tables.size:
            tables = self._tables[(part, event.pitch)] = self._draw(part, event.pitch)
        samples = len(opening)
        dark, bright = (read_loop(table, event.start, samples) for table in tables)
        attack = attack_s * self.sample_rate
        gate = np.minimum(1, np.arange(samples, dtype=np.float32) / np.float32(attack))
        release = samples - event.length
        gate[event.length :] *= (np.cos(np.linspace(0, np.pi, release)) * 0.5 + 0.5).astype(np.float32)
        return (dark + opening * (bright - dark)) * gate * np.float32(event.velocity)

    def _draw(self, part: str, root: float) -> np.ndarray:
        if part == "drone":
            pitches = [root, root + 12, root + 19, root + 24]
            slopes, cents, tops = (2.1, 1.1), 14.0, (900.0, 4200.0)
        else:
            steps = SCALES[self.scale]
            degree = min(range(7), key=lambda number: abs((self.key.root + steps[number] - root) % 12))
            above = [(steps[(degree + move) % 7] + 12 * ((degree + move) // 7)) - steps[degree] for move in (2, 4, 8)]
            pitches = [root, *(root + interval for interval in above)]
            slopes, cents, tops = (1.9, 1.2), 22.0, (1600.0, 7500.0)
        hertz = [frequency(midi) for midi in pitches]
        colour = 0.25 * (1 - self.character.brightness)
        loops = [
            [
                chord_table(
                    hertz,
                    self.rng,
                    size=TABLE,
                    sample_rate=self.sample_rate,
                    slope=slope + colour,
                    cents=cents,
                    top_hz=top,
                )
                for _ in range(2)
            ]
            for slope, top in zip(slopes, tops, strict=True)
        ]
        left, right = np.moveaxis(np.array(loops), 1, 0)
        # Two unlike loops alone have no middle and vanish from a mono speaker; a share of each goes across.
        return np.stack([left + 0.5 * right, right + 0.5 * left], axis=1) / np.float32(1.25**0.5)


def riser(event: Event, bands: NoiseBands, character: Character, step_frames: float, sample_rate: int) -> np.ndarray:
    """Noise whose centre climbs five octaves, chopped ever faster, with a saw that climbs two octaves beneath it."""
    done = np.linspace(0, 1, event.length, dtype=np.float32)
    noise = bands.swept(220 * 2.0 ** (5.2 * done**1.3), 0.9, event.start)
    # Chopped in eighths, then sixteenths, then thirty-seconds; the chop deepens as it climbs.
    rate = np.where(done < 0.5, 2, np.where(done < 0.8, 1, 0.5))
    place = (np.arange(event.length) / (step_frames * rate)) % 1.0
    chop = 1 - 0.7 * done * np.minimum(1, place * 1.4) ** 2
    hz = frequency(event.pitch) * 2.0 ** (2 * done.astype(np.float64) ** 2)
    phase = np.cumsum(hz) / sample_rate
    bank = filtered_wave("saw", 2.0, 24)
    tone = np.stack([play(bank, phase * detune, 2 + 14 * done) for detune in (0.996, 1.004)])
    level = done**1.6 * np.float32(event.velocity)
    level[-round(0.01 * sample_rate) :] *= np.linspace(1, 0, round(0.01 * sample_rate))
    return ((0.5 * noise + (0.12 + 0.2 * character.drive) * tone) * level * chop).astype(np.float32)


def sink(event: Event, bands: NoiseBands) -> np.ndarray:
    """Noise whose centre falls from air to floor while it fades: the opposite of a riser."""
    done = np.linspace(0, 1, event.length, dtype=np.float32)
    return (
        bands.swept(7000 * 2.0 ** (-5 * done**0.7), 0.9, event.start)
        * (1 - done) ** 1.5
        * np.float32(0.5 * event.velocity)
    )


def steam(event: Event, bands: NoiseBands, sample_rate: int) -> np.ndarray:
    """A short burst of pressured air that closes quickly."""
    time = np.arange(event.length + round(0.15 * sample_rate), dtype=np.float32) / np.float32(sample_rate)
    envelope = np.minimum(1, time / 0.03) * np.exp(-time / np.float32(0.12))
    envelope[-256:] *= np.linspace(1, 0, 256, dtype=np.float32)
    return bands.swept(2500 + 5500 * np.exp(-time / 0.1), 0.7, event.start) * envelope * np.float32(event.velocity)


def air(event: Event, bands: NoiseBands, drift: np.ndarray, edge: int) -> np.ndarray:
    """Steady machine air, its centre wandering with `drift` (octaves around 1.2 kHz, shape ``(samples,)``).

    It comes and goes within `edge` samples.
    """
    noise = bands.swept(1200 * 2.0**drift, 1.1, event.start, block=2048)
    edge = min(edge, noise.shape[1] // 2)
    noise[:, :edge] *= np.linspace(0, 1, edge, dtype=np.float32)
    noise[:, -edge:] *= np.linspace(1, 0, edge, dtype=np.float32)
    return noise * np.float32(event.velocity)


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
