"""How two neighbours overlap: from what was asked and what their beats allow, to positions. No audio.

Positions and lengths in samples at the mix's rate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from handlers.audio.crossfade import Curve
from handlers.mix.bars import Bars
from handlers.mix.beatmatch import Match, match
from handlers.mix.transitions import BARS, DURATION_S, Transition

ECHO_S = 0.5
"""From echo to echo where the beat is not known."""
SHORTEST_S = 0.05
"""Overlaps shorter than this leave no room for an echo or a sweep; they are crossfades."""


@dataclass(frozen=True)
class Joint:
    """How a piece becomes the next."""

    kind: str = "cut"
    frames: int = 0
    """Length of the overlap."""
    curve: Curve = "keep_level"
    correlation: float = 0.0
    """How alike the two are there, 0 .. 1."""
    fade_out: int = 0
    fade_in: int = 0
    """Of a crossfade: lengths of its two sides, where they are not the overlap's; else 0."""
    bass_swap: bool = True
    match: Match | None = None
    period: int = 0
    """From echo to echo."""
    asked: str = ""
    """The kind that was asked for."""
    remark: str = ""
    """In what it is not as it was asked for, and why."""

    @property
    def handed(self) -> float:
        """From which part of the overlap on the entering piece is the one that counts."""
        return 0.0 if self.kind == "echo_out" else 0.5


@dataclass(frozen=True)
class Side:
    """One of the two pieces at a joint."""

    length: int
    find_bars: Callable[[], Bars | None]
    """Finds its beats; asked only where a transition needs them."""
    heard: int = 0
    """How much of it is over when the transition before it has ended; 0 for a piece that is not yet entered."""
    room: int = 0
    """How much of it an overlap may take."""


@dataclass(frozen=True)
class Place:
    """A joint and where in the two pieces it lies."""

    joint: Joint
    left_at: int
    """Sample of the leaving piece at which the overlap begins."""
    next_at: int
    """Sample of the entering piece that is heard when it is over."""


def join(asked: Transition, leaving: Side, entering: Side, rate: int) -> Place:
    """Place one transition.

    Parameters
    ----------
    asked
        What the job says.
    leaving, entering
        The two pieces.
    rate
        Of the mix, in Hz.
    """
    if asked.kind == "cut":
        return Place(Joint(asked="cut"), leaving.length, 0)
    because = ""
    if asked.kind == "beatmatch":
        found = _match(asked, leaving, entering)
        if isinstance(found, Match):
            joint = Joint("beatmatch", found.frames, bass_swap=bool(asked.bass_swap), match=found, asked="beatmatch")
            return Place(joint, round(found.leaving[0]), round(found.entering[-1]))
        because = f"a crossfade instead, because {found}"
    wanted_s, sentence = _length_s(asked, leaving, rate)
    frames = min(round(wanted_s * rate), leaving.room, entering.length // 2)
    remarks = [because or sentence]
    if frames < round(wanted_s * rate):
        remarks.append(f"{frames / rate:.2f} s instead of {wanted_s:g} s, half of the shorter piece")
    kind = "crossfade" if asked.kind == "beatmatch" else asked.kind
    if kind in ("echo_out", "filter") and frames < SHORTEST_S * rate:
        kind = "crossfade"
        remarks.append(f"a crossfade instead, because {frames / rate:.3f} s are too short for it")
    place = Place(Joint(kind, frames, asked=asked.kind), leaving.length - frames, frames)
    if kind == "echo_out":
        place, sentence = _echo(place, leaving, entering, rate)
        remarks.append(sentence)
    elif kind == "crossfade":
        shrink = frames / max(1, round(wanted_s * rate))
        fades = [min(frames, round((fade or 0.0) * shrink * rate)) for fade in (asked.fade_out, asked.fade_in)]
        place = _with(place, curve=asked.curve or "keep_level", fade_out=fades[0], fade_in=fades[1])
    return _with(place, remark="; ".join(filter(None, remarks)))


def _with(place: Place, **changes: object) -> Place:
    return replace(place, joint=replace(place.joint, **changes))


def _match(asked: Transition, leaving: Side, entering: Side) -> Match | str:
    before, after = leaving.find_bars(), entering.find_bars()
    for known, which in ((before, "before"), (after, "after")):
        if known is None:
            return f"the beats of the piece {which} are not known"
    # At least a bar of its own between two overlaps.
    bar = float(np.diff(before.beats[before.downbeats[:2]])[0])
    earliest = leaving.heard + (bar if leaving.heard else 0.0)
    return match(before, after, asked.bars or BARS["beatmatch"], earliest=earliest, hold=asked.tempo == "hold")


def _length_s(asked: Transition, leaving: Side, rate: int) -> tuple[float, str]:
    """Length of an overlap in seconds, and what to say where it cannot be counted in bars."""
    if asked.overlap_s is not None:
        return asked.overlap_s, ""
    known = leaving.find_bars()
    if known is None:
        return DURATION_S, f"{DURATION_S:g} s instead of {asked.bars} bars: the bars of the piece before are not known"
    ends = known.beats[known.downbeats]
    first = max(0, len(ends) - 1 - asked.bars)
    return float(ends[-1] - ends[first]) / rate, ""


def _echo(place: Place, leaving: Side, entering: Side, rate: int) -> tuple[Place, str]:
    """Stop on a downbeat and echo a beat, where beats are known; the next piece enters with its first downbeat."""
    known, after = leaving.find_bars(), entering.find_bars()
    left_at, next_at, period, remark = place.left_at, place.next_at, round(ECHO_S * rate), ""
    if known is None:
        remark = f"an echo every {ECHO_S:g} s, because the beats of the piece before are not known"
    else:
        ends = known.beats[known.downbeats]
        on_time = ends[(ends <= place.left_at + 1) & (ends >= leaving.heard + place.joint.frames)]
        left_at = round(on_time[-1]) if len(on_time) else left_at
        period = round(float(np.median(np.diff(known.beats))))
    if (
        after is not None
        and (first := round(after.beats[after.downbeats[0]])) + place.joint.frames <= entering.length // 2
    ):
        next_at += max(0, first)
    period = max(1, min(period, left_at - leaving.heard))
    return _with(Place(place.joint, left_at, next_at), period=period), remark
