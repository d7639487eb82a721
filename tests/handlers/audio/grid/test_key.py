"""Keys of music in known ones, at any tuning; none where there is no pitch."""

from __future__ import annotations

import numpy as np
import pytest

from handlers.audio.grid.key import NAMES, KeyFound, find_key
from handlers.audio.grid.pitches import RATE, SEMITONES, Notes, Pitches
from tests.fixtures.sound import noise, tone
from tests.handlers.audio.grid.songs import BAR_S, MAJOR, MINOR, SAMPLE_RATE, block


def _notes(audio: np.ndarray, sample_rate: int = SAMPLE_RATE) -> Notes:
    pitches = Pitches(sample_rate)
    for start in range(0, audio.shape[1], 40_000):
        pitches.feed(audio[:, start : start + 40_000])
    return pitches.finish()


@pytest.mark.parametrize("tonic", range(12))
@pytest.mark.parametrize(("scale", "mode"), [(MINOR, "minor"), (MAJOR, "major")])
def test_the_key_of_chords_and_bass_is_found(tonic: int, scale: tuple[int, ...], mode: str) -> None:
    tuning_cents = (-35, 0, 20)[tonic % 3]
    audio = block(["hats", "bass", "chords"], 4, tonic=tonic, scale=scale, tuning_cents=tuning_cents)
    found = find_key(_notes(audio))
    assert found is not None and found.name == f"{NAMES[tonic]} {mode}"
    # A just third, which is what a fifth partial is, lies 14 cents under a tuned one.
    assert found.tuning_cents == pytest.approx(tuning_cents, abs=10)
    assert found.confidence > 0.5 and found.runner_up != found.name


@pytest.mark.parametrize(("first_bar", "key"), [(0, "A minor"), (2, "C major")])
def test_of_two_relatives_the_one_that_phrases_begin_with_is_the_key(first_bar: int, key: str) -> None:
    # Am F C G, which is C G Am F when it begins two bars later.
    notes = _notes(block(["bass", "chords"], 16, progression=(0, 5, 2, 6)))
    found = find_key(notes, [(BAR_S * bar, BAR_S * (bar + 1)) for bar in range(first_bar, 16, 8)])
    assert found is not None and found.name == key


def test_phrases_that_lie_outside_or_are_silent_do_no_harm() -> None:
    notes = _notes(np.pad(block(["bass", "chords"]), ((0, 0), (0, 5 * SAMPLE_RATE))))
    plain, told = find_key(notes), find_key(notes, [(19.0, 20.5), (100.0, 102.0)])
    assert plain is not None and told is not None and told.name == plain.name


@pytest.mark.parametrize(("midi", "name"), [(28, "E"), (33, "A"), (57, "A"), (69, "A"), (94, "Bb")])
def test_a_tone_is_its_pitch_class_at_its_place(midi: int, name: str) -> None:
    notes = _notes(tone(440 * 2 ** ((midi - 69) / 12), 3.0), 44_100)
    assert notes.strength[3].argmax() == midi - 24
    assert notes.chroma(0, 3).argmax() == NAMES.index(name) and notes.chroma(0, 3).sum() == pytest.approx(1)


def test_when_a_note_sounds_is_known_to_half_a_second() -> None:
    audio = np.concatenate([tone(220, 10.0), tone(246.94, 10.0)], axis=1)
    notes = _notes(audio, 44_100)
    assert (notes.chroma(0.5, 9.5).argmax(), notes.chroma(10.5, 19.5).argmax()) == (9, 11)


@pytest.mark.parametrize(
    "audio",
    [
        pytest.param(noise(20.0, seed=2), id="white noise"),
        pytest.param(noise(3.0, seed=3), id="short noise"),
        pytest.param(np.zeros((2, 100_000), np.float32), id="silence"),
        pytest.param(np.full((1, 200_000), 0.5, np.float32), id="DC"),
        pytest.param(tone(440, 0.3), id="0.3 s"),
        pytest.param(np.ones((1, 1), np.float32), id="one sample"),
    ],
)
def test_where_no_pitch_stands_out_there_is_no_key(audio: np.ndarray) -> None:
    assert find_key(_notes(audio, 44_100)) is None


def test_blocks_do_not_matter() -> None:
    audio = block(["bass", "chords"], 2)
    whole = Pitches(SAMPLE_RATE)
    whole.feed(audio)
    np.testing.assert_allclose(whole.finish().strength, _notes(audio).strength, rtol=1e-3, atol=1e-2)


@pytest.mark.parametrize(
    ("key", "camelot"),
    [("A minor", "8A"), ("C major", "8B"), ("E minor", "9A"), ("Ab minor", "1A"), ("B major", "1B"), ("F# major", "2B"),
     ("D minor", "7A"), ("Eb major", "5B")],
)  # fmt: skip
def test_camelot_is_that_of_the_wheel(key: str, camelot: str) -> None:
    name, mode = key.split()
    assert KeyFound(NAMES.index(name), mode, 1.0, "", 0.0).camelot == camelot


def test_a_stretch_outside_has_no_pitches() -> None:
    notes = Notes(np.zeros((4, SEMITONES), np.float32), 0.0)
    assert notes.chroma(100.0, 200.0).sum() == 0 and RATE == 11_025
