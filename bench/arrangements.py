"""Arranged songs whose key, sections and what each section is for are known; no tracker was trained on them.

Unlike the instrument's stems they have chord progressions that people use, fills and one-bar breaks that are no new
section, odd lengths, noise, echo and tuning; unlike :mod:`training.beats.music` they know their key and form.
Half follow the form of dance tracks (intro, build, drop, breakdown, outro), half that of songs (A A B A B C B). On
request they are tunes, whose parts differ in chords and melody and hardly in sound, as in the music of games.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter, resample_poly

from training.beats import voices
from training.beats.effects import finish
from training.beats.patterns import GENRES, Rng, draw_drums, draw_line
from training.beats.voices import RATE, Synth

NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
SCALES = {"minor": (0, 2, 3, 5, 7, 8, 10), "major": (0, 2, 4, 5, 7, 9, 11)}
PROGRESSIONS = {
    "minor": (
        (0, 5, 2, 6), (0, 3, 4, 0), (0, 6, 5, 6), (0, 0, 5, 6), (0, 3, 6, 2), (0, 0, 0, 0), (0, 5, 3, 4), (0, 2, 5, 4)
    ),
    "major": (
        (0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 4, 3), (0, 0, 3, 4), (0, 2, 3, 4), (0, 3, 0, 4), (0, 4, 3, 3), (0, 5, 1, 4)
    ),
}  # fmt: skip
"""Degrees of the chords of a phrase, from the tonic; the published four-chord loops and pedal points."""
TRACKS = (
    ("intro", "build", "drop", "breakdown", "build", "drop", "outro"),
    ("intro", "drop", "breakdown", "drop", "outro"),
    ("intro", "build", "drop", "breakdown", "drop", "breakdown", "build", "drop", "outro"),
    ("breakdown", "build", "drop", "breakdown", "build", "drop"),
    ("intro", "drop", "breakdown", "build", "drop", "outro"),
)
SONGS = ("AABABCB", "ABABCBB", "ABAB", "ABCABC", "AABA", "ABCBA", "ABACAD")
SOUNDS = {
    "intro": ("hat", "pad arp kick"),
    "build": ("chord roll riser", "hat kick arp lead"),
    "drop": ("kick snare hat bass chord", "lead arp"),
    "breakdown": ("pad", "lead arp chord"),
    "outro": ("kick hat", "arp bass snare"),
}
"""For each label: what always sounds in it, and what may."""
GAIN = {"kick": 0.8, "snare": 0.5, "hat": 0.15, "bass": 0.45, "chord": 0.16, "pad": 0.14, "lead": 0.22, "arp": 0.18}


@dataclass(frozen=True)
class Arrangement:
    """A song and the truth about it."""

    audio: np.ndarray
    """float32 ``(samples,)`` at 22.05 kHz."""
    sample_rate: int
    key: str
    """Such as ``A minor``."""
    starts_s: np.ndarray
    """Where sections begin, the first included."""
    labels: tuple[str, ...]
    """What each is for, or in songs its letter."""
    downbeats_s: np.ndarray
    is_track: bool
    """Whether `labels` are words such as ``drop``."""


def arrange(seed: int, *, tune: bool = False, turn: int = 0) -> Arrangement:
    """Make the song of a seed.

    Parameters
    ----------
    seed
        Decides everything that is not given.
    tune
        Whether its parts differ in chords and melody and hardly in sound.
    turn
        The chord of its loops that they begin with, 0 to 3; with 0 that is mostly the tonic's.
    """
    rng = np.random.default_rng([71_993, seed, 1] if tune else [71_993, seed])
    genre = str(
        rng.choice([name for name, feel in GENRES.items() if feel.meter == "4/4" and name not in ("none", "odd")])
    )
    feel = GENRES[genre]
    tempo = float(rng.uniform(*feel.tempo))
    mode, tonic = str(rng.choice(("minor", "minor", "major"))), int(rng.integers(12))
    is_track = bool(rng.random() < 0.5) and not tune
    labels = TRACKS[rng.integers(len(TRACKS))] if is_track else tuple(SONGS[rng.integers(len(SONGS))])
    unit = int(rng.choice((4, 8, 8)))
    size = {
        label: unit * int(rng.choice((1, 1, 2))) + (int(rng.choice((2, 4))) if rng.random() < 0.1 else 0)
        for label in labels
    }
    bars = [size[label] for label in labels]
    beat = 60 / tempo * RATE
    starts = np.concatenate([[0], np.cumsum(bars)])
    sound = np.zeros(round(starts[-1] * 4 * beat) + 2 * RATE)
    players = _Players(rng, genre, feel.steps, beat, tonic, SCALES[mode], mode, tune, turn)
    casts = _band(rng, labels) if tune else _casts(rng, labels, is_track)
    for label, first, count in zip(labels, starts[:-1], bars, strict=True):
        players.play(sound, label, casts[label], int(first), count)
    sound = finish(rng, sound.astype(np.float32), 60 / tempo)
    if rng.random() < 0.3:
        noise = rng.standard_normal(len(sound)) * np.sqrt(np.mean(sound**2)) * 10 ** (-rng.uniform(10, 35) / 20)
        sound = sound + noise
    silence_s = float(rng.uniform(0, 0.7))
    stretch = 1.0
    if rng.random() < 0.5:
        # Played a little fast or slow: tempo and tuning move together, as on a turntable.
        down = int(rng.integers(980, 1021))
        sound, stretch = resample_poly(sound, 1000, down), 1000 / down
    sound = np.concatenate([np.zeros(round(silence_s * RATE)), sound])
    downbeats = silence_s + np.arange(starts[-1]) * 4 * beat / RATE * stretch
    audio = (sound / np.abs(sound).max() * rng.uniform(0.3, 0.98)).astype(np.float32)
    return Arrangement(audio, RATE, f"{NAMES[tonic]} {mode}", downbeats[starts[:-1]], labels, downbeats, is_track)


def _casts(rng: Rng, labels: tuple[str, ...], is_track: bool) -> dict[str, set[str]]:
    """Who plays in each kind of section; no two kinds of a song sound alike."""
    casts: dict[str, set[str]] = {}
    for label in dict.fromkeys(labels):
        if is_track:
            always, may = (words.split() for words in SOUNDS[label])
            casts[label] = {*always, *(part for part in may if rng.random() < 0.5)}
            continue
        while True:
            cast = {
                part for part in ("kick", "snare", "hat", "bass", "chord", "pad", "lead", "arp") if rng.random() < 0.6
            }
            if len(cast & {"bass", "chord", "pad", "lead", "arp"}) > 1 and cast not in casts.values():
                break
        casts[label] = cast
    return casts


def _band(rng: Rng, labels: tuple[str, ...]) -> dict[str, set[str]]:
    """One band for all parts of a tune; now and then a part is without one of it."""
    band = {part for part in ("kick", "snare", "hat", "pad", "arp", "chord") if rng.random() < 0.7} | {"bass", "lead"}
    return {
        label: band - ({str(rng.choice(sorted(band - {"lead"})))} if rng.random() < 0.3 else set())
        for label in dict.fromkeys(labels)
    }


class _Players:
    """The instruments of a song and what they play."""

    def __init__(
        self,
        rng: Rng,
        genre: str,
        per_beat: int,
        beat: float,
        tonic: int,
        scale: tuple[int, ...],
        mode: str,
        tune: bool,
        turn: int,
    ) -> None:
        self._turn = turn
        self._tune_bars = 4 if tune else 2
        self._own = 1.0 if tune else 0.4
        """How likely a part of a song has chords of its own."""
        self._rng, self._beat, self._per_beat, self._steps = rng, beat, per_beat, 4 * per_beat
        self._tonic, self._scale, self._mode = tonic, scale, mode
        self._drums = dict(zip(("kick", "snare", "hat"), draw_drums(genre, rng, self._steps), strict=True))
        self._shots = {"kick": voices.kick(rng), "snare": voices.snare(rng), "hat": voices.hat(rng)}
        self._synths = {role: Synth(rng, name) for role, name in (
            ("bass", "bass"), ("chord", "chord"), ("pad", "pad"), ("lead", "lead"), ("arp", "pluck"))}  # fmt: skip
        self._gain = {part: gain * 10 ** (rng.uniform(-5, 5) / 20) for part, gain in GAIN.items()}
        self._lines = {part: draw_line(rng, self._steps, per_beat, rng.uniform(0.3, 0.7)) for part in ("bass", "lead")}
        self._chord_bars = int(rng.choice((1, 1, 2)))
        self._loop = PROGRESSIONS[mode][rng.integers(len(PROGRESSIONS[mode]))]
        self._tunes: dict[str, tuple[tuple[int, ...], np.ndarray]] = {}

    def play(self, sound: np.ndarray, label: str, cast: set[str], first: int, bars: int) -> None:
        rng = self._rng
        if label not in self._tunes:
            # Chords of its own for a part of a song now and then.
            own = (
                PROGRESSIONS[self._mode][rng.integers(len(PROGRESSIONS[self._mode]))]
                if len(label) == 1 and rng.random() < self._own
                else self._loop
            )
            self._tunes[label] = (own, rng.integers(0, 8, (self._tune_bars, self._steps)))
        loop, tune = self._tunes[label]
        broken = int(rng.integers(1, bars)) if bars > 4 and rng.random() < 0.3 else -1
        for bar in range(bars):
            chord = loop[(bar // self._chord_bars + self._turn) % len(loop)]
            out = {"kick", "snare"} if bar == broken or (bar == bars - 1 and rng.random() < 0.4) else set()
            for part in cast - out - {"roll", "riser"}:
                self._bar(sound, part, (first + bar) * 4.0, chord, tune[bar % self._tune_bars])
            if "roll" in cast:
                for step in range(0, self._steps, 4 if bar < bars / 2 else 2 if bar < bars - 1 else 1):
                    self._put(
                        sound,
                        (first + bar) * 4 + step / self._per_beat,
                        self._shots["snare"],
                        0.4 * self._gain["snare"] * (0.4 + 0.6 * bar / bars),
                    )
        if "riser" in cast:
            start, end = round(first * 4 * self._beat), round((first + bars) * 4 * self._beat)
            noise = lfilter([1, -1], [1, -0.8], rng.standard_normal(end - start)) * np.linspace(0, 1, end - start) ** 2
            sound[start:end] += 0.12 * noise

    def _bar(self, sound: np.ndarray, part: str, beat: float, chord: int, tune: np.ndarray) -> None:
        if part in self._drums:
            for step in np.flatnonzero(self._drums[part]):
                if self._drums[part][step] != 0.5 or self._rng.random() < 0.5:
                    self._put(
                        sound,
                        beat + step / self._per_beat,
                        self._shots[part],
                        self._gain[part] * min(1.0, 0.4 + self._drums[part][step]),
                    )
        elif part in ("chord", "pad"):
            for third in (0, 2, 4):
                for start in (0.0,) if part == "pad" else (0.0, 1.5, 2.0):
                    self._note(sound, part, beat + start, chord + third, 48, 4.0 if part == "pad" else 0.9)
        elif part == "bass":
            for step in np.flatnonzero(self._lines["bass"]):
                self._note(sound, part, beat + step / self._per_beat, chord, 24 if self._tonic > 3 else 36, 0.45)
        elif part == "lead":
            for step in np.flatnonzero(self._lines["lead"]):
                # On strong beats a note of the chord, else one of the scale.
                degree = chord + (0, 2, 4, 7)[tune[step] % 4] if step % self._per_beat == 0 else int(tune[step])
                self._note(sound, part, beat + step / self._per_beat, degree, 60, 0.6)
        else:
            for step in range(self._steps):
                self._note(
                    sound,
                    part,
                    beat + step / self._per_beat,
                    chord + (0, 2, 4, 7)[(step + int(tune[0])) % 4],
                    60,
                    0.8 / self._per_beat,
                )

    def _note(self, sound: np.ndarray, part: str, beat: float, degree: int, octave: int, beats: float) -> None:
        midi = octave + self._tonic + 12 * (degree // 7) + self._scale[degree % 7]
        samples = round(beats * self._beat) // 64 * 64
        self._put(sound, beat, self._synths[part].note(midi, samples), self._gain[part])

    def _put(self, sound: np.ndarray, beat: float, shot: np.ndarray, gain: float) -> None:
        start = round(beat * self._beat)
        room = min(len(shot), len(sound) - start)
        sound[start : start + room] += gain * shot[:room]
