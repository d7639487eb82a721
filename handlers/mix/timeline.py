"""Where every piece of a mix lies: pure arithmetic on sample positions, no audio.

Positions and lengths in samples at the mix's rate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from handlers.audio.reader import AudioInfo
from handlers.audio.resample import resampled_length
from handlers.contract import InputFile, Invalid


@dataclass(frozen=True)
class Source:
    """One piece that goes into the mix."""

    file: InputFile
    info: AudioInfo


@dataclass(frozen=True)
class Clip:
    """A piece at its place. It fades in over its first `fade_in` samples and out over its last `fade_out`."""

    source: Source
    start: int
    frames: int
    fade_in: int = 0
    fade_out: int = 0

    @property
    def end(self) -> int:
        """First sample after it."""
        return self.start + self.frames


@dataclass(frozen=True)
class Timeline:
    """All clips in order, and the form of the mix."""

    clips: tuple[Clip, ...]
    sample_rate: int
    channels: int
    shortened: tuple[str, ...] = ()
    """One sentence for every crossfade that a piece was too short for."""

    @property
    def frames(self) -> int:
        """Length of the mix."""
        return self.clips[-1].end

    @property
    def converted(self) -> list[Source]:
        """Sources whose rate or channel count is not the mix's, each once."""
        form = (self.sample_rate, self.channels)
        return list({c.source.file.path: c.source for c in self.clips if _form(c.source) != form}.values())

    def reigns(self) -> list[tuple[float, float]]:
        """From when to when each piece is the one that counts, in seconds: a crossfade is split in its middle."""
        return [
            ((clip.start + clip.fade_in / 2) / self.sample_rate, (clip.end - clip.fade_out / 2) / self.sample_rate)
            for clip in self.clips
        ]

    def tracks(self) -> list[dict[str, str | float]]:
        """`label`, `source`, `start_s` and `end_s` of every piece; a crossfade belongs to both."""
        return [
            {
                "label": clip.source.file.title,
                "source": clip.source.file.label,
                "start_s": round(clip.start / self.sample_rate, 6),
                "end_s": round(clip.end / self.sample_rate, 6),
            }
            for clip in self.clips
        ]


def plan(sources: Sequence[Source], *, fade_s: float = 0.0, sample_rate: int | None = None) -> Timeline:
    """Lay the sources one after the other, each overlapping the one before by `fade_s`.

    A crossfade takes at most half of either piece, so that no piece fades in and out at once; where that makes it
    shorter than asked the timeline says so.

    Parameters
    ----------
    sources
        In order.
    fade_s
        Overlap in seconds; 0 for cuts.
    sample_rate
        Of the mix in Hz; default the highest among the sources.

    Raises
    ------
    Invalid
        When sources of different channel counts hold one with more than two: no one downmix would be right.
    """
    rate = sample_rate or max(source.info.sample_rate for source in sources)
    channels = _channels(sources)
    lengths = [resampled_length(source.info.frames, source.info.sample_rate, rate) for source in sources]
    asked = round(fade_s * rate)
    fades = [min(asked, before // 2, after // 2) for before, after in zip(lengths, lengths[1:], strict=False)]
    shortened = tuple(
        f"crossfade from {before.file.label} to {after.file.label}: {fade / rate:.2f} s instead of {fade_s:g} s, "
        "half of the shorter piece"
        for before, after, fade in zip(sources, sources[1:], fades, strict=False)
        if fade < asked
    )
    clips, start = [], 0
    for source, frames, fade_in, fade_out in zip(sources, lengths, [0, *fades], [*fades, 0], strict=True):
        start -= fade_in
        clips.append(Clip(source, start, frames, fade_in, fade_out))
        start += frames
    return Timeline(tuple(clips), rate, channels, shortened)


def _channels(sources: Sequence[Source]) -> int:
    counts = {source.info.channels for source in sources}
    if len(counts) == 1:
        return counts.pop()
    if widest := next((source for source in sources if source.info.channels > 2), None):
        raise Invalid(
            f"order: {widest.file.label} has {widest.info.channels} channels and others have not; "
            "mix it down to stereo first, or use pieces of one channel count"
        )
    return 2


def _form(source: Source) -> tuple[int, int]:
    return source.info.sample_rate, source.info.channels
