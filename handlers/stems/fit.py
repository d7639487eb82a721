"""From a take to what is delivered: stereo at the rate asked for, on the grid, a loop, of exact length, not too loud.

Everything here is linear in the sound but for the stretch, so layers that sum to the take sum to what comes out.
Audio is float32 ``(channels, samples)``, full scale ±1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from handlers.audio.defects import count_flat_tops
from handlers.audio.loop import choose_start, cut_loop
from handlers.audio.loudness import Loudness, measure
from handlers.audio.resample import resample, resampled_length
from handlers.audio.seam import MOST_JUMP, Seam, measure_seam
from handlers.contract import Invalid
from handlers.stems.backend import Take
from handlers.stems.lengths import fade_s, in_bars, length_s, whole_bars
from handlers.stems.params import StemsParams

CEILING_DBTP = -0.3
"""A stem whose true peak lies above is turned down as a whole; nothing is turned up."""
SAFE_DBTP = -1.0
"""To here."""


@dataclass(frozen=True)
class Fitted:
    """A take as it would be delivered."""

    audio: np.ndarray
    sample_rate: int
    planned: int
    """Samples it has to have."""
    flat_tops: int
    """Counted before anything could round them."""
    loudness: Loudness
    layers: Mapping[str, np.ndarray] = field(default_factory=dict)
    grid: Mapping[str, Any] | None = None
    seam: Seam | None = None
    seam_faults: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    """What was done: gain_db, bars, stretch, ..."""


def is_finite(take: Take) -> bool:
    """Whether every sample is a number."""
    return bool(np.isfinite(take.audio).all())


def fit(take: Take, params: StemsParams) -> Fitted:
    """Fit a take whose samples are all finite.

    A take that is too short comes out too short; the length is judged with everything else.
    """
    rate = params.sample_rate
    audio = _stereo(resample(take.audio, take.sample_rate, rate))
    layers = {name: _stereo(resample(layer, take.sample_rate, rate)) for name, layer in take.layers.items()}
    facts: dict[str, Any] = {}
    if take.grid:
        cut, grid, (seam, faults) = _cut_known(audio, layers, take, params, facts)
    else:
        cut, grid, (seam, faults) = _cut_heard(audio, layers, take, params, facts)
    audio, layers, planned = cut
    loudness = measure(audio, rate)
    gain_db = min(0.0, SAFE_DBTP - loudness.true_peak_dbtp) if loudness.true_peak_dbtp > CEILING_DBTP else 0.0
    if gain_db:
        gain = np.float32(10 ** (gain_db / 20))
        audio, layers = audio * gain, {name: layer * gain for name, layer in layers.items()}
        loudness = loudness.shifted(gain_db)
    facts["gain_db"] = round(gain_db, 2)
    return Fitted(audio, rate, planned, count_flat_tops(take.audio), loudness, layers, grid, seam, faults, facts)


Cut = tuple[np.ndarray, dict[str, np.ndarray], int]
"""The audio, its layers, and the samples it should have."""
Joined = tuple[Seam | None, tuple[str, ...]]
"""A loop's seam, and what is wrong with it."""


def _cut_known(
    audio: np.ndarray,
    layers: dict[str, np.ndarray],
    take: Take,
    params: StemsParams,
    facts: dict[str, Any],
) -> tuple[Cut, dict[str, Any], Joined]:
    """Cut where the grid is the truth: it begins with a downbeat, its tempo is exact."""
    rate, tempo_bpm = params.sample_rate, float(take.grid["tempo_bpm"])
    length = resampled_length(round(length_s(params, tempo_bpm) * take.sample_rate), take.sample_rate, rate)
    if in_bars(params) or params.loop:
        facts["bars"] = whole_bars(params.duration, tempo_bpm)
    seam, faults = None, ()
    if params.loop:
        # What rings on after the end is heard at the start: then the last sample leads into the first.
        audio = _wrap(audio, length)
        layers = {name: _wrap(layer, length) for name, layer in layers.items()}
        seam = measure_seam(audio, rate, round(fade_s(length / rate, tempo_bpm) * rate))
        faults = _cut_off(take.audio)
    layers = {name: layer[:, :length] for name, layer in layers.items()}
    return (audio[:, :length], layers, length), cut_grid(take.grid, length / rate), (seam, faults)


def _cut_off(audio: np.ndarray) -> tuple[str, ...]:
    """What would click in a loop by construction: a start that is not silence, or an end that does not ring out.

    All else is continuous, and what begins at the seam is the arrangement's.
    """
    step = np.maximum(np.median(np.abs(np.diff(audio, axis=1)), axis=1), 1e-7)
    edges = {"start": audio[:, 0], "end": audio[:, -1]}
    return tuple(f"{name} cut off" for name, edge in edges.items() if (np.abs(edge) > MOST_JUMP * step).any())


def _wrap(audio: np.ndarray, length: int) -> np.ndarray:
    """Lay what rings on after the end over the start, and over it again if it is longer than the loop."""
    loop = audio[:, :length].copy()
    for start in range(length, audio.shape[1], length):
        rest = audio[:, start : start + length]
        loop[:, : rest.shape[1]] += rest
    return loop


def _cut_heard(
    audio: np.ndarray, layers: dict[str, np.ndarray], take: Take, params: StemsParams, facts: dict[str, Any]
) -> tuple[Cut, dict[str, Any] | None, Joined]:
    """Cut what a model played, whose beats have to be heard."""
    rate = params.sample_rate
    length = round(params.duration * rate)
    if not in_bars(params) and not params.loop:
        return (
            (audio[:, :length], {name: layer[:, :length] for name, layer in layers.items()}, length),
            None,
            (None, ()),
        )
    if layers:
        raise Invalid("layers cannot be snapped or looped without a grid that is known; leave `layers` out")
    start, grid, tempo_bpm = 0, None, None
    if in_bars(params):
        from handlers.stems.snap import snap  # The tracker, which only this needs.

        snapped = snap(audio, rate, params, take.facts.get("asked_tempo_bpm"))
        audio, length, start = snapped.audio, snapped.length, snapped.start
        grid, tempo_bpm = snapped.grid, snapped.tempo_bpm
        facts.update(snapped.facts)
    if not params.loop:
        return (audio[:, start : start + length], {}, length), grid, (None, ())
    fade = round(fade_s(length / rate, tempo_bpm) * rate)
    if not grid:
        # No beat has to be first: it begins where it is heard least.
        start = choose_start(audio, fade, audio.shape[1] - length - fade + 1)
    if audio.shape[1] < start + length:
        return (audio[:, start:], {}, length), grid, (None, ())
    audio = cut_loop(audio, start, length, fade)
    facts["crossfade_s"] = round(fade / rate, 6)
    seam = measure_seam(audio, rate, fade)
    return (audio, {}, length), grid, (seam, tuple(seam.faults(at_an_onset=grid is not None)))


def cut_grid(grid: Mapping[str, Any], duration_s: float) -> dict[str, Any]:
    """Return a grid without what lies after `duration_s`."""
    kept = dict(grid, duration_s=duration_s)
    for name, value in grid.items():
        if name.endswith("_s") and isinstance(value, list):
            kept[name] = [time_s for time_s in value if time_s < duration_s]
    if sections := grid.get("sections"):
        kept["sections"] = [
            dict(section, end_s=min(section["end_s"], duration_s))
            for section in sections
            if section["start_s"] < duration_s
        ]
    return kept


def _stereo(audio: np.ndarray) -> np.ndarray:
    return np.repeat(audio, 2, axis=0) if audio.shape[0] == 1 else audio
