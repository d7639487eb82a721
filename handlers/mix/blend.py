"""The samples of a timeline, block by block: never more than one block of two pieces in memory.

Blocks are ``(channels, samples)`` at the mix's rate, before any gain. A blend can be played again: nothing is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from types import TracebackType
from typing import Literal, Self

import numpy as np

from handlers.audio.crossfade import gains
from handlers.audio.files import BLOCK, Reader
from handlers.audio.resample import Resampler, resampled_length
from handlers.contract import Invalid
from handlers.mix.beatmatch import overlap, span_of
from handlers.mix.timeline import Clip, Timeline

Depth = Literal["float32", "float64"]
SETTLE = 4096
"""Samples that a resampler is fed before the first that counts."""


def blend(timeline: Timeline, *, depth: Depth = "float32") -> Iterator[np.ndarray]:
    """Yield the mix in blocks of at most 65,536 samples.

    Parameters
    ----------
    timeline
        What lies where.
    depth
        ``float64`` keeps 32-bit PCM exact.

    Raises
    ------
    Invalid
        When a source has vanished, changed its form since it was planned, or is damaged.
    """
    clips = timeline.clips
    current = Feed(clips[0], timeline, depth)
    following: Feed | None = None
    try:
        for index, clip in enumerate(clips):
            for count in _counts(clip.body):
                yield current.read(count)
            if index + 1 == len(clips):
                break
            entering, joint = clips[index + 1], clip.joint
            if joint.match:
                current.close()
                mixed = _matched(clip, entering, timeline, depth)
                start = 0
                for count in _counts(clip.fade_out):
                    yield mixed[:, start : start + count]
                    start += count
                current = Feed(entering, timeline, depth, entering.body_at)
                continue
            following = Feed(entering, timeline, depth, entering.body_at - entering.fade_in)
            start = 0
            for count in _counts(clip.fade_out):
                fade_out, fade_in = gains(clip.fade_out, joint.curve, start=start, count=count)
                yield current.read(count) * fade_out + following.read(count) * fade_in
                start += count
            current.close()
            current, following = following, None
    finally:
        current.close()
        if following:
            following.close()


def _matched(leaving: Clip, entering: Clip, timeline: Timeline, depth: Depth) -> np.ndarray:
    """The overlap of two pieces on common beats, whole: some bars, at most half a minute or so."""
    found = leaving.joint.match
    spans = []
    for clip, points in ((leaving, found.leaving), (entering, found.entering)):
        first, last = span_of(points, timeline.sample_rate)
        length = resampled_length(clip.source.info.frames, clip.source.info.sample_rate, timeline.sample_rate)
        start, stop = max(0, first), min(last, length)
        with Feed(clip, timeline, depth, start) as feed:
            span = feed.read(stop - start)
        spans.append(np.pad(span, ((0, 0), (start - first, last - stop))))
    return overlap(found, *spans, timeline.sample_rate, bass_swap=leaving.joint.bass_swap)


class Feed:
    """One clip's source as a stream in the mix's rate and channels, from sample `first` of that rate."""

    def __init__(self, clip: Clip, timeline: Timeline, depth: Depth, first: int = 0) -> None:
        info = clip.source.info
        self._reader = Reader(clip.source.file.path, dtype=depth)
        if self._reader.info != info:
            self._reader.close()
            raise Invalid(
                f"{clip.source.file.label}: {clip.source.file.path} changed while it was being mixed "
                f"(was {info.frames} samples at {info.sample_rate} Hz); leave it alone and run the job again"
            )
        self._channels = timeline.channels
        self._resampler = (
            Resampler(info.sample_rate, timeline.sample_rate, timeline.channels)
            if info.sample_rate != timeline.sample_rate
            else None
        )
        self._ready = np.zeros((self._channels, 0), np.float32)
        if first and self._resampler is None:
            self._reader.seek(first)
        elif first:
            # Both rates share a sample every `step` of the source; from one of them, and early enough for the filter.
            step = info.sample_rate // math.gcd(info.sample_rate, timeline.sample_rate)
            own = max(0, first * info.sample_rate // timeline.sample_rate - SETTLE) // step * step
            self._reader.seek(own)
            self.read(first - own * timeline.sample_rate // info.sample_rate)

    def read(self, frames: int) -> np.ndarray:
        """Return exactly the next `frames` samples."""
        if self._resampler is None:
            return self._widen(self._reader.read(frames))
        parts = [self._ready]
        while (have := sum(part.shape[1] for part in parts)) < frames:
            block = self._reader.read(BLOCK)
            parts.append(self._resampler.process(self._widen(block)) if block.size else self._resampler.flush())
            if not block.size and not parts[-1].size:
                raise AssertionError(f"resampling gave {have} of {frames} samples")
        joined = np.concatenate(parts, axis=1)
        self._ready = joined[:, frames:]
        return joined[:, :frames]

    def close(self) -> None:
        """Close the file."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _widen(self, block: np.ndarray) -> np.ndarray:
        # One channel on both sides at full level: what a mono file sounds like anywhere else.
        return np.repeat(block, self._channels, axis=0) if block.shape[0] < self._channels else block


def _counts(frames: int) -> Iterator[int]:
    for start in range(0, frames, BLOCK):
        yield min(BLOCK, frames - start)
