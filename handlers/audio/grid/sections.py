"""Sections: where a recording changes, on its bar lines, and how energetic and bright each part is.

Each bar becomes one row of features (level in bands, onsets in bands, pitch classes); dynamic programming cuts the rows
into stretches that are alike inside and whose notes repeat as a whole, which prefers phrases of 4 and 8 bars (after the
criteria of homogeneity and repetition in Paulus, Müller & Klapuri, State of the Art Report: Audio-Based Music Structure
Analysis, ISMIR 2010). Names come from :mod:`handlers.audio.grid.labels`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from handlers.audio.grid.features import Features
from handlers.audio.grid.pitches import Notes
from handlers.audio.grid.repeats import Repeats

WINDOW_S = 2.0
"""Stands for a bar where there is no beat."""
RANGE_DB = 70.0
"""What is quieter than this below the loudest frame is silence."""
GROUPS = 12
"""Groups of bands whose levels are compared."""
DEPTH_DB = 20.0
"""Under this below a group's loud bars its level no longer counts: silence is silence."""
FAINT_DB = 45.0
"""Nor under this below all groups together: what never sounds does not change."""
LEVEL_DB, RISES_DB, PITCH = 6.0, 0.5, 1.0
"""Scales: a row differs by 1 for 6 dB in one group, half a dB of rises a frame, or all pitch classes. Chords change inside
sections too: counted three times as much, on arranged songs one boundary in ten more was wrong."""
LAG_S = 0.025
"""How far back a rise in level is measured."""
MOST_DB = 30.0
"""What a single attack counts at most: one out of silence is one attack too."""
PENALTY, PENALTY_NOISE = 4.0, 1.5
"""What one more section costs: fixed, and for each unit by which neighbouring bars differ anyway."""
LEAD_IN_DB = 40.0
"""What is quieter than this below the loudest frame before the first downbeat is silence."""
ONSET_FRAMES = 4
LONGEST_BARS = 256
"""What is longer is cut, and joined again where it stays the same: 8 minutes of a drone."""
SHORT_BARS, SHORT, LAST_ODD = 4, 1.5, 0.3
"""Fewer bars than this cost so many penalties more; the last section's odd length costs this share of one's."""
CLIMB = 8.0
"""What it costs to take a section for one that changes evenly, as a build or a filter that opens: two changes of level."""
UNREPEATED = 2.0
"""What each bar costs whose notes do not come again as the rest of its section does: on tunes that differ in notes alone
one boundary in three more was right than without, on songs and stems as many as before (1 to 4 hardly differ)."""
BREAK = 0.3
"""A bar is a break where its neighbours are that much nearer to each other (squared) than it is to any bar near it."""
NEAR_BARS = (-4, -2, -1, 1, 2, 4)
_PIECE = 8192
"""Frames looked at at once: 71 s."""


@dataclass(frozen=True)
class Bars:
    """Every bar of a recording, described. Arrays have one row for each bar."""

    edges_s: np.ndarray
    """``(bars + 1,)``: where each begins, and the end of the last."""
    rows: np.ndarray
    """``(bars, features)``: what is compared; Euclidean distances mean something."""
    tones: np.ndarray
    """``(bars, 24)``: square roots of half the share of each pitch class, in the first and the second half of a bar."""
    level_db: np.ndarray
    """Mean power over all bands, dB."""
    low_db: np.ndarray
    """The same below 130 Hz."""
    mid_db: np.ndarray
    """The same from 200 Hz to 2 kHz."""
    high_db: np.ndarray
    """The same above 2 kHz."""
    onsets: np.ndarray
    """Mean rise in level, dB a frame."""
    brightness: np.ndarray
    """0..1: centre of the power's logarithmic frequency, 100 Hz to 10 kHz, each octave weighted by 3 dB more."""


