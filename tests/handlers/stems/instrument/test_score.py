"""What stems play: form, grid, motif. No sound is made here."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from handlers.stems.instrument.lines import LEAD_LOWEST
from handlers.stems.instrument.render import SAMPLE_RATE, compose, describe_grid
from handlers.stems.instrument.score import STEPS
from handlers.stems.styles import list_styles, load_style
from handlers.stems.theory import Key, parse_key, pitch

CONFIG = Path(__file__).parents[4] / "config"

ALL_STYLES = list_styles(CONFIG / "styles")


def has_lead(name):
    return "lead" in load_style(CONFIG / "styles", name).character.parts


@pytest.mark.parametrize("name", ALL_STYLES)
def test_sixty_seconds_hold_four_sections_that_differ_in_their_parts(style, name):
    for seed in range(25):
        sections = compose(style(name), 60.0, seed).sections
        casts = [frozenset(section.parts) - {"riser", "impact"} for section in sections]
        assert len(set(casts)) >= 4, f"seed {seed}: {casts}"
        assert all(first != second for first, second in pairwise(casts)), f"seed {seed}: {casts}"


@settings(max_examples=40, deadline=None)
@given(
    name=some.sampled_from(ALL_STYLES),
    duration_s=some.floats(1, 600),
    tempo_bpm=some.none() | some.floats(40, 240),
    seed=some.integers(0, 2**32 - 1),
)
def test_sections_fill_every_bar_and_events_stay_inside(name, duration_s, tempo_bpm, seed):
    style = load_style(CONFIG / "styles", name)
    style = replace(style, tempo=(tempo_bpm, tempo_bpm)) if tempo_bpm else style
    score = compose(style, duration_s, seed)
    assert score.sections[0].start_bar == 0
    assert all(first.end_bar == second.start_bar for first, second in pairwise(score.sections))
    assert score.sections[-1].end_bar == score.meter.bars
    assert all(section.bars >= 1 and section.parts for section in score.sections)
    for events in score.events.values():
        starts = [event.start for event in events]
        assert starts == sorted(starts)
        assert all(0 <= start < score.meter.frames for start in starts)
    grid = describe_grid(score, style, seed)
    assert grid["sections"][0]["start_s"] == 0
    assert grid["sections"][-1]["end_s"] == pytest.approx(duration_s, abs=1 / SAMPLE_RATE)


def test_steps_of_one_job_share_tempo_key_and_motif(style):
    for seed in range(10):
        beds = compose(style("industrial/bed"), 60.0, seed, step="beds", index=2)
        transitions = compose(style("industrial/transition"), 30.0, seed, step="transitions", index=1)
        assert beds.common == transitions.common


def fifths_apart(one, two):
    return min(7 * (one.root - two.root) % 12, 7 * (two.root - one.root) % 12)


def test_styles_of_two_families_get_keys_that_go_together(style):
    """Nearer on the circle of fifths than two keys drawn apart, and the same tempo where the job names a range."""
    names = ("industrial/bed", "darkwave/bed")
    apart = []
    for seed in range(40):
        one, two = (compose(replace(style(name), tempo=(110, 140)), 8.0, seed).common for name in names)
        assert (one.tempo_bpm, one.motif) == (two.tempo_bpm, two.motif)
        apart.append(fifths_apart(one.key, two.key))
    keys = [[parse_key(key) for key in style(name).keys] for name in names]
    by_chance = [fifths_apart(one, two) for one in keys[0] for two in keys[1]]
    assert sum(apart) / len(apart) < 0.7 * sum(by_chance) / len(by_chance)


def test_seeds_draw_different_tempi_keys_and_motifs(style):
    drawn = [compose(style("industrial/bed"), 8.0, seed).common for seed in range(40)]
    assert len({common.tempo_bpm for common in drawn}) > 5
    assert len({common.key for common in drawn}) == len(style("industrial/bed").keys)
    assert len({common.motif for common in drawn}) > 30


def test_a_given_tempo_and_key_leave_the_motif_as_it_is(style):
    free = compose(style("industrial/bed"), 8.0, 3)
    given_both = compose(replace(style("industrial/bed"), tempo=(100.5, 100.5), keys=("Bb minor",)), 8.0, 3)
    assert (given_both.common.tempo_bpm, str(given_both.common.key)) == (100.5, "Bb minor")
    assert given_both.common.motif == free.common.motif


def test_a_key_in_major_is_played_in_major(style):
    common = compose(replace(style("industrial/bed"), keys=("C major",)), 8.0, 3).common
    assert common.scale == "major"


@pytest.mark.parametrize("name", [name for name in ALL_STYLES if has_lead(name)])
def test_the_motif_returns_in_every_stem(style, name):
    for index in (1, 2, 3):
        score = compose(style(name), 60.0, 11, index=index)
        motif = {
            (note.step, pitch(score.common.key, score.common.scale, note.degree, LEAD_LOWEST))
            for note in score.common.motif
        }
        statements = 0
        for section in score.sections:
            for bar in range(section.start_bar, section.end_bar - 1, 2):
                begin = bar * STEPS
                played = {
                    (step, event.pitch)
                    for event in score.events["lead"]
                    if 0 <= (step := round(event.start / score.meter.step_frames) - begin) < 2 * STEPS
                }
                statements += played == motif
        assert statements >= 2, f"{name} {index}: the motif is stated {statements} times"


def test_no_two_stems_of_a_step_play_the_same(style):
    scores = [compose(style("industrial/bed"), 60.0, 7, index=index) for index in range(1, 6)]
    assert len({score.events["metal"] for score in scores}) == 5
    assert len({tuple((section.label, section.parts) for section in score.sections) for score in scores}) == 5


def test_every_part_of_a_style_is_heard_in_sixty_seconds(style):
    for seed in range(15):
        score = compose(style("industrial/bed"), 60.0, seed)
        silent = [part for part, events in score.events.items() if not events and part not in ("riser", "impact")]
        assert not silent, f"seed {seed}"


def test_sections_end_in_a_fill(style):
    """The kick of a section's last bar is not the kick of the bars before it."""
    score = compose(style("industrial/bed"), 60.0, 7)
    section = next(section for section in score.sections if section.label == "drop")
    bars = {}
    for event in score.events["snare"]:
        bar, step = divmod(round(event.start / score.meter.step_frames), STEPS)
        bars.setdefault(bar, set()).add(step)
    backbeat = {4, 12}
    assert all(backbeat <= bars[bar] for bar in range(section.start_bar, section.end_bar - 1))
    assert len(bars[section.end_bar - 1] - backbeat) >= 1


