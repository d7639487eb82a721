"""What sections are for, by levels that are written down."""

from __future__ import annotations

import numpy as np

from handlers.audio.grid.functions import name_functions
from handlers.audio.grid.sections import Bars

BARS = 8
DROP, QUIET, RISER, OPENING, KICK = (
    (0, 0, 0, 0),
    (-12, -30, -20, -20),
    (-6, -20, -10, 6),
    (-6, -20, -10, 0),
    (0, 0, -15, -15),
)
"""Level of all, below 130 Hz, and of the highs at the beginning and at the end: dB under a drop's."""


def _named(parts: list[tuple[tuple[float, ...], str]]) -> list[str]:
    """Names of sections of `BARS` bars, each given by its levels and its letter."""
    rows = [values for values, _ in parts for _ in range(BARS)]
    highs = np.concatenate([np.linspace(values[2], values[3], BARS) for values, _ in parts])
    nothing = np.zeros(len(rows))
    bars = Bars(
        edges_s=np.arange(len(rows) + 1.0), rows=nothing[:, None], tones=nothing[:, None],
        level_db=np.array([row[0] for row in rows], float), low_db=np.array([row[1] for row in rows], float),
        mid_db=nothing, high_db=highs, onsets=nothing + 1, brightness=nothing,
    )  # fmt: skip
    return name_functions(bars, [BARS * number for number in range(len(parts) + 1)], [letter for _, letter in parts])


def test_a_dance_track_is_named_as_people_name_it() -> None:
    found = _named([(KICK, "A"), (RISER, "B"), (DROP, "C"), (QUIET, "D"), (RISER, "B"), (DROP, "C'"), (KICK, "A")])
    assert found == ["intro", "build", "drop", "breakdown", "build", "drop", "outro"]


def test_a_track_may_end_with_its_drop() -> None:
    found = _named([(QUIET, "A"), (DROP, "B"), (QUIET, "A"), (RISER, "C"), (DROP, "B")])
    assert found == ["intro", "drop", "breakdown", "build", "drop"]


def test_a_build_stays_one_before_an_end_that_is_no_drop() -> None:
    found = _named([(QUIET, "A"), (DROP, "B"), (QUIET, "A"), (RISER, "C"), (KICK, "D")])
    assert found == ["intro", "drop", "breakdown", "build", "outro"]


def test_highs_that_open_up_to_the_drops_are_a_breakdowns() -> None:
    found = _named([(QUIET, "A"), (DROP, "B"), (OPENING, "C"), (DROP, "B"), (QUIET, "A")])
    assert found == ["intro", "drop", "breakdown", "drop", "outro"]


def test_a_step_up_to_a_build_belongs_to_it() -> None:
    step = (-9, -20, -14, -14)
    found = _named([(QUIET, "A"), (DROP, "B"), (QUIET, "A"), (step, "C"), (RISER, "D"), (DROP, "B"), (QUIET, "A")])
    assert found == ["intro", "drop", "breakdown", "build", "build", "drop", "outro"]


def test_before_the_first_drop_nothing_rests() -> None:
    found = _named([(QUIET, "A"), (OPENING, "B"), (DROP, "C"), (QUIET, "A"), (DROP, "C"), (KICK, "D")])
    assert found == ["intro", "intro", "drop", "breakdown", "drop", "outro"]


def test_one_section_is_for_nothing() -> None:
    assert _named([(DROP, "A")]) == [""]
