"""Grains: short pieces of a recording strewn anew, close by one another into clouds, apart into flickers.

Pitches come from a few copies of the region, each resampled once by its spectrum; a grain is a slice of one of them.
Audio is float32 ``(channels, samples)``, full scale ±1; spans are samples of the region.
"""

from __future__ import annotations

import numpy as np
from scipy import fft

GRAIN_S = (0.12, 0.22, 0.4)
OVERLAP = 7.0
"""Grains that sound at once, on average: fewer leave holes, more cost time and blur."""
INTERVALS = (-36, -31, -24, -19, -12, -7, -5, 0, 5, 7, 12, 19, 24, 31, 36)
"""Octaves, fourths and fifths: what sounds with any chord."""
DETUNE = 0.12
"""Semitones around them, so that equal tones do not stand still."""
HOME = 1.5
"""How much more often than all other pitches together a grain keeps the recording's own."""
STEPS = 16
"""Of a flicker's rhythm."""
LOWEST_HZ = 25.0


def strew(
    region: np.ndarray,
    length: int,
    sample_rate: int,
    rng: np.random.Generator,
    *,
    lowest: float,
    highest: float,
    edges_only: bool = False,
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Strew a cloud: a loop that grains run across the seam of.

    Parameters
    ----------
    lowest, highest
        Semitones between which grains are moved.
    edges_only
        Move every grain as far as it may go, up or down: for what is so narrow that less would hardly spread.

    Returns
    -------
    cloud, spans
        The loop, and the samples of the region that its grains come from.
    """
    inside = [interval for interval in INTERVALS if lowest <= interval <= highest]
    pitches = [lowest, highest] if edges_only or not inside else sorted({lowest, *inside, highest})
    # The recording's own pitch is heard most, so that its harmony stays.
    weights = np.array([HOME * len(pitches) if pitch == 0 else 1.0 for pitch in pitches])
    pitches = [float(np.clip(pitch + rng.uniform(-DETUNE, DETUNE), lowest, highest)) for pitch in pitches]
    copies = _copies(region, pitches, sample_rate)
    loudness, places_in = _where_it_sounds(region)
    cloud = np.zeros((len(region), length), np.float32)
    spans = []
    for grain_s in GRAIN_S:
        grain = min(round(grain_s * sample_rate), length // 4, min(copy.shape[1] for copy in copies) - 1)
        count = max(4, round(OVERLAP / len(GRAIN_S) * length / grain))
        taper = np.hanning(grain + 2)[1:-1].astype(np.float32)
        # Each pitch as often as it should be, not as often as it may happen.
        which = rng.permutation(np.searchsorted(np.cumsum(weights / weights.sum()), (np.arange(count) + 0.5) / count))
        # One from each stretch of region and loop, in no common order: all is used, nothing follows the recording.
        froms = rng.permutation(count) + rng.random(count)
        places = ((np.arange(count) + rng.random(count)) / count * length).astype(np.int64)
        shares = np.interp(froms / count, loudness, places_in)
        gains = 10 ** (rng.uniform(-7, 0, count) / 20)
        for copy_index, share, place, gain in zip(which, shares, places, gains, strict=True):
            copy = copies[copy_index]
            start = int(share * (copy.shape[1] - grain))
            piece = copy[:, start : start + grain] * (taper * np.float32(gain))
            first = min(grain, length - place)
            cloud[:, place : place + first] += piece[:, :first]
            cloud[:, : grain - first] += piece[:, first:]
            ratio = region.shape[1] / copy.shape[1]
            spans.append((round(start * ratio), min(region.shape[1], round((start + grain) * ratio))))
    return cloud, _joined(spans)


def flicker(
    material: np.ndarray, length: int, sample_rate: int, rng: np.random.Generator
) -> tuple[np.ndarray, list[tuple[int, int]]]:
    """Set the sharpest pieces of some material into a rhythm that dies away.

    Parameters
    ----------
    material
        What is in the band already.

    Returns
    -------
    flicker, spans
        The sound, its end silent, and the samples of the material it is made of.
    """
    step = length // STEPS
    grain = max(16, min(round(rng.uniform(1.2, 2.5) * step), material.shape[1] // 2))
    # Where power rises most within a few milliseconds.
    frame = max(8, round(0.004 * sample_rate))
    frames = material[:, : material.shape[1] // frame * frame].reshape(len(material), -1, frame)
    power = np.sqrt(np.einsum("cfs,cfs->f", frames, frames))
    rise = np.maximum(np.diff(power, prepend=power[:1]), 0)
    starts: list[int] = []
    for index in np.argsort(-rise, kind="stable"):
        start = min(max(0, int(index) * frame - frame // 2), material.shape[1] - grain)
        if all(abs(start - other) >= grain // 2 for other in starts):
            starts.append(start)
        if len(starts) == 4:
            break
    later = rng.choice(np.arange(2, STEPS - 3), int(rng.integers(3, 6)), replace=False)
    hits = [0, *sorted(int(hit) for hit in later)]
    made = np.zeros((len(material), length), np.float32)
    attack = max(4, round(0.001 * sample_rate))
    shape = np.exp(-np.arange(grain) / (grain / 4)).astype(np.float32)
    shape[:attack] *= np.linspace(0, 1, attack, endpoint=False, dtype=np.float32)
    shape *= np.minimum(1, np.linspace(8, 0, grain, dtype=np.float32))
    spans = []
    for hit in hits:
        start = starts[int(rng.integers(len(starts)))]
        piece = material[:, start : start + grain]
        loudest = max(float(np.abs(piece).max()), 1e-9)
        gain = np.float32(10 ** (-(12 * hit / STEPS + rng.uniform(0, 3)) / 20) / loudest)
        place = hit * step
        room = min(grain, length - place)
        made[:, place : place + room] += (piece * shape * gain)[:, :room]
        spans.append((start, start + grain))
    fade = max(2, step)
    made[:, -fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return made, _joined(spans)


def keep_band(audio: np.ndarray, sample_rate: int, low_hz: float, high_hz: float) -> np.ndarray:
    """Keep what lies between two frequencies, with slopes of 48 and 36 dB an octave."""
    length = fft.next_fast_len(audio.shape[1], real=True)
    spectra = fft.rfft(audio, n=length, axis=1)
    hertz = np.maximum(np.arange(spectra.shape[1]) * sample_rate / length, 1e-3)
    gain = 1 / np.sqrt((1 + (low_hz / hertz) ** 16) * (1 + (hertz / high_hz) ** 12))
    return fft.irfft(spectra * gain.astype(np.float32), n=length, axis=1)[:, : audio.shape[1]]


def _where_it_sounds(region: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Shares of all loudness up to places 0..1: drawn evenly from the first, silence is passed over."""
    edges = np.linspace(0, region.shape[1], 65).astype(np.int64)
    power = np.add.reduceat(np.einsum("cs,cs->s", region, region), edges[:-1]) / np.diff(edges)
    loudness = np.concatenate([[0.0], np.cumsum(np.sqrt(power, dtype=np.float64) + 1e-9)])
    return loudness / loudness[-1], np.linspace(0, 1, 65)


def _copies(region: np.ndarray, pitches: list[float], sample_rate: int) -> list[np.ndarray]:
    """The region at each pitch: of the same spectrum, more or fewer samples."""
    length = fft.next_fast_len(region.shape[1], real=True)
    spectra = fft.rfft(region, n=length, axis=1)
    spectra[:, : max(1, round(LOWEST_HZ * length / sample_rate))] = 0
    copies = []
    for pitch in pitches:
        samples = fft.next_fast_len(round(length / 2 ** (pitch / 12)), real=True)
        kept = spectra[:, : samples // 2]
        used = round(region.shape[1] * samples / length)
        copies.append(fft.irfft(kept, n=samples, axis=1)[:, :used] * np.float32(samples / length))
    return copies


def _joined(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same samples in as few spans as can be, in order."""
    joined: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        if joined and start <= joined[-1][1]:
            joined[-1] = joined[-1][0], max(end, joined[-1][1])
        else:
            joined.append((start, end))
    return joined
