"""From a region of sound to a texture of each kind, before its level is set and it is judged.

float32 ``(channels, samples)``, full scale ±1; spans are samples of the region. `attempt` counts from 0: later attempts
go further from the recording to find what the first was refused for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from handlers.audio.loop import begin_well
from handlers.textures.freeze import GHOST, Colour, even, find_floor, freeze, freeze_hiss, high_pass, low_pass, tilt
from handlers.textures.grains import flicker, keep_band, strew
from handlers.textures.profiles import Profile

How = Literal["cut", "freeze", "grains"]
VARIATIONS = ((0.0, 0.0), (0.0, -3.0), (-12.0, 1.5), (7.0, 3.0), (-5.0, -1.5), (12.0, 0.0), (-7.0, 2.0), (5.0, -4.0))
"""Semitones and dB an octave by which later attempts are moved and tilted, where all that is left sounds alike."""
CLOUD_TILTS_DB = (0.0, 4.0, -3.0, 7.0, 2.0, 10.0, -1.5, 5.5)
"""The same for clouds; mostly upwards, where a boom alone would not spread."""
TILTS_DB = (0.0, 6.0, -6.0, 3.0, -3.0, 9.0, -9.0, 12.0, -12.0)
"""So every hiss of one place has another colour."""
AIR_OVER = 0.25
"""Share that the rest of the recording has beside an airy swell's air."""
RISE_DB = 40.0
END_S = 0.03
FASTEST_S = 0.12
"""A level's movements faster than this belong to the sound and stay."""
LEAST_HISS_HZ = 4200.0
"""Hiss begins here or higher, unless the profile says lower."""
FAINT = 3e-4
"""Share of the level in the band under which flickers are made of frozen hiss."""


@dataclass(frozen=True)
class Made:
    """What was made of a region."""

    audio: np.ndarray
    how: How
    spans: list[tuple[int, int]]
    facts: dict[str, object]


def make_pad(region: np.ndarray, length: int, sample_rate: int, rng: np.random.Generator, attempt: int) -> Made:
    """Freeze a pad."""
    shift, tilt_db = VARIATIONS[attempt % len(VARIATIONS)]
    [loop] = freeze(region, length, sample_rate, rng, shift=shift, tilt_db=tilt_db)
    loop = begin_well(even(loop, sample_rate, FASTEST_S), sample_rate)
    return Made(loop, "freeze", _all(region), _varied(shift, tilt_db))


