"""How well a loop hides that it is one: its seam, and the fade before it, against the loop's own statistics.

Each measure catches a failure that the others miss: a click shows in jump, slope and flux; another passage after the
seam in timbre and level; two signals that cancel in the fade only as a dip.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

import numpy as np
from scipy import fft

from handlers.audio.timbre import mix_down

MOST_JUMP, MOST_SLOPE = 2.0, 3.0
MOST_FLUX_Z, FLUX_PERCENTILE = 4.0, 99.0
ONSET_PERCENTILE = 99.9
MOST_STEP = 2.0
LEAST_DIP_DB = -2.0
WINDOW, HOP = 1024, 256
"""Samples of a frame of flux and level."""
BESIDE_S = 0.25
"""How much on either side of a place is compared for timbre and level."""
SAMPLED = 1 << 15
_FLOOR = 1e-10


@dataclass(frozen=True)
class Seam:
    """One loop's measures."""

    jump: float
    """Step from the last sample to the first, in medians of the loop's own steps."""
    jump_inside: bool
    """Whether that lies under the 99.9th percentile of the loop's own steps."""
    slope: float
    """The sharper of the two bends there, in medians of the loop's own bends."""
    slope_inside: bool
    """Likewise."""
    flux_z: float
    """Spectral flux across the seam, in standard deviations over the loop's mean."""
    flux_inside: bool
    """Whether it lies under the loop's own 99th percentile."""
    timbre: float
    """Distance of the bands after the seam from those before, in medians of the same taken along the loop."""
    level: float
    """Step of the level across the seam, likewise."""
    dip_db: float
    """Low level (10th percentile) within the crossfade, beside that of the rest of the loop, in dB."""

    def faults(self, *, at_an_onset: bool = False) -> Iterator[str]:
        """Yield what is wrong, with its value and limit; nothing for a seam that holds.

        At an onset, where a bar begins, the waveform is steep by nature: there a step or bend counts only if the loop
        has hardly another like it.
        """
        if self.jump > MOST_JUMP and not (at_an_onset and self.jump_inside):
            yield f"jump {self.jump:.2f} > {MOST_JUMP:g}"
        if self.slope > MOST_SLOPE and not (at_an_onset and self.slope_inside):
            yield f"slope {self.slope:.2f} > {MOST_SLOPE:g}"
        if self.flux_z > MOST_FLUX_Z and not self.flux_inside:
            yield f"flux z {self.flux_z:.2f} > {MOST_FLUX_Z:g}"
        if self.timbre > MOST_STEP:
            yield f"timbre step {self.timbre:.2f} > {MOST_STEP:g}"
        if self.level > MOST_STEP:
            yield f"level step {self.level:.2f} > {MOST_STEP:g}"
        if self.dip_db < LEAST_DIP_DB:
            yield f"dip {self.dip_db:.2f} dB < {LEAST_DIP_DB:g} dB"

    def facts(self) -> dict[str, float | bool]:
        """As JSON values, rounded to a thousandth."""
        return {name: value if isinstance(value, bool) else round(value, 3) for name, value in asdict(self).items()}


