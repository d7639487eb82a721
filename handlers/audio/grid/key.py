"""The key of a recording: its pitch classes compared with published profiles of the 24 keys.

Profiles: "edma", medians over electronic dance music, from Faraldo, Gómez, Jordà & Herrera, Key Estimation in
Electronic Dance Music (ECIR 2016), as published with essentia; compared by correlation after Krumhansl (1990).
A loop of chords such as Am F C G has the notes of both A minor and C major: what stands where phrases begin decides.
Most of what is wrong is still the relative or a neighbouring key; ``python -m bench.beats`` prints how many are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from handlers.audio.grid.pitches import FRAMES_PER_S, HOP, WINDOW, Notes

NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MODES = ("major", "minor")
PROFILES = np.array(
    [
        [1.00, 0.29, 0.50, 0.40, 0.60, 0.56, 0.32, 0.80, 0.31, 0.45, 0.42, 0.39],
        [1.00, 0.31, 0.44, 0.58, 0.33, 0.49, 0.29, 0.78, 0.43, 0.29, 0.53, 0.32],
    ]
)
"""``(2, 12)``: major and minor, from the tonic up."""
BASS_SEMITONES = 31
"""C1 to F#3: where a bass line tells the root."""
BASS = 1.5
"""How much more a bass note counts."""
MINOR = 0.05
"""What a minor key is ahead by: most dance music is minor. On stems it puts right one key in ten, on songs one in thirty;
with 0.07 a plain I-IV-V-I is hardly sure any more."""
PHRASE, PHRASE_BASS = 0.2, 0.2
"""What it counts that a chord, and a bass note, have a larger share where phrases begin. Most loops begin on the tonic,
not all: with these 0.84 of arranged songs were right (0.69 without), of those whose loops all begin on another chord
0.70 (0.75); with 0.3 and 0.2 0.87 and 0.68."""
QUIET = 1e-2
"""What is quieter than this share of the loudest says nothing about shares."""
LEAST_CONTRAST, LEAST_SIGNIFICANCE, LEAST_FRAMES = 0.3, 3.0, 6
"""Less difference between pitch classes is no key: their deviation over their mean, and over what chance gives them
(white and red noise of 3 s and more: at most 0.2 or 2.5; rendered music of 60 s: at least 0.56 and 5.7)."""
SURE_MARGIN, UNSURE = 0.12, 0.5
"""How far ahead a key is when it is sure, and how sure it is when it is not ahead at all: of keys with hardly any margin
half were right, of those with the full one 94 % (330 songs, tunes and stems)."""
_TRIADS = np.array(
    [[(note - tonic) % 12 in (0, third, 7) for note in range(12)] for third in (4, 3) for tonic in range(12)], float
)
"""``(24, 12)``: which pitch classes are each key's tonic chord."""


@dataclass(frozen=True)
class KeyFound:
    """A key, and how sure it is."""

    tonic: int
    """Pitch class, C = 0."""
    mode: str
    """``major`` or ``minor``."""
    confidence: float
    """0..1: how often such a key is right."""
    runner_up: str
    """The next best, such as ``C major``."""
    tuning_cents: float

    @property
    def name(self) -> str:
        """Such as ``A minor``."""
        return f"{NAMES[self.tonic]} {self.mode}"

    @property
    def camelot(self) -> str:
        """Its place on the Camelot wheel (Mixed In Key): 8A is A minor, 8B C major; a fifth up adds one."""
        relative = (self.tonic + 3 * (self.mode == "minor")) % 12
        return f"{(7 * relative + 7) % 12 + 1}{'A' if self.mode == 'minor' else 'B'}"


def find_key(notes: Notes, phrases_s: Sequence[tuple[float, float]] = ()) -> KeyFound | None:
    """Find the key; `None` where no pitch stands out, as in silence, noise or less than two seconds.

    Parameters
    ----------
    notes
        What sounds.
    phrases_s
        Start and end of the first bar of each phrase, where they are known: what sounds there more than elsewhere is
        rather the tonic.
    """
    weighted = notes.strength.astype(np.float64)
    bass = _classes(weighted[:, :BASS_SEMITONES])
    weighted[:, :BASS_SEMITONES] *= BASS
    classes = _classes(weighted)
    loudness = classes.sum(axis=1)
    heard = loudness > 1e-3 * loudness.max()
    if heard.sum() < LEAST_FRAMES:
        return None
    # Every moment counts alike, loud or soft.
    shares = classes[heard] / loudness[heard, None]
    profile = shares.mean(axis=0)
    chance = shares.std(axis=0) / np.sqrt(len(shares) * HOP / WINDOW)
    significance = float(np.sqrt(np.mean(((profile - 1 / 12) / (chance + 1e-9)) ** 2)))
    if profile.std() / profile.mean() < LEAST_CONTRAST or significance < LEAST_SIGNIFICANCE:
        return None
    turned = np.stack([[np.roll(mode, tonic) for tonic in range(12)] for mode in PROFILES]).reshape(24, 12)
    likeness = np.array([np.corrcoef(profile, key)[0, 1] for key in turned])
    score = likeness + np.repeat((0.0, MINOR), 12)
    if len(phrases_s):
        score += PHRASE * _TRIADS @ _more(classes, phrases_s) + PHRASE_BASS * np.tile(_more(bass, phrases_s), 2)
    order = np.argsort(score)[::-1]
    mode, tonic = divmod(int(order[0]), 12)
    other_mode, other_tonic = divmod(int(order[1]), 12)
    margin = float(score[order[0]] - score[order[1]])
    confidence = float((UNSURE + (1 - UNSURE) * min(margin / SURE_MARGIN, 1)) * max(likeness[order[0]], 0))
    return KeyFound(tonic, MODES[mode], confidence, f"{NAMES[other_tonic]} {MODES[other_mode]}", notes.tuning_cents)


def _classes(strength: np.ndarray) -> np.ndarray:
    """Pitch classes of ``(frames, semitones from C)``: ``(frames, 12)``."""
    padded = np.pad(strength, ((0, 0), (0, -strength.shape[1] % 12)))
    return padded.reshape(len(padded), -1, 12).sum(axis=1)


def _more(classes: np.ndarray, phrases_s: Sequence[tuple[float, float]]) -> np.ndarray:
    """By how much the share of each pitch class is larger where phrases begin than everywhere: ``(12,)``."""
    starts = []
    for start_s, end_s in phrases_s:
        first = round(start_s * FRAMES_PER_S)
        starts.append(classes[first : max(first + 1, round(end_s * FRAMES_PER_S))].sum(axis=0))
    return _mean_share(np.array(starts)) - _mean_share(classes)


def _mean_share(classes: np.ndarray) -> np.ndarray:
    total = classes.sum(axis=1)
    heard = total > QUIET * total.max(initial=0.0)
    return (classes[heard] / total[heard, None]).mean(axis=0) if heard.any() else np.full(12, 1 / 12)
