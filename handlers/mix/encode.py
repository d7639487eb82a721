"""Writing a mix in all its formats at once, and reading back what was written."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from handlers.audio.columns import Columns
from handlers.audio.delivery.opus import writer_of
from handlers.audio.files import Reader
from handlers.audio.formats import Encoding
from handlers.audio.levels import Curve, Levels
from handlers.audio.loudness import Loudness
from handlers.audio.resample import resampled_length
from handlers.contract import Context
from handlers.mix.timeline import Timeline


@dataclass(frozen=True)
class Measured:
    """What a delivered file is, as a listener's decoder gives it."""

    loudness: Loudness
    short_term_max_lufs: float
    curve: Curve
    """Loudness over time."""

    def facts(self) -> dict[str, float | None]:
        """As JSON values, rounded to 0.01; `None` where there is no such loudness."""
        loudest = self.short_term_max_lufs
        shown = round(loudest, 2) if math.isfinite(loudest) else None
        return {**self.loudness.facts(), "short_term_max_lufs": shown}


def encode(
    blocks: Iterable[np.ndarray],
    timeline: Timeline,
    files: Sequence[tuple[Path, Encoding]],
    columns: Columns | None,
    tags: dict[str, str],
) -> float:
    """Write every file in one pass over the mix, each encoder in a thread of its own, and fill the picture's columns.

    Parameters
    ----------
    blocks
        ``(channels, samples)`` each, at the level they are to have.
    timeline
        Gives rate and channels.
    files
        What to write, and how.
    columns
        Fed with the same audio, if any.
    tags
        Written into every file.

    Returns
    -------
    peak
        The largest sample, full scale 1.
    """
    peak = 0.0
    with ExitStack() as stack:
        writers = [
            stack.enter_context(writer_of(path, timeline.sample_rate, timeline.channels, how, tags))
            for path, how in files
        ]
        # Encoders leave the interpreter's lock: MP3, the slowest, then costs no more time than it takes by itself. To
        # hand over what is written as it is costs more than to write it.
        pool = stack.enter_context(ThreadPoolExecutor(len(writers)))
        plain, encoders = ([w for w in writers if (w.encoding.format == "WAV") is wav] for wav in (True, False))
        for block in blocks:
            pending = [pool.submit(writer.write, block) for writer in encoders]
            for writer in plain:
                writer.write(block)
            peak = max(peak, float(block.max()), -float(block.min()))
            if columns:
                columns.feed(block.astype(np.float32, copy=False))
            for written in pending:
                written.result()
    return peak


def measure_files(
    files: Sequence[tuple[Path, Encoding]], timeline: Timeline, context: Context, *, before_s: float = 0.0
) -> dict[Path, Measured]:
    """Read back and measure what was written, every file whole; `before_s` were measured earlier.

    Raises
    ------
    RuntimeError
        When one does not have exactly the timeline's length.
    """
    total_s = timeline.frames / timeline.sample_rate
    found = {}
    whole_s = before_s + len(files) * total_s
    for number, (path, _) in enumerate(files):
        with Reader(path) as reader:
            rate = reader.info.sample_rate
            planned = resampled_length(timeline.frames, timeline.sample_rate, rate)
            if reader.info.frames != planned:
                raise RuntimeError(f"{path.name} holds {reader.info.frames} samples, planned were {planned}")
            levels = Levels(rate, timeline.channels, total_s)
            for block in reader.blocks():
                context.check_cancelled()
                levels.feed(block)
                done_s = before_s + number * total_s + reader.position / rate
                context.progress("checking", done_s, whole_s, "s")
        loudness, curve = levels.finish()
        found[path] = Measured(loudness, levels.short_term_max_lufs, curve)
    return found
