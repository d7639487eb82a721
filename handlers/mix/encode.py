"""Writing a mix in all its formats at once, and reading back what was written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from handlers.audio.columns import Columns
from handlers.audio.files import Reader, Writer, probe
from handlers.audio.formats import Encoding
from handlers.audio.loudness import Loudness, Meter
from handlers.contract import Context
from handlers.mix.timeline import Timeline


def encode(
    blocks: Iterable[np.ndarray],
    timeline: Timeline,
    files: Sequence[tuple[Path, Encoding]],
    columns: Columns,
    tags: dict[str, str],
) -> None:
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
        Fed with the same audio.
    tags
        Written into every file.
    """
    with ExitStack() as stack:
        writers = [
            stack.enter_context(Writer(path, timeline.sample_rate, timeline.channels, how=how, tags=tags))
            for path, how in files
        ]
        # Encoders leave the interpreter's lock: MP3, the slowest, then costs no more time than it takes by itself.
        pool = stack.enter_context(ThreadPoolExecutor(len(writers)))
        for block in blocks:
            pending = [pool.submit(writer.write, block) for writer in writers]
            columns.feed(block.astype(np.float32, copy=False))
            for written in pending:
                written.result()


def check(files: Sequence[tuple[Path, Encoding]], timeline: Timeline, context: Context) -> Loudness:
    """Read back what was written: every length exact, and the first file measured whole.

    Returns
    -------
    loudness
        Of the first file, as a listener's decoder gives it.
    """
    for path, _ in files:
        if (found := probe(path).frames) != timeline.frames:
            raise RuntimeError(f"{path.name} holds {found} samples, planned were {timeline.frames}")
    total_s = timeline.frames / timeline.sample_rate
    meter = Meter(timeline.sample_rate, timeline.channels)
    with Reader(files[0][0]) as reader:
        for block in reader.blocks():
            context.check_cancelled()
            meter.feed(block)
            context.progress("checking", reader.position / timeline.sample_rate, total_s, "s")
    return meter.result()
