"""A recording being mined: heard once from end to end for its features, then read again only where it is taken from."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from handlers.audio.reader import Reader
from handlers.audio.resample import resample
from handlers.contract import Invalid
from handlers.textures.features import Collector
from handlers.textures.portrait import Portrait
from handlers.textures.regions import SILENT_DBFS, Choice, Region

BLOCK = 1 << 18


class Deposit:
    """An open recording and what is left of it. Close it when done.

    Parameters
    ----------
    path
        The file.
    listen
        Given every block on the way.
    pulse
        Called with the share heard, 0..1; may raise to stop.

    Raises
    ------
    Invalid
        When the file is damaged, truncated, holds NaN, is silent or shorter than one window.
    """

    def __init__(
        self,
        path: Path,
        listen: Callable[[np.ndarray], None] = lambda block: None,
        pulse: Callable[[float], None] = lambda share: None,
    ) -> None:
        self.path = path
        self._reader = Reader(path)
        try:
            info = self._reader.info
            self.sample_rate, self.channels = info.sample_rate, info.channels
            collector = Collector(info.sample_rate)
            for block in self._reader.blocks(BLOCK):
                collector.feed(block)
                listen(block)
                pulse(self._reader.position / info.frames)
            features = collector.finish()
            self.length = features.length
            if not len(features.bands):
                raise Invalid(
                    f"{path}: lasts {self.length / info.sample_rate:.3f} s, less than "
                    f"{features.window / info.sample_rate:.3f} s: nothing can be mined from it"
                )
            self.choice = Choice(features)
            self.portrait = Portrait(features.mean_power, info.sample_rate / features.window, self.choice.mean_chroma)
            if self.choice.loud_db < SILENT_DBFS:
                raise Invalid(
                    f"{path}: is silent: its loud parts reach {max(self.choice.loud_db, -120):.0f} dBFS, "
                    f"under {SILENT_DBFS:g}; raise its level, or leave it out"
                )
        except BaseException:
            self._reader.close()
            raise

    def read(self, region: Region, sample_rate: int, channels: int) -> np.ndarray:
        """Return a region as ``(channels, samples)`` at a rate in Hz."""
        self._reader.seek(region.start)
        audio = self._reader.read(region.end - region.start)
        if audio.shape[0] != channels:
            mono = audio.mean(axis=0, keepdims=True, dtype=np.float32)
            audio = np.repeat(mono, channels, axis=0)
        return resample(audio, self.sample_rate, sample_rate)

    def close(self) -> None:
        """Close the file."""
        self._reader.close()
