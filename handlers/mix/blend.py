"""The samples of a timeline, block by block: never more than one block of two pieces in memory.

Blocks are ``(channels, samples)`` at the mix's rate, each piece at its own gain, before that of the whole. A blend can be played again: nothing is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from itertools import pairwise
from types import TracebackType
from typing import Literal, Self

import numpy as np

from handlers.audio.crossfade import gains
from handlers.audio.files import Reader
from handlers.audio.resample import Resampler, resampled_length
from handlers.contract import Invalid
from handlers.mix.beatmatch import overlap, span_of
from handlers.mix.echo import echo_out, span_after, span_before
from handlers.mix.joints import Joint
from handlers.mix.sweep import sweep, window
from handlers.mix.timeline import Clip, Timeline

Depth = Literal["float32", "float64"]
BLOCK = 16_384
"""Samples of a block: its arrays stay in the processor's cache, and are small enough for the allocator to use again."""
SETTLE = 4096
"""Samples that a resampler is fed before the first that counts."""


def blend(timeline: Timeline, *, depth: Depth = "float32") -> Iterator[np.ndarray]:
    """Yield the mix in blocks of at most 16,384 samples.

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
        for clip, entering in pairwise([*clips, None]):
            for count in _counts(clip.body):
                yield current.read(count)
            if entering is None:
                break
            if clip.joint.kind in _WHOLE:
                current.close()
                yield from _WHOLE[clip.joint.kind](clip, entering, timeline, depth)
                current = Feed(entering, timeline, depth, entering.body_at)
                continue
            following = Feed(entering, timeline, depth, entering.body_at - entering.fade_in)
            for start, count in _spans(clip.fade_out):
                fade_out, fade_in = _gains(clip.joint, start, count)
                yield current.read(count) * fade_out + following.read(count) * fade_in
            current.close()
            current, following = following, None
    finally:
        current.close()
        if following:
            following.close()


def overlapping(timeline: Timeline, index: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield what the clip of that number and the next have in their overlap, block by block, before any fade."""
    clip, entering = timeline.clips[index : index + 2]
    with (
        Feed(clip, timeline, "float32", clip.body_at + clip.body) as leaving,
        Feed(entering, timeline, "float32", entering.body_at - entering.fade_in) as following,
    ):
        for count in _counts(clip.fade_out):
            yield leaving.read(count), following.read(count)


def _gains(joint: Joint, start: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    return gains(
        joint.frames,
        joint.curve,
        start=start,
        count=count,
        correlation=joint.correlation,
        fade_out=joint.fade_out,
        fade_in=joint.fade_in,
    )


def _matched(leaving: Clip, entering: Clip, timeline: Timeline, depth: Depth) -> Iterator[np.ndarray]:
    """The overlap of two pieces on common beats."""
    found, rate = leaving.joint.match, timeline.sample_rate
    out = partial(read_span, leaving, timeline, depth, *span_of(found.leaving, rate))
    into = partial(read_span, entering, timeline, depth, *span_of(found.entering, rate))
    return overlap(found, out, into, rate, bass_swap=leaving.joint.bass_swap)


def _echoed(leaving: Clip, entering: Clip, timeline: Timeline, depth: Depth) -> Iterator[np.ndarray]:
    rate, period, stop = timeline.sample_rate, leaving.joint.period, leaving.body_at + leaving.body
    before, after = span_before(period, rate), span_after(rate)
    out = read_span(leaving, timeline, depth, stop - before, stop + after)
    into = read_span(entering, timeline, depth, entering.body_at - entering.fade_in, entering.body_at)
    return _in_blocks(echo_out(out, into, period, rate))


def _swept(leaving: Clip, entering: Clip, timeline: Timeline, depth: Depth) -> Iterator[np.ndarray]:
    rate, stop, begin = timeline.sample_rate, leaving.body_at + leaving.body, entering.body_at - entering.fade_in
    around, frames = window(rate), leaving.fade_out
    out = read_span(leaving, timeline, depth, stop - around, stop + frames + around)
    into = read_span(entering, timeline, depth, begin - around, begin + frames + around)
    return _in_blocks(sweep(out, into, rate))


def _in_blocks(audio: np.ndarray) -> Iterator[np.ndarray]:
    for start, count in _spans(audio.shape[1]):
        yield audio[:, start : start + count]


_WHOLE = {"beatmatch": _matched, "echo_out": _echoed, "filter": _swept}
"""Overlaps that are made as a whole; the others are faded as they are read."""


def read_span(clip: Clip, timeline: Timeline, depth: Depth, first: int, last: int) -> np.ndarray:
    """A clip's source from one sample to another, silence where it has none."""
    length = resampled_length(clip.source.info.frames, clip.source.info.sample_rate, timeline.sample_rate)
    start, stop = min(max(0, first), length), max(0, min(last, length))
    with Feed(clip, timeline, depth, start) as feed:
        span = feed.read(stop - start)
    return span if (start, stop) == (first, last) else np.pad(span, ((0, 0), (start - first, last - stop)))


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
        self._gain = 10 ** (clip.gain_db / 20)
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
            self._next(first - own * timeline.sample_rate // info.sample_rate)

    def read(self, frames: int) -> np.ndarray:
        """Return exactly the next `frames` samples, at the clip's gain."""
        block = self._next(frames)
        return block * block.dtype.type(self._gain) if self._gain != 1.0 else block

    def _next(self, frames: int) -> np.ndarray:
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


def _spans(frames: int) -> Iterator[tuple[int, int]]:
    """Where each block begins, and how long it is."""
    for start in range(0, frames, BLOCK):
        yield start, min(BLOCK, frames - start)


def _counts(frames: int) -> Iterator[int]:
    return (count for _, count in _spans(frames))