def test_transitions_fall_rise_and_land(style):
    for seed in range(10):
        score = compose(style("industrial/transition"), 30.0, seed)
        labels = [section.label for section in score.sections]
        assert labels.index("fall") < labels.index("rise") < labels.index("impact")
        fall = score.sections[labels.index("fall")]
        assert "kick" not in fall.parts
        rise = score.sections[labels.index("rise")]
        end = score.meter.frame(rise.end_bar * STEPS)
        assert any(
            event.kind == "rise" and abs(event.start + event.length - end) <= 1 for event in score.events["riser"]
        )
        landing = score.sections[labels.index("impact")]
        assert any(event.start == score.meter.frame(landing.start_bar * STEPS) for event in score.events["impact"])


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("A minor", Key(9, "minor")),
        ("f# Minor", Key(6, "minor")),
        ("Bb major", Key(10, "major")),
        ("Cb minor", Key(11, "minor")),
    ],
)
def test_keys_are_read(text, key):
    assert parse_key(text) == key


@pytest.mark.parametrize("text", ["H minor", "A", "A mixolydian", ""])
def test_what_is_no_key_is_refused_with_an_example(text):
    with pytest.raises(ValueError, match="such as 'A minor'"):
        parse_key(text)


def test_degrees_climb_the_scale_over_octaves():
    assert [pitch(Key(9, "minor"), "minor", degree, 45) for degree in (0, 2, 4, 7, -1)] == [45, 48, 52, 57, 43]
