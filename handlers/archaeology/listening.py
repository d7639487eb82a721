"""What a selection can ask of the sound itself: loudness, steadiness, noisiness, tempo. One decoding for all of them.

What was measured of a file is remembered while its path, length, time of change and inode are the same.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import median_filter

from handlers.archaeology.rules import MEASURED
from handlers.audio.grid.features import FeatureStream
from handlers.audio.grid.track import find_grid_in
from handlers.audio.loudness import integrated
from handlers.audio.reader import Reader
from handlers.contract import Context, Invalid

BLOCK = 1 << 18
FRAME_S = 0.093
"""Length of what level and flatness are measured in; the nearest power of two in samples is taken."""
SURROUNDINGS_S = 4.0
STEADY_DB = 3.0
SILENT_DB = 50.0
"""Frames so far under the loudest say nothing of steadiness or noise."""
FLATNESS_HZ = (100.0, 10_000.0)
"""Above, lossy codecs leave nothing, which would pass for a tone."""
WHITE = math.exp(-np.euler_gamma)
"""Flatness of one spectrum of white noise: its bins are exponentially distributed."""


def measure(row: Mapping[str, Any], keys: Sequence[str], context: Context) -> dict[str, float | None]:
    """Measure a recording of a catalogue.

    Parameters
    ----------
    row
        Its `path` is read.
    keys
        Of :data:`~handlers.archaeology.rules.MEASURED`.

    Returns
    -------
    dict
        By column: `loudness_lufs`, `steadiness`, `noisiness`, `tempo_bpm`; `None` for silence, or no beat.

    Raises
    ------
    Invalid
        When the file is not there, damaged, or holds NaN.
    """
    path = Path(row["path"])
    try:
        about = os.stat(path)
    except OSError as error:
        raise Invalid(f"{path}: cannot be read: {error.strerror}; run discover again") from error
    identity = f"1\0{path}\0{about.st_size}\0{about.st_mtime_ns}\0{about.st_ino}"
    memory = context.cache_dir / f"{hashlib.sha256(identity.encode()).hexdigest()[:32]}.json"
    known = _recall(memory)
    if missing := [key for key in keys if MEASURED[key][0] not in known]:
        known |= listen(path, missing, context)
        new = memory.with_suffix(f".{os.getpid()}.new")
        new.write_text(json.dumps(known))
        os.replace(new, memory)
    return {MEASURED[key][0]: known[MEASURED[key][0]] for key in keys}


def _recall(memory: Path) -> dict[str, float | None]:
    try:
        known = json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def listen(path: Path, keys: Sequence[str], context: Context) -> dict[str, float | None]:
    """Measure a file, by column."""
    with Reader(path) as reader:
        rate = reader.info.sample_rate
        frames = Frames(rate) if {"steadiness", "noisiness"} & set(keys) else None
        beats = FeatureStream(rate) if "tempo" in keys else None

        def blocks() -> Iterator[np.ndarray]:
            for block in reader.blocks(BLOCK):
                context.check_cancelled()
                if frames:
                    frames.feed(block)
                if beats:
                    beats.feed(block)
                yield block

        lufs = None
        if "loudness" in keys:
            lufs = integrated(blocks(), rate, reader.info.channels)
        else:
            for _ in blocks():
                pass
    found: dict[str, float | None] = {}
    if "loudness" in keys:
        found["loudness_lufs"] = None if lufs is None or math.isinf(lufs) else round(lufs, 2)
    if frames and "steadiness" in keys:
        found["steadiness"] = frames.steadiness()
    if frames and "noisiness" in keys:
        found["noisiness"] = frames.noisiness()
    if beats:
        grid = find_grid_in(beats.finish(), pulse=lambda done: context.check_cancelled())
        found["tempo_bpm"] = round(grid.tempo_bpm, 2) if grid.has_beat else None
    return found


class Frames:
    """Level and flatness of a recording fed block by block, frame after frame.

    Parameters
    ----------
    sample_rate
        Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._length = 2 ** round(math.log2(sample_rate * FRAME_S))
        self._frames_per_s = sample_rate / self._length
        bins = np.fft.rfftfreq(self._length, 1 / sample_rate)
        self._band = (bins >= FLATNESS_HZ[0]) & (bins <= min(FLATNESS_HZ[1], 0.45 * sample_rate))
        self._window = np.hanning(self._length).astype(np.float32)
        self._rest = np.zeros(0, np.float32)
        self._levels: list[np.ndarray] = []
        self._flatness: list[np.ndarray] = []

    def feed(self, block: np.ndarray) -> None:
        """Take the next ``(channels, samples)``."""
        mono = np.concatenate([self._rest, block.mean(axis=0)])
        whole = len(mono) // self._length * self._length
        self._rest = mono[whole:]
        frames = mono[:whole].reshape(-1, self._length)
        frames = frames - frames.mean(axis=1, keepdims=True)
        self._levels.append(10 * np.log10(np.square(frames, dtype=np.float64).mean(axis=1) + 1e-12))
        power = np.abs(np.fft.rfft(frames * self._window, axis=1)[:, self._band]) ** 2 + 1e-12
        self._flatness.append(np.exp(np.log(power).mean(axis=1)) / power.mean(axis=1))

    def steadiness(self) -> float | None:
        """Share of the sounding frames, 0..1, whose level is within `STEADY_DB` of the median around them."""
        levels, sounding = self._sounding()
        if not sounding.any():
            return None
        around = median_filter(levels, size=max(3, round(SURROUNDINGS_S * self._frames_per_s)), mode="nearest")
        return round(float((np.abs(levels - around) <= STEADY_DB)[sounding].mean()), 3)

    def noisiness(self) -> float | None:
        """Mean spectral flatness of the sounding frames: 0 for tones, 1 for white noise."""
        _, sounding = self._sounding()
        if not sounding.any():
            return None
        return round(min(1.0, float(np.concatenate(self._flatness)[sounding].mean()) / WHITE), 3)

    def _sounding(self) -> tuple[np.ndarray, np.ndarray]:
        levels = np.concatenate(self._levels) if self._levels else np.zeros(0)
        loudest = levels.max(initial=-120.0)
        return levels, (levels > loudest - SILENT_DB) & (levels > -100)
