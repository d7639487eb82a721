"""Whether a texture may be delivered: what is measured of each kind, and what it may not be.

Limits are those of the measures' own modules or a little stricter than what is promised, so that another way of
measuring the same still finds it kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from handlers.audio.defects import count_flat_tops, measure_dc
from handlers.audio.levels import find_true_peak
from handlers.audio.motion import (
    measure_echo,
    measure_hit,
    measure_levels,
    measure_range,
    measure_repetition,
    measure_rise,
)
from handlers.audio.seam import measure_dip, measure_seam
from handlers.audio.timbre import (
    analyse,
    describe,
    measure_distance,
    measure_flatness,
    measure_share,
    measure_spread,
    mix_down,
)
from handlers.textures.params import Kind

MOST_DC_DBFS = -60.0
MOST_RANGE_DB = {"pads": 5.0, "hiss": 3.5}
LEVEL_WINDOW_S = 0.1
MOST_HIT_DB = 8.0
"""Measured: frozen music 3 to 6, filtered noise 3, a drum pattern 15 to 30."""
LEAST_CORRELATION, LEAST_RISE_DB = 0.95, 20.0
MOST_REPETITION = 0.5
LEAST_SPREAD = 0.55
HISS_FROM_HZ, HISS_TO_HZ = 4000.0, 16_000.0
LEAST_SHARE, LEAST_FLATNESS, LEAST_FLATNESS_OF_ALL = 0.75, 0.15, 0.11
LEAST_DIP_DB, MOST_STEP = -1.5, 1.7
"""Of seams, where the measure's own limits are -2 and 2."""
LEAST_FLICKER_DB = 12.0
"""Range of a flicker's levels, 20 ms each: less is a sound that stands."""
LEAST_DISTANCE_DB = 0.5
"""Between two textures of one kind: under it they are one sound twice. Two passages of the same noise are 0.2 apart."""


@dataclass(frozen=True)
class Verdict:
    """What was measured of a texture, and what is wrong with it."""

    measures: dict[str, object]
    faults: list[str]
    colour: np.ndarray
    """For the distance of later ones of its kind."""


