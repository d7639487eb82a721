"""Windows over a piece, by hand."""

from __future__ import annotations

import pytest

from handlers.stems.musicgen.windows import Window, plan_windows


@pytest.mark.parametrize(
    ("seconds", "windows", "new"),
    [(20, 1, 100), (20.2, 2, 101), (38, 2, 190), (38.2, 3, 191), (60, 4, 300)],
)
def test_steps_are_counted_by_hand(seconds, windows, new):
    # Each window makes what is new in it, and three steps more for the codebooks that run behind.
    planned = plan_windows(round(seconds * 5), 100, 90)
    assert len(planned) == windows and sum(window.steps for window in planned) == new + 3 * windows


def test_a_window_is_given_what_the_one_before_has_past_the_stride():
    assert plan_windows(2500, 1500, 900) == [
        Window(0, 0, 1500), Window(900, 600, 1500), Window(1800, 600, 700)
    ]  # fmt: skip


def test_what_is_gone_on_from_is_given_to_the_first():
    assert plan_windows(1600, 1500, 900, given=600) == [Window(0, 600, 1500), Window(900, 600, 700)]


@pytest.mark.parametrize("impossible", [(100, 100, 100, 0), (100, 100, 90, 100), (50, 100, 90, 50)])
def test_windows_that_would_not_advance_are_refused(impossible):
    with pytest.raises(ValueError, match="frames are given"):
        plan_windows(*impossible)
