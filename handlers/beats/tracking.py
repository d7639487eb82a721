"""From onset strength to tempo, beats and onsets. Times in seconds, strength of shape ``(frames,)``.

The steps: autocorrelation (tempo) → librosa's dynamic programming (beats; Ellis 2007) → a straight line through them
(exact tempo, even grid) where one fits. What remains, until librosa's tracker is replaced: the tempo's octave follows a
prior around 120 BPM (174 comes back as 87, unless stated); beat and off-beat are told apart by strength alone, never by
harmony, which fails on off-beat basses; beats are 5 ms early on bare percussion and 6 ms late in dense music; a piece
that changes tempo keeps the tracker's own beats, on 5.8 ms frames, at one tempo for the whole, and loses about a third.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import librosa
import numpy as np

from handlers.beats.envelope import BIAS_S, FRAMES_PER_S, HOP, RATE
from handlers.beats.params import HIGHEST_BPM, LOWEST_BPM

SHORTEST_S = 2.0
"""Shorter recordings have no tempo: too little repeats."""
PRIOR_BPM, PRIOR_OCTAVES = 120.0, 1.0
"""librosa's own log-normal prior."""
HINT = 0.04
"""A stated tempo may be off by this share: the 4 % by which tempo estimates are judged."""
LEAST_CORRELATION = 0.15
LEAST_SIGNIFICANCE = 6.0
"""Autocorrelation in units of what noise reaches by chance. White and red noise, 5 to 30 s, stayed under 3.1 and 0.18,
music and drum patterns of 30 s and more above 15 and 0.26."""
LEAST_ON_BEAT = 4
"""Onsets that must lie on beats: two clicks repeat too, and are no beat."""
NEAR_S = 0.05
LINE_SHARE, LINE_RESIDUAL_S = 0.7, 0.012
"""A straight line is the grid if it holds this share of the tracked beats within an eighth of a beat, at this median
distance; twice a frame."""
_PHASES = 32


@dataclass(frozen=True)
class Beats:
    """What was found in one recording."""

    tempo_bpm: float | None
    """`None` when there is no beat."""
    confidence: float
    """0..1: how much the onset curve repeats after one beat (autocorrelation)."""
    steady: bool
    """Whether the beats are one even grid."""
    beats_s: np.ndarray
    onsets_s: np.ndarray


def track(strength: np.ndarray, duration_s: float, tempo_bpm: float | None = None) -> Beats:
    """Find tempo, beats and onsets.

    Parameters
    ----------
    strength
        From :class:`~handlers.beats.envelope.Envelope`, ``(frames,)``.
    duration_s
        Of the recording; no time lies outside.
    tempo_bpm
        The stated tempo, if any; found within 4 % of it or not at all.
    """
    onsets_s = find_onsets(strength, duration_s)
    none = Beats(None, 0.0, False, np.zeros(0), onsets_s)
    if duration_s < SHORTEST_S or len(onsets_s) < LEAST_ON_BEAT:
        return none
    coarse = estimate_tempo(strength, tempo_bpm)
    if coarse is None:
        return none
    bpm, confidence = coarse
    _, frames = librosa.beat.beat_track(onset_envelope=strength, sr=RATE, hop_length=HOP, bpm=bpm, trim=True)
    tracked_s = _times(frames, duration_s)
    if len(tracked_s) < LEAST_ON_BEAT:
        return none
    line = fit_line(tracked_s, 60 / bpm)
    if line is None and (halves := fit_line(tracked_s, 30 / bpm)):
        # The tracker slips by half a beat where the drums pause; on the grid of half beats all it found is one line.
        line = 2 * halves[0], halves[1]
    if line is None:
        beats_s, tempo = tracked_s, 60 / float(np.median(np.diff(tracked_s)))
    else:
        period_s, phase_s = line
        phase_s = choose_phase(strength, period_s, phase_s, duration_s)
        beats_s, tempo = lay_grid(period_s, phase_s, onsets_s, duration_s), 60 / period_s
    if _count_near(onsets_s, beats_s) < LEAST_ON_BEAT:
        return none
    if tempo_bpm and not tempo_bpm / (1 + HINT) <= tempo <= tempo_bpm * (1 + HINT):
        # The tracker went where the beats are, and the statement was wrong: neither is to be passed off as the other.
        return none
    return Beats(tempo, confidence, line is not None, beats_s, onsets_s)


def find_onsets(strength: np.ndarray, duration_s: float) -> np.ndarray:
    """Onsets in seconds: librosa's peak picking with its trained parameters, then each peak's centre of gravity.

    The peaks have flat tops of `LAG` frames, of which librosa takes the first: 9 ms early with 1.7 ms of scatter; their
    centre scatters by 0.3 ms (measured on clicks).
    """
    if not strength.any():
        return np.zeros(0)
    peaks = librosa.onset.onset_detect(onset_envelope=strength, sr=RATE, hop_length=HOP)
    around = np.clip(peaks[:, None] + np.arange(-4, 5), 0, len(strength) - 1)
    weights = strength[around]
    return np.unique(_times((weights * around).sum(axis=1) / weights.sum(axis=1), duration_s))


