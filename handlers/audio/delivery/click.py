"""A recording with a click on every beat, to hear whether a grid is right. The clicks are librosa's (`librosa.clicks`).

Downbeats click an octave above the other beats. Read and written in blocks; importing librosa's part costs a second, so
it is done when the first click is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from handlers.audio.files import BLOCK, Reader, Writer

BEAT_HZ, DOWNBEAT_HZ = 880.0, 1760.0
CLICK_S = 0.05
MUSIC, CLICK = 0.6, 0.4
"""Shares: together they stay within full scale, and a loud mix does not cover a click."""


def write_clicks(
    path: Path | str,
    source: Path | str,
    beats_s: Sequence[float],
    downbeats_s: Sequence[float],
    *,
    pulse: Callable[[float], None] = lambda done: None,
) -> None:
    """Mix clicks into a copy of a recording.

    Parameters
    ----------
    path
        The file to write; its suffix chooses the format.
    source
        The recording, of any length.
    beats_s, downbeats_s
        Times in seconds; a beat that is a downbeat too clicks as one.
    pulse
        Called with the share done, 0..1; may raise to stop.
    """
    with Reader(source) as reader:
        rate = reader.info.sample_rate
        downbeats = np.round(np.asarray(downbeats_s) * rate).astype(int)
        beats = np.setdiff1d(np.round(np.asarray(beats_s) * rate).astype(int), downbeats)
        before = round(CLICK_S * rate)
        with Writer(path, rate, reader.info.channels) as writer:
            for block in reader.blocks(BLOCK):
                start = reader.position - block.shape[1]
                mixed = MUSIC * block
                for places, pitch_hz in ((beats, BEAT_HZ), (downbeats, DOWNBEAT_HZ)):
                    # A click that began in the block before rings on in this one.
                    near = places[(places > start - before) & (places < reader.position)] - (start - before)
                    if len(near):
                        mixed += CLICK * _clicks(near, rate, pitch_hz, before + block.shape[1])[before:]
                writer.write(mixed)
                pulse(reader.position / reader.info.frames)


def _clicks(places: np.ndarray, sample_rate: int, pitch_hz: float, frames: int) -> np.ndarray:
    import librosa

    return librosa.clicks(
        frames=places, hop_length=1, sr=sample_rate, click_freq=pitch_hz, click_duration=CLICK_S, length=frames
    )
