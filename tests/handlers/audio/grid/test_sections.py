"""Sections of music made of blocks: where they begin, which are alike, and what they are for."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from handlers.audio.grid.features import FeatureStream
from handlers.audio.grid.labels import Section, _join_loops, find_sections, name_repeats
from handlers.audio.grid.pitches import Pitches
from handlers.audio.grid.sections import bar_edges, cut
from tests.fixtures.sound import noise, tone
from tests.handlers.audio.grid.songs import BAR, BAR_S, SAMPLE_RATE, block, piece

ARRANGEMENT = {
    "intro": ["chords"],
    "build": ["drums", "chords", "riser"],
    "drop": ["drums", "bass", "chords"],
    "breakdown": ["chords"],
    "outro": ["hats", "bass"],
}


def _sections(audio: np.ndarray, downbeats_s: np.ndarray, sample_rate: int = SAMPLE_RATE) -> list[Section]:
    features, pitches = FeatureStream(sample_rate), Pitches(sample_rate)
    for start in range(0, audio.shape[1], 1 << 17):
        features.feed(audio[:, start : start + (1 << 17)])
        pitches.feed(audio[:, start : start + (1 << 17)])
    return find_sections(features.finish(), pitches.finish(), downbeats_s, audio.shape[1] / sample_rate)


def _starts(sections: list[Section]) -> list[int]:
    return [round(one.start_s / BAR_S) for one in sections]


def test_an_arrangement_is_heard_as_it_was_written() -> None:
    order = ("intro", "build", "drop", "breakdown", "build", "drop", "outro")
    found = _sections(*piece([block(ARRANGEMENT[name]) for name in order]))
    assert [one.label for one in found] == list(order)
    assert _starts(found) == [8 * number for number in range(len(order))]
    assert [one.letter for one in found] == ["A", "B", "C", "A", "B", "C", "D"]
    assert [one.first_bar for one in found] == _starts(found) and {one.bars for one in found} == {8}
    drop, breakdown = found[2], found[3]
    assert drop.energy > 1.5 * breakdown.energy
    assert 0 <= min(one.energy for one in found) and max(one.energy for one in found) <= 1


@pytest.mark.parametrize("middle", [("drop", "breakdown", "drop"), ("breakdown", "drop", "breakdown")], ids="-".join)
def test_drops_and_breakdowns_are_what_they_are_wherever_they_stand(middle: tuple[str, ...]) -> None:
    order = ("intro", "build", "drop", *middle, "drop", "outro")
    found = _sections(*piece([block(ARRANGEMENT[name]) for name in order]))
    heard = [one.label for one in found for _ in range(one.bars // 8)]
    assert heard == list(order)


BLOCKS = {"X": ["drums", "bass", "chords"], "Y": ["chords"], "Z": ["hats", "bass"]}


@pytest.mark.parametrize("order", list(itertools.permutations("XYZ")), ids="".join)
def test_shuffled_blocks_take_their_letters_along(order: tuple[str, ...]) -> None:
    order = (*order, *order[::-1])
    found = _sections(*piece([block(BLOCKS[name]) for name in order]))
    heard = dict(zip(order[:3], (one.letter for one in found), strict=False))
    assert len(set(heard.values())) == 3
    # The two in the middle are one block twice, which is one section.
    expected = [*order[:3], *order[4:]]
    assert [one.letter for one in found] == [heard[name] for name in expected]
    assert _starts(found) == [0, 8, 16, 32, 40]


def test_a_small_change_is_a_variation() -> None:
    places = np.array([0.0, 1.0, 6.0, 0.1, 1.0])
    assert name_repeats(np.abs(places[:, None] - places)) == ["A", "A'", "B", "A", "A'"]
    places = 10.0 * np.arange(28)
    assert name_repeats(np.abs(places[:, None] - places))[24:] == ["Y", "Z", "AA", "AB"]


TUNES = {"X": (0, 3, 4, 0), "Y": (5, 1, 6, 2)}


@pytest.mark.parametrize("order", ["XYXY", "YXYX", "XXYX", "YXXY"])
def test_parts_that_differ_in_their_chords_alone_are_told_apart(order: str) -> None:
    found = _sections(*piece([block(["drums", "bass", "chords"], progression=TUNES[name]) for name in order]))
    # One part twice is one section or two.
    heard = "".join(one.letter * (one.bars // 8) for one in found)
    renamed = dict(zip(order, heard, strict=True))
    assert "".join(renamed[name] for name in order) == heard
    assert len(set(heard)) == len(set(order))


@pytest.mark.parametrize("bar", [3, 9, 12])
def test_a_bar_without_drums_is_no_section(bar: int) -> None:
    audio, downbeats_s = piece([block(["drums", "bass", "chords"], 16), block(["chords"])])
    audio[:, bar * BAR : (bar + 1) * BAR] = block(["chords"], 16)[:, bar * BAR : (bar + 1) * BAR]
    assert _starts(_sections(audio, downbeats_s)) == [0, 16]


def test_an_end_like_nothing_between_is_an_outro_however_full() -> None:
    full, other = block(["drums", "bass", "chords"]), block(["drums", "bass"])
    breakdown = block(["chords"])
    found = _sections(*piece([other, full, breakdown, full, other]))
    assert [one.label for one in found] == ["intro", "drop", "breakdown", "drop", "outro"]
    found = _sections(*piece([breakdown, full, breakdown, full]))
    assert [one.label for one in found] == ["intro", "drop", "breakdown", "drop"]


def test_highs_that_open_up_to_what_follows_are_no_build_and_a_riser_is() -> None:
    drop, quiet = block(["drums", "bass", "chords"]), block(["chords"])
    riser = block(["chords", "riser"])
    opening = quiet.copy()
    hats = block(["hats"])
    opening += hats * np.linspace(0.05, 0.7, hats.shape[1], dtype=np.float32)
    for middle, label in ((opening, "breakdown"), (riser, "build")):
        found = _sections(*piece([drop, quiet, drop, middle, drop]))
        assert [one.label for one in found][3] == label


def test_what_never_changes_is_one_section_named_by_its_letter() -> None:
    found = _sections(*piece([block(["drums", "bass", "chords"], 24)]))
    assert [(one.label, one.letter, one.bars) for one in found] == [("A", "A", 24)]


@pytest.mark.parametrize(
    "audio",
    [
        pytest.param(np.zeros((1, 60 * SAMPLE_RATE), np.float32), id="silence"),
        pytest.param(noise(60.0, SAMPLE_RATE, channels=1), id="noise"),
        pytest.param(tone(110, 60.0, SAMPLE_RATE), id="a drone"),
        pytest.param(tone(110, 0.3, SAMPLE_RATE), id="0.3 s"),
        pytest.param(np.ones((1, 1), np.float32), id="one sample"),
    ],
)
def test_without_beat_and_change_there_is_one_section(audio: np.ndarray) -> None:
    found = _sections(audio, np.zeros(0))
    assert [(one.start_s, one.letter) for one in found] == [(0.0, "A")]
    assert found[0].end_s == pytest.approx(audio.shape[1] / SAMPLE_RATE)


def test_a_drone_that_changes_is_cut_without_bars() -> None:
    audio = np.concatenate([tone(110, 40.0, SAMPLE_RATE), tone(523, 40.0, SAMPLE_RATE)], axis=1)
    found = _sections(audio, np.zeros(0))
    assert [round(one.start_s) for one in found] == [0, 40]


def test_bars_cover_everything_and_odds_and_ends_are_joined() -> None:
    assert bar_edges(np.array([0.3, 2.3, 4.3]), 6.2).tolist() == [0.0, 2.3, 4.3, 6.2]
    assert bar_edges(np.array([1.5, 3.5, 5.5]), 6.2).tolist() == [0.0, 1.5, 3.5, 6.2]
    assert bar_edges(np.array([1.5]), 5.0).tolist() == [0.0, 2.0, 5.0]
    assert bar_edges(np.zeros(0), 0.3).tolist() == [0.0, 0.3]


def test_a_loop_of_chords_is_one_section_and_sections_that_take_turns_are_not() -> None:
    turns = [("A", "drop"), ("B", "drop")]
    assert _join_loops([0, 4, 8, 12, 16, 24], [*turns, *turns, ("C", "outro")]) == [0, 16, 24]
    assert _join_loops([0, 8, 16, 24, 32], turns * 2) == [0, 8, 16, 24, 32]
    functions = [("A", "drop"), ("B", "breakdown")]
    assert _join_loops([0, 4, 8, 12, 16], functions * 2) == [0, 4, 8, 12, 16]


def test_what_climbs_evenly_is_one_section() -> None:
    still, climbing = np.zeros((8, 6)), np.linspace(0, 12, 16)[:, None] * np.ones(6)
    assert cut(np.concatenate([still, climbing, still])) == [0, 8, 24, 32]


def test_a_bar_that_rings_out_is_no_section() -> None:
    music, silence = np.zeros((17, 6)), np.full((1, 6), 30.0)
    assert cut(np.concatenate([music, silence])) == [0, 18]
    assert cut(np.concatenate([music[1:], np.repeat(silence, 8, axis=0)])) == [0, 16, 24]
