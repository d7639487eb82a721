"""Opus holds 48000 Hz and a few lower rates: what has another is converted on its way into the file (soxr VHQ)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from handlers.audio.delivery.choices import OPUS_RATE
from handlers.audio.formats import OPUS_RATES, Encoding
from handlers.audio.resample import Resampler
from handlers.audio.writer import Writer


class ConvertingWriter(Writer):
    """A writer that is fed at one rate and writes at :data:`OPUS_RATE`."""

    def __init__(self, path: Path, sample_rate: int, channels: int, how: Encoding, tags: Mapping[str, str]) -> None:
        super().__init__(path, OPUS_RATE, channels, how=how, tags=tags)
        self._resampler = Resampler(sample_rate, OPUS_RATE, channels)
        self._flushed = False

    def write(self, audio: np.ndarray) -> None:
        """Append ``(channels, samples)``."""
        super().write(self._resampler.process(audio))

    def close(self) -> None:
        """Write what the filter still holds, and finish the file; a second time does nothing."""
        if not self._flushed:
            self._flushed = True
            super().write(self._resampler.flush())
        super().close()


def writer_of(path: Path, sample_rate: int, channels: int, how: Encoding, tags: Mapping[str, str]) -> Writer:
    """A writer for audio of that rate, converting only where Opus cannot hold it."""
    if how.subtype == "OPUS" and sample_rate not in OPUS_RATES:
        return ConvertingWriter(path, sample_rate, channels, how, tags)
    return Writer(path, sample_rate, channels, how=how, tags=tags)