def bar_edges(downbeats_s: np.ndarray, duration_s: float, start_s: float = 0.0) -> np.ndarray:
    """Where bars begin and the last one ends; windows of 2 s where no downbeats are known.

    What stands between `start_s` and the first downbeat, and after the last whole bar, is a bar of its own if it is
    longer than half a bar, else a part of its neighbour.
    """
    inside = np.asarray(downbeats_s, float)
    inside = inside[(inside >= start_s) & (inside < duration_s)]
    if len(inside) < 2:
        inside = np.arange(start_s, max(duration_s - WINDOW_S / 2, start_s + 1e-9), WINDOW_S)
    half_s = float(np.median(np.diff(inside))) / 2 if len(inside) > 1 else WINDOW_S / 2
    head = [start_s] if inside[0] - start_s > half_s else []
    tail = [duration_s] if duration_s - inside[-1] > half_s or len(inside) == 1 else []
    edges = np.concatenate([head, inside, tail])
    edges[0], edges[-1] = start_s, duration_s
    return edges


def first_sound_s(features: Features, downbeats_s: np.ndarray) -> float:
    """Where the sections begin: at the first downbeat if nothing sounds before it, else at the start."""
    if not len(downbeats_s):
        return 0.0
    # The frame that stands on the downbeat reaches back before it, as do those up to half a window earlier.
    before = max(0, int(downbeats_s[0] * features.frames_per_s) - ONSET_FRAMES)
    loudness = features.power.sum(axis=1)
    silent = loudness[:before].max(initial=0.0) < float(loudness.max()) * 10 ** (-LEAD_IN_DB / 10)
    return float(downbeats_s[0]) if silent else 0.0


def describe_bars(features: Features, notes: Notes, edges_s: np.ndarray) -> Bars:
    """Describe every bar between `edges_s`."""
    power, centres = features.power, features.centres_hz
    starts = np.clip((edges_s[:-1] * features.frames_per_s).astype(int), 0, len(power) - 1)
    counts = np.diff(np.append(starts, len(power)))[:, None].clip(1)
    floor = max(float(power.max()) * 10 ** (-RANGE_DB / 10), 1e-12)
    mean = np.add.reduceat(power, starts, axis=0, dtype=np.float64) / counts
    rises = np.add.reduceat(_rises(power, floor, round(LAG_S * features.frames_per_s)), starts, axis=0) / counts
    groups = np.array_split(np.arange(len(centres)), GROUPS)
    powers = np.stack([mean[:, group].sum(axis=1) for group in groups], axis=1)
    loud = np.percentile(powers, 90, axis=0)
    heard = np.maximum(loud * 10 ** (-DEPTH_DB / 10), loud.sum() * 10 ** (-FAINT_DB / 10))
    levels = 10 * np.log10(powers + heard + floor)
    chroma = np.sqrt([notes.chroma(start, end) for start, end in zip(edges_s[:-1], edges_s[1:], strict=True)])
    halves_s = np.sort(np.concatenate([edges_s, (edges_s[:-1] + edges_s[1:]) / 2]))
    halves = [notes.chroma(start, end) for start, end in zip(halves_s[:-1], halves_s[1:], strict=True)]
    tilted = mean * centres / 1000
    octaves = (tilted * np.log10(centres / 100)).sum(axis=1) / (tilted.sum(axis=1) + 1e-12) / 2
    return Bars(
        edges_s=np.asarray(edges_s),
        rows=np.concatenate([levels / LEVEL_DB, rises / RISES_DB, PITCH * chroma], axis=1),
        tones=np.sqrt(np.array(halves) / 2).reshape(-1, 24),
        level_db=10 * np.log10(mean.sum(axis=1) + floor),
        low_db=10 * np.log10(mean[:, centres < 130].sum(axis=1) + floor),
        mid_db=10 * np.log10(mean[:, (centres >= 200) & (centres < 2000)].sum(axis=1) + floor),
        high_db=10 * np.log10(mean[:, centres >= 2000].sum(axis=1) + floor),
        onsets=rises.mean(axis=1),
        brightness=octaves.clip(0, 1),
    )


def _rises(power: np.ndarray, floor: float, lag: int) -> np.ndarray:
    """How much the level rises in the lower, middle and upper third of the bands: float64 ``(frames, 3)``, dB."""
    rises = np.zeros((len(power), 3))
    thirds = np.array_split(np.arange(power.shape[1]), 3)
    # In pieces: an hour's levels at once would be 70 MB, several times over.
    for start in range(lag, len(power), _PIECE):
        level = 10 * np.log10(power[start - lag : start + _PIECE] + floor)
        risen = np.clip(level[lag:] - level[:-lag], 0, MOST_DB)
        for number, third in enumerate(thirds):
            rises[start : start + _PIECE, number] = risen[:, third].mean(axis=1)
    return rises


