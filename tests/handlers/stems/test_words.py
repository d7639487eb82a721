"""Words: what they mean, what they do to a style, and that more of them does more."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from handlers.stems.styles import PARTS
from handlers.stems.words import read_words


@pytest.mark.parametrize(
    ("prompt", "tempo"),
    [
        ("techno at 128 BPM", (128, 128)),
        ("somewhere in 120-126bpm", (120, 126)),
        ("from 126 to 120 beats per minute", (120, 126)),
        ("driving, 120+ BPM", (120, 128)),
        ("a hundred sheets of steel", None),
        ("at 900 BPM", None),
    ],
)
def test_a_tempo_is_read(prompt, tempo):
    assert read_words(prompt).tempo == tempo


@pytest.mark.parametrize(
    ("prompt", "key"),
    [
        ("in F# minor, loud", "F# minor"), ("Eb major", "Eb major"), ("in b-flat minor", "Bb minor"),
        ("in C sharp minor", "C# minor"), ("in a minor", "A minor"), ("an A minor drone", "A minor"),
        ("a minor chord", None), ("minor chords", None),
    ],
)  # fmt: skip
def test_a_key_is_read_and_an_article_is_no_key(prompt, key):
    assert read_words(prompt).key == key


@pytest.mark.parametrize(
    ("prompt", "axis", "sign"),
    [
        ("relentless", "intensity", 1), ("calm", "intensity", -1), ("not calm", "intensity", 1), ("less hard", "intensity", -1),
        ("dark", "darkness", 1), ("brighter", "darkness", -1), ("busy", "density", 1), ("sparse", "density", -1),
        ("distorted", "drive", 1), ("dry", "room", -1), ("slow", "tempo", -1), ("uptempo", "tempo", 1),
    ],
)  # fmt: skip
def test_words_pull_at_settings(prompt, axis, sign):
    assert read_words(prompt).pulls[axis] * sign > 0


def test_very_pulls_more_and_slightly_less():
    slightly, plain, very = (read_words(f"{how} dark").pulls["darkness"] for how in ("slightly", "", "very"))
    assert 0 < slightly < plain < very


def test_a_negation_ends_at_the_comma_or_with_what_is_there():
    reading = read_words("no drums or bass, a dark drone; without pads but with bells, no snare with a kick")
    assert {part for part, wanted in reading.parts.items() if not wanted} == {
        "snare",
        "toms",
        "hats",
        "metal",
        "bass",
        "pad",
    }
    assert {part for part, wanted in reading.parts.items() if wanted} == {"drone", "lead", "kick"}
    assert reading.settings == {"lead": "bell"}
    assert reading.pulls["darkness"] > 0


@pytest.mark.parametrize(
    ("prompt", "settings"),
    [
        ("a four-to-the-floor kick", {"kick": "four"}), ("breakbeats", {"kick": "break"}), ("gated snare", {"snare": "gated"}),
        ("hand claps", {"snare": "clap"}), ("a pulsing saw bass", {"bass": "saw", "bass_line": "pulse"}),
        ("arpeggiated bass", {"bass_line": "arpeggio"}), ("eerie leads", {"lead": "wail"}), ("bells", {"lead": "bell"}),
    ],
)  # fmt: skip
def test_parts_are_named_with_how_they_play(prompt, settings):
    assert read_words(prompt).settings == settings


def test_what_is_not_understood_is_listed_and_the_rest_is_not():
    reading = read_words(
        "Dark industrial techno at 126 BPM with purple elephants, very busy hats, no vocals, and a guitar."
    )
    assert reading.not_understood == ("industrial techno", "purple elephants", "guitar")
    assert set(reading.understood) == {"126 BPM", "dark", "busy", "hats", "no vocals"}


def test_drum_and_bass_is_a_genre_and_no_list_of_parts():
    reading = read_words("drum and bass")
    assert reading.parts == {}
    assert reading.not_understood == ("drum and bass",)


@given(some.text(max_size=200))
def test_any_text_can_be_read(text):
    read_words(text)


def test_nothing_said_changes_nothing(style):
    assert read_words("").steer(style("industrial/bed")) == style("industrial/bed")


def test_a_word_of_tempo_moves_the_range_of_the_style(style):
    bed = style("industrial/bed")
    slow, fast = (read_words(word).steer(bed).tempo for word in ("slow", "fast"))
    assert slow[0] < bed.tempo[0] < fast[0]
    assert slow[1] < bed.tempo[1] < fast[1]


def test_parts_come_and_go_in_the_order_of_all_parts(style):
    steered = read_words("no drums, with pads and an arpeggio").steer(style("industrial/bed"))
    assert steered.character.parts == tuple(
        part for part in PARTS if part in ("bass", "lead", "arp", "pad", "drone", "texture", "riser", "impact")
    )


def test_a_prompt_that_leaves_nothing_is_refused(style):
    with pytest.raises(ValueError, match="leaves nothing to play"):
        read_words("no drones, no pads, no noise, no bass, no melody, no drums, no impacts").steer(style("ambient/bed"))


LADDERS = {
    "intensity": (
        "calm, gentle and soft",
        "calm",
        "",
        "hard",
        "hard, relentless, aggressive",
        "hard, relentless, aggressive, brutal",
    ),
    "drive": ("calm", "", "hard", "hard, intense"),
    "density": ("sparse and minimal", "sparse", "", "busy", "busy and dense", "busy, dense, frantic"),
    "brightness": ("very dark", "dark", "", "bright", "very bright"),
}


@pytest.mark.parametrize("name", LADDERS)
def test_more_words_of_a_kind_raise_the_setting_and_stay_in_its_range(style, name):
    values = [getattr(read_words(words).steer(style("industrial/bed")).character, name) for words in LADDERS[name]]
    assert all(first < second for first, second in pairwise(values)), values
    assert values[0] >= 0 and values[-1] <= 1
