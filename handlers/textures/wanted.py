"""From a request and a profile to the textures that are wanted, each with its place, length and settings. Light."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from handlers.textures.outlook import wanted
from handlers.textures.params import Kind, TexturesParams
from handlers.textures.profiles import Profile, bars_in

UNKNOWN_BAR_S = 2.0
"""Of a recording without a beat, where lengths are bars: 120 beats per minute."""
TR8S_RATE = 44_100
TR8S_SAMPLE_S, TR8S_MEMORY_S, TR8S_FILES = 180.0, 600.0, 256
"""A third party's notes on the manual: a sample's length, all samples' length (mono), files in a folder."""


@dataclass(frozen=True)
class Want:
    """One texture that is asked for."""

    place: int
    """From 0, among all of one recording in one profile."""
    kind: Kind
    number: int
    """From 1, among its kind."""
    variant: str
    length_s: float


def list_wants(params: TexturesParams, profile: Profile, bar_s: float | None) -> list[Want]:
    """Return everything that one recording is to give in one profile, in order.

    Parameters
    ----------
    bar_s
        Length of the recording's bar; `None` where it has none, or where :func:`needs_bars` is false.
    """
    wants: list[Want] = []
    for kind, count in wanted(params, profile).items():
        durations = _durations(params, profile, kind)
        for number in range(count):
            variants = profile.swells.variants if kind == "swells" else [""]
            length_s = _seconds(durations[number % len(durations)], bar_s)
            if params.pack == "tr8s" and bar_s is not None:
                length_s = _whole(length_s, bar_s, least=0.25 if kind == "flickers" else 1.0)
            wants.append(Want(len(wants), kind, number + 1, variants[number % len(variants)], length_s))
    return wants


def needs_bars(params: TexturesParams, profile: Profile) -> bool:
    """Whether any length depends on the recording's tempo."""
    if params.pack == "tr8s":
        return True
    made = [kind for kind, count in wanted(params, profile).items() if count]
    return any(bars_in(length) is not None for kind in made for length in _durations(params, profile, kind))


def fit_memory(wants: list[Want], room_s: float, files: int) -> Iterator[tuple[Want, str]]:
    """Yield every texture with the reason why a TR-8S cannot take it; an empty one for those that fit.

    Parameters
    ----------
    room_s
        Seconds of mono that this recording's textures may take.
    files
        How many of them.
    """
    for want in wants:
        if want.length_s > TR8S_SAMPLE_S:
            yield want, f"{want.length_s:.1f} s is longer than the {TR8S_SAMPLE_S:g} s that a TR-8S takes of one sample"
        elif want.length_s > room_s or not files:
            yield (
                want,
                (
                    f"the memory of a TR-8S ({TR8S_MEMORY_S:g} s, {TR8S_FILES} files in a folder) is full: "
                    "ask for fewer or shorter ones"
                ),
            )
        else:
            room_s, files = room_s - want.length_s, files - 1
            yield want, ""


def _durations(params: TexturesParams, profile: Profile, kind: Kind) -> list[float | str]:
    own = getattr(profile, kind).durations
    return (params.durations or own) if kind == "pads" else own


def _seconds(length: float | str, bar_s: float | None) -> float:
    bars = bars_in(length)
    return float(length) if bars is None else bars * (bar_s or UNKNOWN_BAR_S)


def _whole(length_s: float, bar_s: float, least: float) -> float:
    """The nearest power of two of bars, from `least`: what stays in step with a pattern of any length."""
    bars = max(least, 2.0 ** round(math.log2(max(length_s / bar_s, 1e-6))))
    return bars * bar_s
