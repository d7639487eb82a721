"""Made-up music with a known grid: unlike this project's instrument in form, patterns and timbre, and unlike itself.

A piece is drawn from a seed: genre, tempo, patterns, chords, melody, sections, sounds, effects, silence before, noise.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import lfilter

from training.beats import voices
from training.beats.canvas import Canvas, draw_clock
from training.beats.effects import finish
from training.beats.patterns import GENRES, Rng, draw_drums, draw_line
from training.beats.voices import RATE, Synth

SCALES = ((0, 2, 3, 5, 7, 8, 10), (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 9, 10), (0, 1, 3, 5, 7, 8, 10))
BEATS = {"4/4": 4, "3/4": 3, "6/8": 2}


@dataclass(frozen=True)
class Piece:
    """Music and the truth about it."""

    audio: np.ndarray
    """float32 ``(samples,)`` or ``(channels, samples)``."""
    sample_rate: int
    beats_s: np.ndarray
    """Empty where there is no beat."""
    downbeats: np.ndarray
    """Indices into `beats_s`."""
    meter: str
    name: str
    source: str
    steady: bool = True


def make_piece(seed: int, *, genre: str | None = None, duration_s: float | None = None, tempo_bpm: float | None = None,
               drift: str | None = None) -> Piece:  # fmt: skip
    """Make one piece.

    Parameters
    ----------
    seed
        Decides everything that is not given.
    genre
        One of :data:`GENRES`.
    duration_s, tempo_bpm
        Seconds; beats a minute.
    drift
        How the tempo moves; without it, it does not. ``ramp``: faster or slower by up to 35 %; ``change`` and ``step``:
        at once, by up to 28 % and by 1 to 6 %; ``sway`` and ``gentle``: to and fro, by 2 and by 0.5 %; ``late``: it slows
        down at the end; ``pause``: a beat or two are long.
    """
    rng = np.random.default_rng([40_417, seed])
    names = list(GENRES)
    weights = np.array([GENRES[name].weight for name in names])
    genre = genre or str(rng.choice(names, p=weights / weights.sum()))
    feel = GENRES[genre]
    # Mostly the genre's own tempo, sometimes one that it has not been heard at.
    low, high = feel.tempo if rng.random() < 0.75 else (max(56, feel.tempo[0] * 0.85), min(200, feel.tempo[1] * 1.15))
    tempo = tempo_bpm or float(rng.uniform(low, high))
    if tempo_bpm is None and rng.random() < 0.6:
        tempo = float(round(tempo))
    duration = duration_s or float(rng.choice((15, 30, 50, 75, 110), p=(0.06, 0.14, 0.3, 0.35, 0.15)))
    per_bar = BEATS[feel.meter]
    bars = max(2, int(duration * tempo / 60 / per_bar))
    beat_s = draw_clock(rng, bars * per_bar, tempo, drift)
    sound = _play(rng, genre, beat_s, bars, per_bar, feel.steps)
    sound = finish(rng, sound, 60 / tempo)
    downbeats = np.arange(0, bars * per_bar, per_bar)
    return end_piece(
        rng, Piece(sound, RATE, beat_s[:-1], downbeats, feel.meter, f"{genre}-{seed}", f"made/{genre}", drift is None)
    )


def end_piece(rng: Rng, piece: Piece) -> Piece:
    """The piece after silence, some cut and some under noise, at a level of any kind."""
    sound, beats, downbeats = piece.audio, piece.beats_s, piece.downbeats
    silence = round((float(rng.uniform(0, 0.7)) if rng.random() < 0.8 else 0.0) * RATE)
    sound = np.concatenate([np.zeros(silence, np.float32), sound])
    beats = beats + silence / RATE
    if rng.random() < 0.3 and len(beats) > 40:
        cut = int(rng.uniform(0, 0.4) * len(sound))
        sound, beats, downbeats = _crop(sound, beats, downbeats, cut)
    if rng.random() < 0.25:
        noise = rng.standard_normal(len(sound)) * np.sqrt(np.mean(sound**2)) * 10 ** (-rng.uniform(10, 40) / 20)
        sound = sound + noise.astype(np.float32)
    sound = (sound / (np.abs(sound).max() + 1e-9) * rng.uniform(0.2, 0.98)).astype(np.float32)
    return replace(piece, audio=sound, beats_s=beats, downbeats=downbeats)


def make_beatless(seed: int) -> Piece:
    """A drone, pads without a pulse, noise, hum, or lone events: nothing that has a beat."""
    rng = np.random.default_rng([40_418, seed])
    duration = float(rng.choice((15, 40, 90)))
    count = round(duration * RATE)
    time = np.arange(count) / RATE
    sound = np.zeros(count)
    kind = str(rng.choice(("drone", "noise", "pads", "events", "wind", "speech")))
    if kind in ("drone", "pads", "wind"):
        for hz in rng.uniform(50, 900, rng.integers(1, 6)):
            slow = 1 + 0.7 * np.sin(2 * np.pi * rng.uniform(0.01, 0.23) * time + rng.uniform(0, 6))
            sound += slow * np.sin(
                2 * np.pi * hz * time + rng.uniform(0, 3) * np.sin(2 * np.pi * rng.uniform(0.02, 7) * time)
            )
    if kind in ("noise", "wind"):
        noise = lfilter([1], [1, -rng.uniform(0, 0.98)], rng.standard_normal(count))
        if kind == "wind":
            noise *= np.interp(time, np.arange(0, duration + 2, 1.7), rng.random(len(np.arange(0, duration + 2, 1.7))))
        sound += noise / noise.std()
    if kind in ("pads", "events", "speech"):
        synth = Synth(rng, "pad" if kind == "pads" else "pluck")
        mean = {"pads": 4.0, "events": 1.5, "speech": 0.35}[kind]
        at = rng.uniform(0, 1)
        while at < duration - 1:
            note = synth.note(int(rng.integers(36, 84)), round(rng.uniform(0.1, 2 * mean) * RATE))
            start = round(at * RATE)
            sound[start : start + len(note)] += note[: count - start] * rng.uniform(0.2, 1)
            at += rng.exponential(mean) + 0.05
    sound += rng.standard_normal(count) * 10 ** rng.uniform(-5, -2)
    audio = (sound / np.abs(sound).max() * rng.uniform(0.05, 0.9)).astype(np.float32)
    return Piece(audio, RATE, np.zeros(0), np.zeros(0, int), "4/4", f"{kind}-{seed}", "made/beatless")


def _crop(sound: np.ndarray, beats: np.ndarray, downbeats: np.ndarray, cut: int) -> tuple[np.ndarray, ...]:
    begins = np.isin(np.arange(len(beats)), downbeats)
    kept = beats >= cut / RATE
    return sound[cut:], beats[kept] - cut / RATE, np.flatnonzero(begins[kept])


def _play(rng: Rng, genre: str, beat_s: np.ndarray, bars: int, per_bar: int, per_beat: int) -> np.ndarray:
    steps = per_bar * per_beat
    feel = GENRES[genre]
    swing = rng.uniform(0, feel.swing) if feel.swing and rng.random() < 0.6 else 0.0
    unit = int(rng.choice((2, 4, 8, 8, 16))) if bars >= 16 else int(rng.choice((2, 4)))
    sections = max(1, -(-bars // unit))
    parts = ("kick", "snare", "hat", "extra", "bass", "chord", "lead", "arp")
    often = {
        "kick": 0.8,
        "snare": 0.75,
        "hat": 0.75,
        "extra": 0.35,
        "bass": 0.8,
        "chord": 0.55,
        "lead": 0.5,
        "arp": 0.4,
    }
    have = {part: rng.random() < (0.9 if part in ("kick", "snare", "hat", "bass") else 0.65) for part in parts}
    if genre == "none":
        have |= {"bass": rng.random() < 0.7, "chord": True, "arp": rng.random() < 0.6}
    if not any(have[part] for part in ("kick", "snare", "bass", "chord", "lead", "arp")):
        have["bass"] = have["kick"] = True
    playing = [{part: have[part] and rng.random() < often[part] + 0.15 for part in parts} for _ in range(sections)]
    if rng.random() < 0.35:
        playing = [dict(have)] * sections
    for number in range(2, sections):
        if rng.random() < 0.5:
            playing[number] = playing[int(rng.integers(number))]
    beds = [Canvas(rng, beat_s) for _ in range(2)]
    drums, music = beds
    _play_drums(rng, drums, draw_drums(genre, rng, steps), playing, bars, per_bar, per_beat, unit, swing)
    _play_notes(rng, music, playing, bars, per_bar, per_beat, unit, swing, genre)
    sound = music.sound * 10 ** (rng.uniform(-6, 6) / 20)
    if have["kick"] and rng.random() < 0.3:
        sound = sound * _pump(rng, drums, bars * per_bar)
    return sound + drums.sound * 10 ** (rng.uniform(-8, 4) / 20)


def _pump(rng: Rng, canvas: Canvas, beats: int) -> np.ndarray:
    """Levels that duck on every beat, as under a compressor."""
    depth, back = rng.uniform(0.3, 0.95), rng.uniform(0.08, 0.25)
    gain = np.ones(len(canvas.sound), np.float32)
    for beat in range(beats):
        start, end = canvas.place(beat), canvas.place(beat + 1)
        gain[start:end] = 1 - depth * np.exp(-np.arange(end - start) / RATE / back)
    return gain


def _late(step: int, swing: float, per_beat: int) -> float:
    return swing / per_beat if swing and step % 2 else 0.0


def _play_drums(rng, canvas, rows, playing, bars, per_bar, per_beat, unit, swing) -> None:
    steps = per_bar * per_beat
    shots = {
        "kick": [voices.kick(rng)], "snare": [voices.snare(rng)], "hat": [voices.hat(rng), voices.hat(rng, opened=True)],
        "extra": [voices.tom(rng) for _ in range(3)], "crash": [voices.crash(rng)],
    }  # fmt: skip
    gain = {
        "kick": rng.uniform(0.5, 1.1),
        "snare": rng.uniform(0.3, 0.9),
        "hat": rng.uniform(0.06, 0.5),
        "extra": rng.uniform(0.1, 0.5),
    }
    if rng.random() < 0.12:
        gain["kick"] *= 0.2
    extra = draw_line(rng, steps, per_beat, rng.uniform(0.1, 0.5)) if rng.random() < 0.7 else rng.random(steps) < 0.2
    # A second bar that answers the first.
    answer = [row.copy() for row in rows]
    if rng.random() < 0.6:
        for row in answer:
            row[steps // 2 + int(rng.integers(steps // 2))] = rng.choice((0.0, 1.0))
    crash, fills, opened = rng.random() < 0.4, rng.random() < 0.6, int(rng.integers(steps))
    steady = rng.random() < 0.5
    for bar in range(bars):
        section = playing[bar // unit]
        last = (bar + 1) % unit == 0 and fills
        for name, row in zip(("kick", "snare", "hat"), answer if bar % 2 else rows, strict=True):
            if not section[name]:
                continue
            for step in np.flatnonzero(row):
                chance = row[step]
                if chance == 0.5 and rng.random() < 0.5:
                    continue
                if last and name == "snare" and step >= steps - per_beat and rng.random() < 0.7:
                    continue
                level = gain[name] * (0.45 if chance < 0.5 else 1.0) * (1 if steady else rng.uniform(0.7, 1.05))
                if name == "hat" and step % per_beat and not steady:
                    level *= 0.75
                sound = shots[name][1] if name == "hat" and step == opened else shots[name][0]
                canvas.put(bar * per_bar + step / per_beat + _late(step, swing, per_beat), sound, level)
        if section["extra"]:
            for step in np.flatnonzero(extra):
                sound = shots["extra"][int(step) % 3]
                canvas.put(
                    bar * per_bar + step / per_beat + _late(step, swing, per_beat),
                    sound,
                    gain["extra"] * rng.uniform(0.6, 1),
                )
        if last and (section["snare"] or section["kick"]):
            kind = rng.choice(("snare", "extra"))
            for step in range(steps - per_beat * int(rng.choice((1, 1, 2))), steps):
                if rng.random() < 0.75:
                    canvas.put(
                        bar * per_bar + step / per_beat,
                        shots[kind][step % len(shots[kind])],
                        gain[kind] * rng.uniform(0.5, 1),
                    )
        if crash and bar % unit == 0 and section["snare"]:
            canvas.put(bar * per_bar, shots["crash"][0], 0.3)


def _play_notes(rng, canvas, playing, bars, per_bar, per_beat, unit, swing, genre) -> None:
    steps = per_bar * per_beat
    synths = {role: Synth(rng, name) for role, name in (
        ("bass", "bass"), ("chord", str(rng.choice(("chord", "pad")))), ("lead", str(rng.choice(("lead", "pluck")))), ("arp", "pluck"))}  # fmt: skip
    scale = SCALES[rng.integers(len(SCALES))]
    root = int(rng.integers(28, 40))
    every = float(rng.choice((0.5, 1, 1, 2, 4)))
    loops = int(rng.choice((2, 4, 4, 8)))
    chords = [0, *rng.integers(0, 7, loops - 1)]
    other = [int(rng.integers(0, 7)) for _ in range(loops)]
    style = str(rng.choice(("line", "line", "off", "eighths", "long", "sixteenths")))
    if genre in ("psy", "ebm"):
        style = str(rng.choice(("off3", "eighths", "sixteenths", "off")))
    bass = {
        "line": draw_line(rng, steps, per_beat, rng.uniform(0.4, 0.9)),
        "off": np.arange(steps) % per_beat == per_beat // 2,
        "off3": np.arange(steps) % per_beat != 0,
        "eighths": np.arange(steps) % max(1, per_beat // 2) == 0,
        "sixteenths": np.ones(steps, bool),
        "long": np.arange(steps) == 0,
    }[style]
    held = str(rng.choice(("held", "held", "stabs", "offbeat")))
    stabs = draw_line(rng, steps, per_beat, 0.4) if held == "stabs" else np.arange(steps) % per_beat == per_beat // 2
    size = int(rng.choice((1, 2, 2, 4)))
    lead = [draw_line(rng, steps, per_beat, rng.uniform(0.2, 0.7)) for _ in range(size)]
    tune = [rng.integers(0, 10, steps) for _ in range(size)]
    arp_step = int(rng.choice((1, 1, 2))) if per_beat == 4 else 1
    arp = rng.integers(0, 6, int(rng.choice((3, 4, 4, 6, 8))))
    octave = rng.random() < 0.3
    gain = {
        "bass": rng.uniform(0.3, 0.9),
        "chord": rng.uniform(0.1, 0.35),
        "lead": rng.uniform(0.15, 0.5),
        "arp": rng.uniform(0.1, 0.4),
    }

    def pitch(degree: int, above: int) -> int:
        return root + above + 12 * (degree // 7) + scale[degree % 7]

    def samples(beat: float, length: float) -> int:
        return max(200, (canvas.place(beat + length) - canvas.place(beat)) // 64 * 64)

    drops = {part: rng.random() < 0.15 for part in gain}
    for bar in range(bars):
        section = playing[bar // unit]
        number = int(bar / every) if every >= 1 else bar
        cycle = other if (bar // unit) % 4 == 3 and loops > 2 else chords
        chord = int(cycle[number % loops])
        for step in range(steps):
            beat = bar * per_bar + step / per_beat
            if every < 1 and step == steps // 2:
                chord = int(cycle[(number + 1) % loops])
            late = _late(step, swing, per_beat)
            if section["bass"] and bass[step]:
                gap = next((k for k in range(1, steps + 1) if bass[(step + k) % steps]), steps)
                note = pitch(chord, 12 if octave and step % 2 else 0)
                canvas.put(
                    beat + late, synths["bass"].note(note, samples(beat, min(gap, 8) * 0.9 / per_beat)), gain["bass"]
                )
            if section["chord"]:
                starts = step == 0 or (every < 1 and step == steps // 2) if held == "held" else stabs[step]
                if starts:
                    length = per_bar * min(1.0, every) if held == "held" else 0.7 / per_beat * 2
                    for third in (0, 2, 4):
                        canvas.put(
                            beat + late,
                            synths["chord"].note(pitch(chord + third, 24), samples(beat, length * 0.98)),
                            gain["chord"],
                        )
            if section["lead"] and lead[bar % size][step]:
                degree = int(tune[bar % size][step])
                canvas.put(
                    beat + late,
                    synths["lead"].note(pitch(degree, 36), samples(beat, rng.choice((0.5, 1, 2)) / per_beat)),
                    gain["lead"],
                )
            if section["arp"] and step % arp_step == 0:
                degree = chord + 2 * int(
                    arp[(bar * steps + step) // arp_step % len(arp)]
                    if drops["arp"]
                    else arp[step // arp_step % len(arp)]
                )
                canvas.put(
                    beat + late,
                    synths["arp"].note(pitch(degree, 24), samples(beat, 0.8 * arp_step / per_beat)),
                    gain["arp"],
                )
