"""Where every piece of a mix lies: pure arithmetic on sample positions, no audio.

Positions and lengths in samples at the mix's rate.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from handlers.audio.crossfade import Curve
from handlers.audio.reader import AudioInfo
from handlers.audio.resample import resampled_length
from handlers.contract import InputFile, Invalid
from handlers.mix.bars import Bars
from handlers.mix.beatmatch import Match, match
from handlers.mix.params import BARS, DURATION_S, Transition


@dataclass(frozen=True)
class Source:
    """One piece that goes into the mix."""

    file: InputFile
    info: AudioInfo


@dataclass(frozen=True)
class Joint:
    """How a piece becomes the next."""

    kind: str = "cut"
    curve: Curve = "equal_power"
    bass_swap: bool = True
    match: Match | None = None


@dataclass(frozen=True)
class Clip:
    """A piece at its place. It fades in over its first `fade_in` samples and out over its last `fade_out`."""

    source: Source
    start: int
    frames: int
    fade_in: int = 0
    fade_out: int = 0
    body_at: int = 0
    """Sample of the source that is heard when the fade in is over. From there to the fade out it is its own samples."""
    joint: Joint = Joint()
    """How it becomes the next."""

    @property
    def body(self) -> int:
        """How many samples it plays alone."""
        return self.frames - self.fade_in - self.fade_out

    def in_mix(self, before: Joint, position: np.ndarray) -> np.ndarray:
        """Where positions of the source (samples) come in the mix; `before` is the joint that leads here."""
        moved = np.asarray(position, np.float64) + (self.start + self.fade_in - self.body_at)
        if before.match:
            entering = np.asarray(before.match.entering)
            early = position < entering[-1]
            target = np.interp(position, entering, self.start + np.asarray(before.match.target))
            moved = np.where(early, np.where(position < entering[0], -np.inf, target), moved)
        if self.joint.match:
            leaving = np.asarray(self.joint.match.leaving)
            target = np.interp(position, leaving, self.end - self.fade_out + np.asarray(self.joint.match.target))
            moved = np.where(position > leaving[0], np.where(position > leaving[-1], np.inf, target), moved)
        return moved

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
    remarks: tuple[str, ...] = ()
    """One sentence for every transition that is not as it was asked for."""

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


def plan(
    sources: Sequence[Source],
    transitions: Sequence[Transition],
    bars: Sequence[Callable[[int], Bars | None]],
    *,
    sample_rate: int | None = None,
) -> Timeline:
    """Lay the sources one after the other, each overlapping the one before as the transition between them says.

    A crossfade takes at most half of either piece, so that no piece fades in and out at once; where that makes it
    shorter than asked the timeline says so. It also says where beats could not be matched, and why.

    Parameters
    ----------
    sources
        In order.
    transitions
        One fewer.
    bars
        For each source, what finds its beats in samples of a rate in Hz; asked only where a transition needs them.
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
    clips: list[Clip] = []
    sentences: list[str] = []
    start = fade_in = body_at = 0
    for index, source in enumerate(sources):
        last = index + 1 == len(sources)
        joint, fade_out, left_at, next_at = Joint(), 0, lengths[index], 0
        if not last:
            asked = transitions[index]
            pair = f"from {source.file.label} to {sources[index + 1].file.label}"
            if asked.kind == "beatmatch":
                found = _match(bars[index](rate), bars[index + 1](rate), asked.bars, body_at)
                if isinstance(found, Match):
                    joint = Joint("beatmatch", bass_swap=bool(asked.bass_swap), match=found)
                    fade_out, left_at, next_at = found.frames, round(found.leaving[0]), round(found.entering[-1])
                else:
                    sentences.append(f"{asked.kind} {pair}: a crossfade instead, because {found}")
            if not joint.match and asked.kind != "cut":
                wanted, sentence = _fade_s(asked, bars[index](rate) if asked.bars else None, rate)
                if sentence and asked.kind == "crossfade":
                    sentences.append(f"crossfade {pair}: {sentence}")
                # A piece that was entered by matched beats has less of it left to fade.
                room = lengths[index] - max(0, body_at - fade_in)
                fade_out = min(round(wanted * rate), room // 2, lengths[index + 1] // 2)
                if fade_out < round(wanted * rate):
                    sentences.append(
                        f"crossfade {pair}: {fade_out / rate:.2f} s instead of {wanted:g} s, half of the shorter piece"
                    )
                joint = Joint("crossfade", asked.curve or "equal_power")
                left_at, next_at = lengths[index] - fade_out, fade_out
        frames = fade_in + left_at - body_at + fade_out
        clips.append(Clip(source, start, frames, fade_in, fade_out, body_at, joint))
        start += frames - fade_out
        fade_in, body_at = fade_out, next_at
    return Timeline(tuple(clips), rate, channels, tuple(sentences))


def _match(leaving: Bars | None, entering: Bars | None, bars: int | None, body_at: int) -> Match | str:
    for known, which in ((leaving, "before"), (entering, "after")):
        if known is None:
            return f"the beats of the piece {which} are not known"
    # At least a bar of its own between two overlaps.
    bar = float(np.diff(leaving.beats[leaving.downbeats[:2]])[0])
    return match(leaving, entering, bars or BARS, earliest=body_at + (bar if body_at else 0.0))


def _fade_s(asked: Transition, known: Bars | None, rate: int) -> tuple[float, str | None]:
    """Length of a crossfade in seconds, and what to say where it cannot be counted in bars."""
    if not asked.bars:
        return asked.duration or DURATION_S, None
    if known is None:
        return DURATION_S, f"{DURATION_S:g} s instead of {asked.bars} bars: the bars of the piece before are not known"
    ends = known.beats[known.downbeats]
    first = max(0, len(ends) - 1 - asked.bars)
    return float(ends[-1] - ends[first]) / rate, None


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
