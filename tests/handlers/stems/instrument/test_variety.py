"""No two of eight stems of a style share drum pattern, bass line or order of sections. Read from the scores."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

import pytest

from handlers.stems.instrument.form import draw_labels, unit_bars
from handlers.stems.instrument.lines import LinePattern, draw_lines
from handlers.stems.instrument.patterns import draw_drums
from handlers.stems.instrument.render import compose
from handlers.stems.instrument.score import STEPS
from handlers.stems.instrument.variety import Place, draw_unlike
from handlers.stems.styles import list_styles

ALL_STYLES = list_styles(Path(__file__).parents[4] / "config" / "styles")
DRUMS = ("kick", "snare", "hats", "metal")


def bars_of(score, part):
    """What a part plays in each bar: sets of (step, kind or pitch), from the events alone."""
    bars = defaultdict(set)
    for event in score.events.get(part, ()):
        bar, step = divmod(round(event.start / score.meter.step_frames), STEPS)
        if bar < score.meter.bars:
            bars[bar].add((step, event.kind, event.pitch))
    return bars


def drum_pattern(score):
    """The hits that a part plays in most of its bars."""
    pattern = set()
    for part in DRUMS:
        bars = bars_of(score, part)
        hits = Counter(hit for bar in bars.values() for hit in bar)
        pattern |= {(part, *hit) for hit, count in hits.items() if count > len(bars) / 2 or part == "metal"}
    return frozenset(pattern)


def bass_line(score):
    """The notes that the bass plays on each step in more than a bar here and there."""
    bars = bars_of(score, "bass")
    notes = Counter(note for bar in bars.values() for note in bar)
    return frozenset(note for note, count in notes.items() if count > 0.08 * len(bars))


@pytest.mark.parametrize("name", ALL_STYLES)
def test_no_two_of_eight_share_drums_bass_or_sections(style, name):
    played = style(name)
    scores = [compose(played, 60.0, 7, step="beds", index=index) for index in range(1, 9)]
    assert len({tuple(section.label for section in score.sections) for score in scores}) == 8
    if {"kick", "snare", "hats", "metal"} & {*played.character.parts}:
        assert len({drum_pattern(score) for score in scores}) == 8
    if "bass" in played.character.parts:
        assert len({bass_line(score) for score in scores}) == 8


@pytest.mark.parametrize("name", ["industrial/bed", "industrial/transition", "darkwave/calm", "ambient/bed"])
def test_what_is_drawn_is_unlike_even_where_chance_would_repeat_it(style, name):
    """The same over many seeds, at the source: chance alone repeats itself in every second step or so."""
    played = style(name)
    parts = played.character.parts

    def mark(drawn):
        return drawn.mark(parts)

    for seed in range(30):
        places = [Place(seed, name, "beds", index) for index in range(1, 9)]
        drums = [draw_unlike(place, "beat", lambda rng: draw_drums(played.character, rng), mark) for place in places]
        lines = [
            draw_unlike(place, "line", lambda rng: draw_lines(played.character, [0, 2, 4], rng), LinePattern.mark)
            for place in places
        ]
        assert len({drawn.mark(parts) for drawn in drums}) == 8
        assert len({drawn.bass for drawn in lines}) == 8


@pytest.mark.parametrize(
    ("form", "bars", "orders"),
    [("track", 3, 1), ("track", 5, 8), ("track", 20, 8), ("transition", 3, 1), ("transition", 4, 4), ("transition", 5, 8),
     ("transition", 15, 8), ("drift", 2, 1), ("drift", 3, 7), ("drift", 9, 8)],
)  # fmt: skip
def test_a_few_bars_hold_as_many_orders_of_sections_as_they_can(form, bars, orders):
    places = [Place(5, "style", "beds", index) for index in range(1, 9)]
    drawn = [draw_unlike(place, "labels", lambda rng: draw_labels(form, bars, rng), tuple) for place in places]
    assert len(set(drawn)) == orders
    assert all(len(labels) <= max(1, bars // unit_bars(bars)) for labels in drawn)


def test_where_all_are_taken_they_come_round_again():
    drawn = [
        draw_unlike(Place(1, "style", "step", index), "die", lambda rng: int(rng.integers(4)), lambda face: face)
        for index in range(1, 13)
    ]
    assert [sorted(drawn[start : start + 4]) for start in (0, 4, 8)] == [[0, 1, 2, 3]] * 3


def test_a_second_take_is_unlike_the_first_takes_of_all(style):
    firsts = [compose(style("industrial/bed"), 60.0, 7, index=index) for index in range(1, 9)]
    again = compose(style("industrial/bed"), 60.0, 7, index=3, take=1)
    assert drum_pattern(again) not in {drum_pattern(score) for score in firsts}
    assert bass_line(again) not in {bass_line(score) for score in firsts}