def measure_seam(loop: np.ndarray, sample_rate: int, fade: int) -> Seam:
    """Measure a loop ``(channels, samples)`` whose last `fade` samples are its crossfade."""
    around = np.concatenate([loop[:, -2:], loop[:, :2]], axis=1)
    # Of one in a few the distribution is the same, within a thousandth for a loop of seconds.
    every = max(1, loop.shape[1] // SAMPLED)
    here, after, then = loop[:, :-2:every], loop[:, 1:-1:every], loop[:, 2::every]
    steps, bends = np.abs(after - here), np.abs(then - 2 * after + here)
    jump, slope = np.abs(around[:, 2] - around[:, 1]), np.abs(np.diff(around, n=2, axis=1)).max(axis=1)
    jump_inside, slope_inside = (
        bool((value <= np.percentile(own, ONSET_PERCENTILE, axis=1)).all())
        for value, own in ((jump, steps), (slope, bends))
    )
    jump, slope = jump / _median(steps), slope / _median(bends)

    mono = mix_down(loop)[0]
    # Rolled so that the seam lies in the middle, where it is a place like any other.
    middle = len(mono) // 2
    power = _spectra(np.roll(mono, middle))
    at = (middle - WINDOW // 2) // HOP
    flux = np.maximum(np.diff(np.log(power + _FLOOR), axis=0), 0).mean(axis=1)
    reach = WINDOW // (2 * HOP)
    near = slice(max(0, at - reach), at + reach + 1)
    crossing = float(flux[near].max()) if flux[near].size else 0.0
    own = np.delete(flux, np.arange(near.start, min(near.stop, len(flux)))) if len(flux) > 2 * reach + 1 else flux
    flux_z = (crossing - own.mean()) / max(float(own.std()), 1e-6) if len(own) else 0.0
    inside = bool(crossing <= np.percentile(own, FLUX_PERCENTILE)) if len(own) else True

    timbre, level = _steps_beside(power, at, max(1, round(BESIDE_S * sample_rate / HOP)))
    return Seam(
        jump=float(jump.max()),
        jump_inside=jump_inside,
        slope=float(slope.max()),
        slope_inside=slope_inside,
        flux_z=float(flux_z),
        flux_inside=inside,
        timbre=timbre,
        level=level,
        dip_db=measure_dip(mono, fade),
    )


def _steps_beside(power: np.ndarray, at: int, width: int) -> tuple[float, float]:
    """Timbre and level steps at frame `at`, each in medians of the same along the loop."""
    edges = np.unique(np.geomspace(1, power.shape[1] - 1, 17).astype(int))
    bands = np.add.reduceat(power, edges, axis=1)
    sums = np.concatenate([np.zeros((1, bands.shape[1])), np.cumsum(bands, axis=0, dtype=np.float64)])
    places = np.arange(width, len(bands) - width + 1)
    if not len(places):
        return 0.0, 0.0
    before = (sums[places] - sums[places - width]) / width
    after = (sums[places + width] - sums[places]) / width
    # Bands 60 dB under the loudest say nothing.
    floor = _FLOOR + bands.mean(axis=0).max() * 1e-6
    timbre = np.abs(10 * np.log10((after + floor) / (before + floor))).mean(axis=1)
    level = np.abs(10 * np.log10((after.sum(axis=1) + _FLOOR) / (before.sum(axis=1) + _FLOOR)))
    seam = int(np.clip(at - width, 0, len(places) - 1))
    # A loop that does not move at all has a median near 0, beside which a tenth of a dB would be a step.
    return float(timbre[seam] / max(np.median(timbre), 0.25)), float(level[seam] / max(np.median(level), 0.25))


def measure_dip(mono: np.ndarray, fade: int) -> float:
    """Return how far the softest moments of the last `fade` samples lie under those of the rest, in dB; negative is softer."""
    frames = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[::HOP] if len(mono) >= WINDOW else mono[None]
    level = 10 * np.log10(np.einsum("fs,fs->f", frames, frames) / frames.shape[1] + _FLOOR)
    border = (len(mono) - fade - WINDOW) // HOP + 1
    rest, within = level[: max(1, border)], level[max(1, border) :]
    return float(np.percentile(within, 10) - np.percentile(rest, 10)) if len(within) else 0.0


def _spectra(mono: np.ndarray) -> np.ndarray:
    """Power spectra ``(frames, bins)``; of a loop shorter than a frame, one."""
    if len(mono) < WINDOW:
        mono = np.pad(mono, (0, WINDOW - len(mono)))
    frames = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[::HOP]
    power, taper = np.empty((len(frames), WINDOW // 2 + 1), np.float32), np.hanning(WINDOW).astype(np.float32)
    # In handfuls that stay in the processor's cache.
    for start in range(0, len(frames), 64):
        spectra = fft.rfft(frames[start : start + 64] * taper, axis=1)
        power[start : start + 64] = (spectra.real**2 + spectra.imag**2) / WINDOW
    return power


def _median(values: np.ndarray) -> np.ndarray:
    """Of each channel, never 0, which a channel that is silent would have."""
    return np.maximum(np.median(values, axis=1), 1e-7)