def estimate_tempo(strength: np.ndarray, tempo_bpm: float | None = None) -> tuple[float, float] | None:
    """Tempo in BPM and its confidence, between frames by a parabola; `None` where nothing repeats beyond chance.

    librosa's tempo knows whole lags only (9 % of 139 pieces within 0.5 %) and averages short windows.
    """
    centred = np.convolve(strength - strength.mean(), np.ones(3) / 3, "same")
    longest = min(len(centred) // 2, math.ceil(4 * 60 * FRAMES_PER_S / LOWEST_BPM) + 2)
    correlation = librosa.autocorrelate(centred, max_size=longest)
    if correlation[0] <= 0:
        return None
    correlation = correlation / correlation[0] / (1 - np.arange(longest) / len(centred))
    low, high = (tempo_bpm / (1 + HINT), tempo_bpm * (1 + HINT)) if tempo_bpm else (LOWEST_BPM, HIGHEST_BPM)
    first = max(1, math.floor(60 * FRAMES_PER_S / high))
    last = min(math.ceil(60 * FRAMES_PER_S / low), longest - 2)
    if last < first:
        return None
    lags = np.arange(first, last + 1)
    # What repeats after a beat repeats after two and four: this tells a beat from three quarters of one.
    support = sum(np.interp(lags * times, np.arange(longest), correlation, right=0.0) for times in (1, 2, 4))
    prior = np.exp(-0.5 * (np.log2(60 * FRAMES_PER_S / lags / PRIOR_BPM) / PRIOR_OCTAVES) ** 2)
    lag = int(lags[np.argmax(support * prior)])
    height = float(correlation[lag])
    if height < LEAST_CORRELATION or height * math.sqrt(len(centred) / 3) < LEAST_SIGNIFICANCE:
        return None
    before, after = correlation[lag - 1], correlation[lag + 1]
    bend = before - 2 * height + after
    shift = float(np.clip(0.5 * (before - after) / bend, -0.5, 0.5)) if bend < 0 else 0.0
    return 60 * FRAMES_PER_S / (lag + shift), min(1.0, height)


def fit_line(beats_s: np.ndarray, period_s: float) -> tuple[float, float] | None:
    """Period and phase in seconds of the even grid through most of `beats_s`; `None` where no one grid fits."""
    # Starts at the phase that most beats share, so that a stretch tracked half a beat off does not pull the line.
    turns = (beats_s / period_s) % 1
    shared = np.histogram(np.concatenate([turns, turns + 1]), np.linspace(0, 2, 2 * _PHASES + 1))[0][:_PHASES]
    around = np.roll(shared, 1) + shared + np.roll(shared, -1)
    centre = (np.argmax(around) + 0.5) / _PHASES
    anchor = beats_s[np.argmin(np.abs((turns - centre + 0.5) % 1 - 0.5))]
    phase_s = float(anchor)
    for reach in (16, 64, 256, 4096, 1 << 20):
        # Outwards from the anchor: a small error of the period must not miscount far beats.
        index = np.round((beats_s - phase_s) / period_s)
        away = beats_s - phase_s - index * period_s
        kept = (np.abs(beats_s - anchor) <= reach * period_s) & (np.abs(away) < period_s / 8)
        if len(np.unique(index[kept])) >= LEAST_ON_BEAT:
            period_s, phase_s = (float(value) for value in np.polyfit(index[kept], beats_s[kept], 1))
    away = np.abs(beats_s - phase_s - np.round((beats_s - phase_s) / period_s) * period_s)
    held = away < period_s / 8
    if held.mean() < LINE_SHARE or np.median(away[held]) > LINE_RESIDUAL_S:
        return None
    return period_s, phase_s


def choose_phase(strength: np.ndarray, period_s: float, phase_s: float, duration_s: float) -> float:
    """The grid's phase or half a beat later, whichever has the stronger onsets; short pieces need it."""
    frames = np.arange(len(strength))
    levels = []
    for phase in (phase_s, phase_s + period_s / 2):
        beats_s = phase + period_s * np.arange(
            math.ceil(-phase / period_s), math.floor((duration_s - phase) / period_s) + 1
        )
        levels.append(
            float(np.interp((beats_s + BIAS_S) * FRAMES_PER_S, frames, strength).mean()) if len(beats_s) else 0.0
        )
    return phase_s if levels[0] >= levels[1] else phase_s + period_s / 2


def lay_grid(period_s: float, phase_s: float, onsets_s: np.ndarray, duration_s: float) -> np.ndarray:
    """Every beat of the grid from the first onset to the last."""
    first = math.ceil((onsets_s[0] - NEAR_S - phase_s) / period_s)
    last = math.floor((onsets_s[-1] + NEAR_S - phase_s) / period_s)
    beats_s = phase_s + period_s * np.arange(first, last + 1)
    return beats_s[(beats_s >= 0) & (beats_s < duration_s)]


def _times(frames: np.ndarray, duration_s: float) -> np.ndarray:
    return np.clip(frames / FRAMES_PER_S - BIAS_S, 0.0, max(0.0, math.nextafter(duration_s, 0.0)))


def _count_near(onsets_s: np.ndarray, beats_s: np.ndarray) -> int:
    """How many beats have an onset within `NEAR_S`."""
    after = np.searchsorted(onsets_s, beats_s)
    later = np.abs(onsets_s[np.minimum(after, len(onsets_s) - 1)] - beats_s)
    earlier = np.abs(onsets_s[np.maximum(after - 1, 0)] - beats_s)
    return int((np.minimum(later, earlier) < NEAR_S).sum())
