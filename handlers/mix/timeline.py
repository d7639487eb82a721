"""Where every piece of a mix lies: pure arithmetic on sample positions, no audio.

Positions and lengths in samples at the mix's rate.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np

from handlers.audio.reader import AudioInfo
from handlers.audio.resample import resampled_length
from handlers.contract import InputFile, Invalid
from handlers.mix.bars import Bars
from handlers.mix.joints import Joint, Side, join
from handlers.mix.transitions import Transition


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
    body_at: int = 0
    """Sample of the source that is heard when the fade in is over. From there to the fade out it is its own samples."""
    joint: Joint = Joint()
    """How it becomes the next."""
    gain_db: float = 0.0
    """What brings it to the loudness of the others."""

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
        elif self.joint.kind == "echo_out":
            moved = np.where(position > self.body_at + self.body, np.inf, moved)
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
    loop: bool = False
    """The last clip is the first once more, of which only what fades in is played: then the mix begins anew."""

    @property
    def played(self) -> tuple[Clip, ...]:
        """The clips, each piece once."""
        return self.clips[:-1] if self.loop else self.clips

    @property
    def frames(self) -> int:
        """Length of the mix."""
        return self.clips[-1].end

    @property
    def converted(self) -> list[Source]:
        """Sources whose rate or channel count is not the mix's, each once."""
        form = (self.sample_rate, self.channels)
        return list({c.source.file.path: c.source for c in self.clips if _form(c.source) != form}.values())

    @property
    def titles(self) -> list[str]:
        """What each clip is called: as its file is; where other files are called the same, with its folder, or a number."""
        pieces = [(clip.source.file.path, clip.source.file.title) for clip in self.clips]
        names = {piece: piece[1] for piece in pieces}
        for name, shared in _shared(names).items():
            names |= {(path, title): f"{path.parent.name}/{name}" for path, title in shared}
        for name, shared in _shared(names).items():
            names |= {piece: f"{name} ({number})" for number, piece in enumerate(shared, 1)}
        return [names[piece] for piece in pieces]

    @property
    def remarks(self) -> list[str]:
        """One sentence for every transition that is not as it was asked for."""
        return [
            f"{clip.joint.asked} from {clip.source.file.label} to {after.source.file.label}: {clip.joint.remark}"
            for clip, after in pairwise(self.clips)
            if clip.joint.remark
        ]

    def reigns(self) -> list[tuple[float, float]]:
        """From when to when each piece is the one that counts, in seconds: an overlap is split in its middle, that of
        echoes at its start.
        """
        handed = [clip.end - clip.fade_out * (1 - clip.joint.handed) for clip in self.clips]
        return [(first / self.sample_rate, last / self.sample_rate) for first, last in pairwise([0.0, *handed])]

    def tracks(self) -> list[dict[str, str | float]]:
        """`label`, `source`, `start_s`, `end_s` and `gain_db` of every piece; a crossfade belongs to both."""
        return [
            {
                "label": title,
                "source": clip.source.file.label,
                "start_s": round(clip.start / self.sample_rate, 6),
                "end_s": round(clip.end / self.sample_rate, 6),
                "gain_db": round(clip.gain_db, 2),
            }
            for clip, title in zip(self.played, self.titles, strict=False)
        ]

    def transitions(self) -> list[dict[str, str | float]]:
        """Every transition as it is done: `after` (the piece's number), `kind`, `start_s`, `end_s`; and where that is not
        what was asked for, `asked` and `because`.
        """
        listed = []
        for number, clip in enumerate(self.clips[:-1], 1):
            joint = clip.joint
            found = {"after": number, "kind": joint.kind}
            found |= {
                "start_s": round((clip.end - clip.fade_out) / self.sample_rate, 6),
                "end_s": round(clip.end / self.sample_rate, 6),
            }
            if joint.remark:
                found |= {"asked": joint.asked, "because": joint.remark}
            listed.append(found)
        return listed


def plan(
    sources: Sequence[Source],
    transitions: Sequence[Transition],
    bars: Sequence[Callable[[int], Bars | None]],
    *,
    sample_rate: int | None = None,
    loop: bool = False,
) -> Timeline:
    """Lay the sources one after the other, each overlapping the one before as the transition between them says.

    An overlap takes at most half of either piece, so that no piece fades in and out at once; where that makes it
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
    loop
        The last source is the first once more, and the last transition leads from the end back to the beginning.

    Raises
    ------
    Invalid
        When sources of different channel counts hold one with more than two: no one downmix would be right.
    """
    rate = sample_rate or max(source.info.sample_rate for source in sources)
    channels = _channels(sources)
    lengths = [resampled_length(source.info.frames, source.info.sample_rate, rate) for source in sources]
    clips: list[Clip] = []
    start = fade_in = body_at = 0
    for index, source in enumerate(sources):
        joint, left_at, next_at = Joint(), lengths[index], 0
        if index + 1 < len(sources):
            # A piece that was entered by matched beats may have less than half of it left.
            room = min(lengths[index] // 2, max(0, lengths[index] - body_at))
            leaving = Side(lengths[index], partial(bars[index], rate), body_at, room)
            entering = Side(lengths[index + 1], partial(bars[index + 1], rate))
            place = join(transitions[index], leaving, entering, rate)
            joint, left_at, next_at = place.joint, place.left_at, place.next_at
        frames = fade_in + left_at - body_at + joint.frames
        clips.append(Clip(source, start, frames, fade_in, joint.frames, body_at, joint))
        start += frames - joint.frames
        fade_in, body_at = joint.frames, next_at
    return Timeline(tuple(_closed(clips) if loop else clips), rate, channels, loop)


def _shared(names: dict[tuple[Path, str], str]) -> dict[str, list[tuple[Path, str]]]:
    """Names that several pieces have, with these."""
    found = defaultdict(list)
    for piece, name in names.items():
        found[name].append(piece)
    return {name: pieces for name, pieces in found.items() if len(pieces) > 1}


def _closed(clips: list[Clip]) -> list[Clip]:
    """Let the first clip begin where the last, which is the same piece, has faded in; and that end there."""
    first, last = clips[0], clips[-1]
    skipped = last.body_at
    first = replace(first, body_at=skipped, frames=first.frames - skipped)
    if first.body < 0:
        raise Invalid(
            f"loop: {first.source.file.label} is too short to be entered and left by overlaps of "
            "the lengths asked for; use shorter transitions or a longer first piece"
        )
    between = [replace(clip, start=clip.start - skipped) for clip in clips[1:-1]]
    return [first, *between, replace(last, start=last.start - skipped, frames=last.fade_in, fade_out=0, joint=Joint())]


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