def make_swell(
    region: np.ndarray,
    length: int,
    sample_rate: int,
    rng: np.random.Generator,
    attempt: int,
    *,
    variant: str,
    profile: Profile,
) -> Made:
    """Freeze a sound that gets louder and opens up; a drone stays dark and is made of what sounds on."""
    shift, tilt_db = VARIATIONS[attempt % len(VARIATIONS)]
    warm_hz, airy_hz = profile.drones.warm_lowpass_hz, min(profile.drones.airy_highpass_hz, 0.3 * sample_rate)
    colours: tuple[Colour, Colour]
    contrast = 1.0
    match variant:
        case "airy":
            floor = find_floor(region, sample_rate, airy_hz, AIR_OVER)
            air, veil = high_pass(airy_hz, floor=floor), low_pass(airy_hz * 1.3)
            colours = (lambda hertz: air(hertz) * veil(hertz), air)
        case "drone":
            colours, contrast = (low_pass(warm_hz * 0.5), low_pass(warm_hz * 2)), 1.6
        case _:
            colours = (low_pass(warm_hz / 4), low_pass(warm_hz, 1))
    closed, opened = freeze(
        region, length, sample_rate, rng, colours=colours, shift=shift, tilt_db=tilt_db, contrast=contrast
    )
    share = (np.arange(length, dtype=np.float32) + 0.5) / length
    level = np.sqrt(np.mean(opened**2) / max(float(np.mean(closed**2)), 1e-20))
    out, into = np.cos(share * np.pi / 2), np.sin(share * np.pi / 2)
    sound = even(closed * (min(level, 30.0) * out) + opened * into, sample_rate, FASTEST_S)
    sound *= 10 ** (RISE_DB * (share - 1) / 20)
    end = min(length // 20, round(END_S * sample_rate)) or 1
    sound[:, -end:] *= np.cos(np.linspace(0, np.pi / 2, end, dtype=np.float32))
    sound[:, :end] *= np.linspace(0, 1, end, dtype=np.float32)
    return Made(sound, "freeze", _all(region), _varied(shift, tilt_db))


def make_cloud(
    region: np.ndarray,
    length: int,
    sample_rate: int,
    rng: np.random.Generator,
    attempt: int,
    *,
    profile: Profile,
) -> Made:
    """Strew a cloud."""
    pitch = profile.clouds.pitch_shift_range
    tilt_db = CLOUD_TILTS_DB[attempt % len(CLOUD_TILTS_DB)]
    cloud, spans = strew(
        region, length, sample_rate, rng,
        lowest=pitch.min, highest=pitch.max, colour=tilt(tilt_db) if tilt_db else None, edges_only=attempt >= 2,
    )  # fmt: skip
    cloud = begin_well(even(cloud, sample_rate, 2 * FASTEST_S), sample_rate)
    return Made(cloud, "grains", spans, {"semitones": [pitch.min, pitch.max], **_varied(0.0, tilt_db)})


def make_hiss(
    region: np.ndarray,
    length: int,
    sample_rate: int,
    rng: np.random.Generator,
    attempt: int,
    *,
    number: int,
    profile: Profile,
) -> Made:
    """Freeze the highs as noise."""
    low_hz, high_hz = hiss_band(profile, sample_rate)
    hiss, octaves = freeze_hiss(
        region, length, sample_rate, rng, low_hz=low_hz, high_hz=high_hz,
        tilt_db=TILTS_DB[(number - 1 + 3 * attempt) % len(TILTS_DB)], closeness=(0.8, 0.6, 0.4, 0.2)[min(attempt, 3)],
        ghost_share=GHOST / 2**attempt,
    )  # fmt: skip
    hiss = begin_well(even(hiss, sample_rate, FASTEST_S / 2), sample_rate)
    return Made(hiss, "freeze", _all(region), {"octaves_up": octaves} if octaves else {})


def make_flicker(
    region: np.ndarray, length: int, sample_rate: int, rng: np.random.Generator, attempt: int, *, profile: Profile
) -> Made:
    """Set hits of the highs into a rhythm; where there are none, hiss."""
    low_hz, high_hz = hiss_band(profile, sample_rate)
    material = keep_band(region, sample_rate, low_hz, high_hz)
    energy, whole = float(np.mean(material**2)), float(np.mean(region**2))
    # Between hits its own tones may be all there is: less of them each time.
    ghost_share = GHOST / 4**attempt
    if attempt < 3 and energy > FAINT**2 * whole:
        material = material + np.float32(np.sqrt(ghost_share * energy / whole)) * region
        sound, spans = flicker(material, length, sample_rate, rng)
        return Made(sound, "grains", spans, {})
    hiss, octaves = freeze_hiss(
        region, region.shape[1], sample_rate, rng, low_hz=low_hz, high_hz=high_hz, ghost_share=ghost_share
    )
    sound, _ = flicker(hiss, length, sample_rate, rng)
    return Made(sound, "freeze", _all(region), {"octaves_up": octaves} if octaves else {})


def hiss_band(profile: Profile, sample_rate: int) -> tuple[float, float] | None:
    """Return the band of hiss in Hz as far as the rate has it; `None` where it holds nothing over 4 kHz."""
    low_hz, high_hz = profile.hiss.bandpass_low_hz, min(profile.hiss.bandpass_high_hz, 0.47 * sample_rate)
    if high_hz < low_hz * 1.2:
        low_hz = min(low_hz, LEAST_HISS_HZ)
    return (low_hz, high_hz) if high_hz >= low_hz * 1.1 else None


def _varied(shift: float, tilt_db: float) -> dict[str, object]:
    return {**({"shift_semitones": shift} if shift else {}), **({"tilt_db_per_octave": tilt_db} if tilt_db else {})}


def _all(region: np.ndarray) -> list[tuple[int, int]]:
    return [(0, region.shape[1])]
