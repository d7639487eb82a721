"""A filter transition: the spectrum changes hands from the bass to the treble.

A high-pass closes on the leaving piece while a low-pass opens on the entering one. Both are one crossfade whose time
depends on the frequency, equal power at each: unlike pieces keep their level, and no bass is heard twice. Done on
overlapping spectra, so without delay and exact where either filter is open.
"""

from __future__ import annotations

import numpy as np

from handlers.audio.crossfade import gains

LOWEST_HZ, HIGHEST_HZ = 40.0, 16_000.0
"""What is under and over is handed over with these."""
WIDTH_OCTAVES = 2.0
"""Of the edge that moves."""
WINDOW_S = 0.08
"""Of one spectrum: short beside the sweep, long beside a bass note."""
_CHUNK = 64


def window(sample_rate: int) -> int:
    """Length of a spectrum's window in samples, also what :func:`sweep` needs on either side of the overlap."""
    return 1 << round(np.log2(WINDOW_S * sample_rate))


def sweep(leaving: np.ndarray, entering: np.ndarray, sample_rate: int) -> np.ndarray:
    """Play the overlap.

    Parameters
    ----------
    leaving, entering
        ``(channels, samples)``: the overlap and :func:`window` samples on either side of it, silence where none are.
    sample_rate
        Hz.

    Returns
    -------
    audio
        ``(channels, frames)`` of the overlap: at its start the leaving piece, at its end the entering one.
    """
    size = window(sample_rate)
    hop, frames = size // 4, leaving.shape[1] - 2 * size
    shape = np.sqrt(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)).astype(np.float32)
    octaves = np.log2(np.clip(np.fft.rfftfreq(size, 1 / sample_rate), LOWEST_HZ, HIGHEST_HZ) / LOWEST_HZ)
    span = np.log2(HIGHEST_HZ / LOWEST_HZ) + WIDTH_OCTAVES
    mixed = np.zeros((len(leaving), frames + 2 * size), np.float32)
    starts = np.arange(0, frames + size + 1, hop)
    for first in range(0, len(starts), _CHUNK):
        some = starts[first : first + _CHUNK]
        middle = np.clip((some + size / 2 - size) / frames, 0.0, 1.0)
        # Where the moving edge is above a frequency by half its width, that is the entering piece's.
        handed = np.clip((middle[:, None] * span - octaves[None, :]) / WIDTH_OCTAVES, 0.0, 1.0)
        angle = (handed * (np.pi / 2)).astype(np.float32)
        for channel in range(len(leaving)):
            spectra = 0.0
            for audio, gain in ((leaving, np.cos(angle)), (entering, np.sin(angle))):
                windows = np.lib.stride_tricks.sliding_window_view(audio[channel], size)[some] * shape
                spectra = spectra + np.fft.rfft(windows, axis=1) * gain
            made = np.fft.irfft(spectra, size, axis=1) * (shape / 2)
            for start, part in zip(some, made, strict=True):
                mixed[channel, start : start + size] += part
    mixed = mixed[:, size : size + frames]
    # A spectrum spreads a change over its window: at either end the pieces' own samples lead in and out.
    edge = min(hop, frames // 2)
    down, up = gains(edge, "linear")
    mixed[:, :edge] = leaving[:, size : size + edge] * down + mixed[:, :edge] * up
    mixed[:, frames - edge :] = (
        mixed[:, frames - edge :] * down + entering[:, size + frames - edge : size + frames] * up
    )
    return mixed
