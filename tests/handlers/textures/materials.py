"""Material with steady parts at known places, and a reader of WAV loop points that shares no code with the writer.

float32 of shape ``(2, samples)`` at 44.1 kHz, full scale ±1.
"""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
from scipy.signal import butter, sosfilt

SAMPLE_RATE = 44_100


def filtered_noise(duration_s: float, low_hz: float = 200.0, high_hz: float = 2000.0, seed: int = 0) -> np.ndarray:
    """Band-passed noise, unlike in both channels."""
    white = np.random.default_rng(seed).standard_normal((2, round(duration_s * SAMPLE_RATE)))
    return (0.2 * sosfilt(butter(2, [low_hz, high_hz], "band", fs=SAMPLE_RATE, output="sos"), white)).astype(np.float32)


def detuned_chord(duration_s: float, seed: int = 0) -> np.ndarray:
    """Four notes, three harmonics, three voices each, some cents apart."""
    random = np.random.default_rng(seed)
    time_s = np.arange(round(duration_s * SAMPLE_RATE)) / SAMPLE_RATE
    sound = np.zeros((2, len(time_s)), np.float32)
    for note_hz in (110.0, 164.8, 220.0, 277.2):
        for harmonic in (1, 2, 3):
            for channel in (0, 1, 0, 1, 0, 1):
                hz = note_hz * harmonic * (1 + 0.002 * random.standard_normal())
                sound[channel] += 0.02 / harmonic * np.sin(2 * np.pi * hz * time_s + random.uniform(0, 2 * np.pi))
    return sound


def drums(duration_s: float, tempo_bpm: float = 120.0, seed: int = 0) -> np.ndarray:
    """Bursts of decaying noise and thumps, twice a beat."""
    length = round(duration_s * SAMPLE_RATE)
    time_s = np.arange(SAMPLE_RATE // 4) / SAMPLE_RATE
    burst = np.random.default_rng(seed).standard_normal(len(time_s)) * np.exp(-time_s / 0.04) * 0.2
    thump = np.sin(2 * np.pi * 60 * time_s) * np.exp(-time_s / 0.08) * 0.6
    sound = np.zeros(length + len(time_s))
    for number, start in enumerate(np.arange(0, length, SAMPLE_RATE * 30 / tempo_bpm).astype(int)):
        sound[start : start + len(time_s)] += burst if number % 2 else thump
    return np.repeat(sound[None, :length].astype(np.float32), 2, axis=0)


def read_chunks(path: Path) -> dict[bytes, bytes]:
    """Every chunk of a RIFF WAVE file by its name; fails where sizes do not add up."""
    data = path.read_bytes()
    assert data[:4] == b"RIFF" and data[8:12] == b"WAVE"
    assert struct.unpack("<I", data[4:8])[0] == len(data) - 8
    chunks, at = {}, 12
    while at < len(data):
        name, size = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        assert name not in chunks and at + 8 + size <= len(data)
        chunks[name] = data[at + 8 : at + 8 + size]
        at += 8 + size + size % 2
    return chunks


def read_loop(path: Path) -> tuple[int, int]:
    """First and last sample of the one loop of a WAV file, both played."""
    chunk = read_chunks(path)[b"smpl"]
    period_ns, note, loops = (int.from_bytes(chunk[at : at + 4], "little") for at in (8, 12, 28))
    assert loops == 1 and len(chunk) == 36 + 24 and note == 60
    assert period_ns == round(1e9 / int.from_bytes(read_chunks(path)[b"fmt "][4:8], "little"))
    kind, first, last, fraction, times = struct.unpack("<5I", chunk[40:60])
    assert (kind, fraction, times) == (0, 0, 0)
    return first, last