def judge(
    kind: Kind, audio: np.ndarray, sample_rate: int, *, fade: int, peak_dbtp: float, others: list[np.ndarray]
) -> Verdict:
    """Measure a texture.

    Parameters
    ----------
    audio
        float32 ``(channels, samples)``, full scale ±1.
    fade
        Samples of its crossfade, if it is a loop.
    peak_dbtp
        What its true peak may not exceed.
    others
        Colours of the textures of its kind so far.
    """
    if not np.isfinite(audio).all() or not np.any(audio):
        return Verdict({}, ["is silent or not a number"], np.zeros(1))
    loop = kind in ("pads", "clouds", "hiss")
    # Noise is judged as it sounds from one speaker: there two channels may cancel their highs, and look less flat.
    heard = mix_down(audio) if kind in ("hiss", "flickers") else audio
    if kind == "flickers":  # Begins with a hit, which the first window would hide.
        heard = np.pad(heard, ((0, 0), (round(0.05 * sample_rate), 0)))
    spectrogram = analyse(heard, sample_rate, loop=loop)
    bands, mean_power = spectrogram.bands(), spectrogram.power.mean(axis=0, dtype=np.float64)
    colour = describe(bands.mean(axis=0))
    true_peak_dbtp = find_true_peak(audio, sample_rate)
    dc_dbfs = max(measure_dc(audio), -200.0)
    flat_tops = count_flat_tops(audio)
    measures: dict[str, object] = {"true_peak_dbtp": true_peak_dbtp, "dc_dbfs": dc_dbfs, "flat_tops": flat_tops}
    faults = []
    if true_peak_dbtp > peak_dbtp:
        faults.append(f"true peak {true_peak_dbtp:.2f} dBTP > {peak_dbtp:g}")
    if dc_dbfs > MOST_DC_DBFS:
        faults.append(f"DC {dc_dbfs:.1f} dBFS > {MOST_DC_DBFS:g}")
    if flat_tops:
        faults.append(f"{flat_tops} flat tops")
    if others:
        distance = min(measure_distance(colour, other) for other in others)
        measures["distance_db"] = distance
        if distance < LEAST_DISTANCE_DB:
            faults.append(f"only {distance:.2f} dB from another, < {LEAST_DISTANCE_DB:g}")
    if loop:
        seam = measure_seam(audio, sample_rate, fade)
        measures["seam"] = seam.facts()
        faults += seam.faults()
        # A loop that needed no crossfade has no end of its fade: another meter may begin nearer to its seam.
        dip_db = min(seam.dip_db, measure_dip(mix_down(audio)[0], fade // 2))
        if dip_db < LEAST_DIP_DB:
            faults.append(f"dip {dip_db:.2f} dB < {LEAST_DIP_DB:g} dB")
        if max(seam.timbre, seam.level) > MOST_STEP:
            faults.append(f"step {max(seam.timbre, seam.level):.2f} > {MOST_STEP:g}")
    for name, value, least, most in _of_kind(kind, audio, sample_rate, spectrogram, bands, mean_power):
        measures[name] = value
        if value < least:
            faults.append(f"{name} {value:.2f} < {least:g}")
        if value > most:
            faults.append(f"{name} {value:.2f} > {most:g}")
    rounded = {key: round(value, 3) if isinstance(value, float) else value for key, value in measures.items()}
    return Verdict(rounded, faults, colour)


def _of_kind(kind, audio, sample_rate, spectrogram, bands, mean_power) -> Iterator[tuple[str, float, float, float]]:  # noqa: ANN001, PLR0913
    """Yield name, value, least and most."""
    hertz, top_hz = spectrogram.hertz, min(HISS_TO_HZ, 0.45 * sample_rate)
    match kind:
        case "pads":
            levels = measure_levels(audio, sample_rate, LEVEL_WINDOW_S)
            yield "level_range_db", measure_range(levels), 0, MOST_RANGE_DB[kind]
            # Four frames are as long as those that the limit was measured with.
            whole = bands[: len(bands) // 4 * 4].reshape(-1, 4, bands.shape[1]).mean(axis=1)
            yield "hit_db", measure_hit(whole), 0, MOST_HIT_DB
        case "swells":
            correlation, rise = measure_rise(measure_levels(audio, sample_rate, LEVEL_WINDOW_S))
            yield "rise_correlation", correlation, LEAST_CORRELATION, 1.01
            yield "rise_db", rise, LEAST_RISE_DB, math.inf
        case "clouds":
            yield "repetition", measure_repetition(bands, spectrogram.frame_s), -1, MOST_REPETITION
            yield "echo", measure_echo(audio[0], sample_rate), 0, MOST_REPETITION
            yield "spread_octaves", measure_spread(mean_power, hertz), LEAST_SPREAD, math.inf
        case "hiss":
            yield "share_above_4k", measure_share(mean_power, hertz, HISS_FROM_HZ), LEAST_SHARE, 1.01
            yield "flatness", measure_flatness(spectrogram, HISS_FROM_HZ, top_hz), LEAST_FLATNESS, 1.01
            # Others measure it from 0 Hz, where a band alone is never flat.
            yield "flatness_of_all", measure_flatness(spectrogram, 0, sample_rate / 2), LEAST_FLATNESS_OF_ALL, 1.01
            levels = measure_levels(audio, sample_rate, LEVEL_WINDOW_S / 2)
            yield "level_range_db", measure_range(levels), 0, MOST_RANGE_DB[kind]
        case "flickers":
            yield "share_above_4k", measure_share(mean_power, hertz, HISS_FROM_HZ), LEAST_SHARE, 1.01
            levels = measure_levels(audio, sample_rate, 0.02)
            yield "level_range_db", measure_range(levels), LEAST_FLICKER_DB, math.inf