def cut(rows: np.ndarray, repeats: Repeats | None = None) -> list[int]:
    """Cut bars into stretches that stay alike inside, or change evenly, and whose notes repeat.

    Parameters
    ----------
    rows
        ``(bars, features)``.
    repeats
        Of the same bars; without it notes do not matter.

    Returns
    -------
    edges
        Bars at which sections begin, the first 0, and the number of bars.
    """
    rows = _without_breaks(rows)
    bars = len(rows)
    lags = [lag for lag in (1, 2, 4) if bars > lag + 2]
    # Bars alternate in many pieces; what counts is how well any of them repeats.
    noise = min((float(np.median(((rows[lag:] - rows[:-lag]) ** 2).sum(axis=1))) / 2 for lag in lags), default=0.0)
    penalty = PENALTY + PENALTY_NOISE * noise
    sums = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows, axis=0)])
    squares = np.concatenate([[0.0], np.cumsum((rows**2).sum(axis=1))])
    numbered = np.concatenate([np.zeros((1, rows.shape[1])), np.cumsum(rows * np.arange(bars)[:, None], axis=0)])
    best = np.zeros(bars + 1)
    before = np.zeros(bars + 1, int)
    for end in range(1, bars + 1):
        starts = np.arange(max(0, end - LONGEST_BARS), end)
        lengths = end - starts
        total = sums[end] - sums[starts]
        scatter = squares[end] - squares[starts] - (total**2).sum(axis=1) / lengths
        # What a straight line through the rows explains of it.
        slope = numbered[end] - numbered[starts] - (starts + end - 1)[:, None] / 2 * total
        straight = (slope**2).sum(axis=1) * 12 / (lengths * (lengths**2 - 1.0)).clip(1)
        scatter -= np.maximum(np.where(lengths >= SHORT_BARS, straight, 0.0) - CLIMB, 0.0)
        # Recordings seldom end with a phrase.
        odd = _oddness(lengths) * (LAST_ODD if end == bars else 1.0) + SHORT * (lengths < SHORT_BARS)
        cost = best[starts] + scatter + penalty * (1 + odd)
        if repeats is not None:
            cost += UNREPEATED * repeats.unrepeated(starts, end)
        place = int(np.argmin(cost))
        best[end], before[end] = cost[place], starts[place]
    edges = [bars]
    while edges[-1]:
        edges.append(int(before[edges[-1]]))
    # A bar alone at the end is what rings on.
    if edges[1] == bars - 1 > 0:
        del edges[1]
    return edges[::-1]


def _without_breaks(rows: np.ndarray) -> np.ndarray:
    """Rows in which a lone bar unlike all around it, as when the drums pause, is what its neighbours are."""
    bars = len(rows)
    if bars <= 2 * max(NEAR_BARS):
        return rows
    around = np.pad(rows, ((max(NEAR_BARS),) * 2, (0, 0)), constant_values=np.inf)
    at = {lag: around[max(NEAR_BARS) + lag : max(NEAR_BARS) + lag + bars] for lag in NEAR_BARS}
    nearest = np.min([((rows - other) ** 2).sum(axis=1) for other in at.values()], axis=0)
    inner = slice(1, -1)
    breaks = np.zeros(bars, bool)
    breaks[inner] = ((at[1][inner] - at[-1][inner]) ** 2).sum(axis=1) < BREAK * nearest[inner]
    return np.where(breaks[:, None], (np.roll(rows, 1, axis=0) + np.roll(rows, -1, axis=0)) / 2, rows)


def _oddness(lengths: np.ndarray) -> np.ndarray:
    """How unlike a phrase a length in bars is, in penalties."""
    return np.where(lengths % 8 == 0, 0.0, np.where(lengths % 4 == 0, 0.1, np.where(lengths % 2 == 0, 0.4, 0.7)))


def centre(rows: np.ndarray) -> np.ndarray:
    """The typical row of a stretch of bars; fills and crashes in single bars leave it as it is."""
    return np.median(rows, axis=0)
