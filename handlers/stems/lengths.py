"""How long stems are, before and after they are fitted. Light: no audio libraries.

Music is in four-four time: a bar is four beats.
"""

from __future__ import annotations

from handlers.stems.params import StemsParams

BEATS_A_BAR = 4
MOST_STRETCH = 0.08
"""Share by which a model may miss a tempo and still be stretched to it; models miss by some 5 BPM."""
LOOP_FADE_S = 1.5
"""Crossfade of a loop that follows no grid; 30 of 30 such loops hid their seam."""
START_SLACK_S = 0.05
"""How far the start of such a loop may move to where it is heard least."""
LOOP_FADE_BEATS = 2
"""Of one that does: beats fade into beats."""


def bar_s(tempo_bpm: float) -> float:
    """Length of a bar in seconds."""
    return BEATS_A_BAR * 60.0 / tempo_bpm


def whole_bars(duration_s: float, tempo_bpm: float) -> int:
    """The number of bars, at least one, nearest to a duration."""
    return max(1, round(duration_s / bar_s(tempo_bpm)))


def in_bars(params: StemsParams) -> bool:
    """Whether stems are cut to whole bars of their tempo."""
    return params.snap == "bars" or bool(params.remix and params.remix.structure)


def length_s(params: StemsParams, tempo_bpm: float) -> float:
    """How long a stem is whose tempo is known and which begins with a bar; a loop of it is of whole bars."""
    if in_bars(params) or params.loop:
        return whole_bars(params.duration, tempo_bpm) * bar_s(tempo_bpm)
    return params.duration


def fade_s(length_s: float, tempo_bpm: float | None) -> float:
    """Length of a loop's crossfade."""
    wanted_s = LOOP_FADE_BEATS * 60.0 / tempo_bpm if tempo_bpm else LOOP_FADE_S
    return min(wanted_s, length_s / 4)


def played_s(params: StemsParams, tempo_bpm: float) -> float:
    """How much a model has to play so that a stem can be fitted out of it.

    Parameters
    ----------
    params
        The step's.
    tempo_bpm
        Of the stems: what the model is told.
    """
    if not in_bars(params):
        return params.duration + (fade_s(params.duration, None) + START_SLACK_S if params.loop else 0.0)
    length_s = whole_bars(params.duration, tempo_bpm) * bar_s(tempo_bpm)
    # A bar more: music does not always begin with its first downbeat. A loop fades into what lies before it.
    spare_s = bar_s(tempo_bpm) + (fade_s(length_s, tempo_bpm) if params.loop else 0.0)
    return (length_s + spare_s) * (1 + MOST_STRETCH)
