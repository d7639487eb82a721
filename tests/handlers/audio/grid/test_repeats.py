"""What repeats: derived by hand from bars that have one note each."""

from __future__ import annotations

import numpy as np
import pytest

from handlers.audio.grid.repeats import ALIKE, COPIED, Repeats, bare, tell_apart

NOTES = "ABCDABCDEFGHABCD"


@pytest.fixture
def repeats() -> Repeats:
    return Repeats(np.eye(8)[[ord(note) - ord("A") for note in NOTES]])


@pytest.mark.parametrize(
    ("start", "end", "bars"),
    [
        pytest.param(0, 4, 4 * COPIED, id="comes again"),
        pytest.param(0, 8, 0, id="goes round in four"),
        pytest.param(8, 12, 4, id="never again"),
        pytest.param(4, 12, 4 + 8 * COPIED, id="half of it never again"),
        pytest.param(0, 16, 10 + 2 / 3, id="two rounds in four"),
    ],
)
def test_bars_that_repeat_nothing_are_counted(repeats: Repeats, start: int, end: int, bars: float) -> None:
    assert repeats.unrepeated(np.array([start]), end) == pytest.approx([bars])


def test_stretches_are_laid_over_each_other_where_they_fit_best(repeats: Repeats) -> None:
    assert repeats.apart((0, 4), (4, 8)) == 0
    assert repeats.apart((2, 6), (12, 16)) == 0  # CDAB is ABCD from its middle on.
    assert repeats.apart((0, 8), (12, 16)) == 0
    assert repeats.apart((0, 4), (8, 12)) == 1


def test_sections_that_sound_alike_are_told_apart_by_their_notes(repeats: Repeats) -> None:
    alike, other = np.zeros(3), np.full(3, 5.0)
    distance = tell_apart([alike, alike, alike, other], [(0, 4), (4, 8), (8, 12), (12, 16)], repeats)
    assert distance[0, 1] == 0 and distance[0, 2] > ALIKE
    assert distance[0, 3] == pytest.approx(np.sqrt(75))  # What sounds otherwise is not asked for its notes.
    np.testing.assert_array_equal(distance, distance.T)


@pytest.mark.parametrize("tones", [np.zeros((12, 24)), np.eye(12), np.eye(2)], ids=["silence", "nothing twice", "two"])
def test_where_no_bar_is_nearer_to_another_notes_do_not_matter(tones: np.ndarray) -> None:
    repeats = Repeats(tones)
    assert repeats.unrepeated(np.array([0]), len(tones)) == pytest.approx([0])
    assert repeats.apart((0, 1), (1, len(tones))) == 0


def test_a_single_bar_repeats_nothing() -> None:
    assert Repeats(np.eye(3)[:1]).unrepeated(np.array([0]), 1).tolist() == [1]


def test_a_variation_has_the_letter_of_what_it_varies() -> None:
    assert [bare(name) for name in ("A", "B''", "AA'")] == ["A", "B", "AA"]
