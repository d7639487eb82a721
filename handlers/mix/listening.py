"""Listening before mixing: how loud each piece is, and how alike two neighbours are where they overlap."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from math import log10
from pathlib import Path

import numpy as np

from handlers.audio.crossfade import correlation
from handlers.audio.loudness import integrated
from handlers.audio.reader import Reader
from handlers.contract import Context
from handlers.mix.blend import overlapping
from handlers.mix.level import match_levels
from handlers.mix.timeline import Clip, Source, Timeline


def match_loudness(timeline: Timeline, target: float | None, context: Context) -> Timeline:
    """Give each piece the gain that brings it to `target` (LUFS), or without one to the median of all pieces."""
    sources = {clip.source.file.path: clip.source for clip in timeline.clips}
    if len(sources) < 2:
        return timeline
    known = _loudness_of(sources, timeline.channels, context)
    labels = {path: source.file.label for path, source in sources.items()}
    gains, remarks = match_levels({labels[path]: loudness for path, loudness in known.items()}, target)
    for remark in remarks:
        context.warn(f"match: {remark}")
    for path, loudness in known.items():
        gain_db = gains[labels[path]]
        context.log(
            f"{labels[path]}: {loudness:.1f} LUFS, {gain_db:+.1f} dB", source=labels[path], gain_db=round(gain_db, 2)
        )
    clips = (replace(clip, gain_db=gains[labels[clip.source.file.path]]) for clip in timeline.clips)
    return replace(timeline, clips=tuple(clips))


def compare_neighbours(timeline: Timeline, context: Context) -> Timeline:
    """Find how alike neighbours are in each crossfade that keeps their level."""

    def heard(clip: Clip, index: int) -> Clip:
        if clip.joint.kind != "crossfade" or clip.joint.curve != "keep_level":
            return clip

        def pairs() -> Iterator[tuple[np.ndarray, np.ndarray]]:
            for pair in overlapping(timeline, index):
                context.check_cancelled()
                yield pair

        return replace(clip, joint=replace(clip.joint, correlation=correlation(pairs())))

    return replace(timeline, clips=tuple(heard(clip, index) for index, clip in enumerate(timeline.clips)))


def _loudness_of(sources: dict[Path, Source], channels: int, context: Context) -> dict[Path, float]:
    """Integrated loudness of each file in LUFS, played on so many channels."""
    total_s, done_s = sum(source.info.duration_s for source in sources.values()), 0.0
    known = {}
    for path, source in sources.items():

        def blocks(reader: Reader, before_s: float) -> Iterator[np.ndarray]:
            for block in reader.blocks():
                context.check_cancelled()
                yield block
                context.progress("warming up", before_s + reader.position / reader.info.sample_rate, total_s, "s")

        info = source.info
        with Reader(path) as reader:
            known[path] = integrated(blocks(reader, done_s), info.sample_rate, info.channels)
        # One channel becomes two of the same, each as loud.
        known[path] += 10 * log10(channels / info.channels)
        done_s += info.duration_s
    return known
