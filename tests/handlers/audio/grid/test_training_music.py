"""The music that the ranker is trained on: its truth is the truth, and it is the same every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.beats.examples import judge, load, make_example, save
from training.beats.grooves import GROOVES
from training.beats.music import BEATS, RATE, make_beatless, make_piece
from training.beats.songs import make_song


def test_a_seed_is_one_piece() -> None:
    one, again, other = make_piece(3, duration_s=15), make_piece(3, duration_s=15), make_piece(4, duration_s=15)
    assert np.array_equal(one.audio, again.audio)
    assert not np.array_equal(one.audio[: 10 * RATE], other.audio[: 10 * RATE])


@pytest.mark.parametrize("genre", ["house", "waltz", "sixeight"])
def test_beats_stand_in_the_tempo_and_downbeats_in_the_meter(genre: str) -> None:
    piece = make_piece(11, genre=genre, duration_s=20, tempo_bpm=100)
    assert np.diff(piece.beats_s) == pytest.approx(0.6, abs=1e-9)
    assert set(np.diff(piece.downbeats)) == {{"4/4": 4, "3/4": 3, "6/8": 2}[piece.meter]}


def test_a_ramp_is_no_steady_piece() -> None:
    piece = make_piece(12, drift="ramp", duration_s=30)
    assert not piece.steady and np.diff(piece.beats_s).std() > 0.003


@pytest.mark.parametrize("style", list(GROOVES))
def test_every_style_of_song_stands_in_its_meter(style: str) -> None:
    song = make_song(5, style=style, duration_s=16)
    assert song.audio.dtype == np.float32 and np.isfinite(song.audio).all() and np.abs(song.audio).max() > 0.1
    assert song.beats_s[-1] < len(song.audio) / song.sample_rate
    assert set(np.diff(song.downbeats)) <= {BEATS[song.meter]}
    assert np.ptp(np.diff(song.beats_s)) < 1e-6


def test_a_seed_is_one_song() -> None:
    one, again = make_song(3, duration_s=15), make_song(3, duration_s=15)
    assert np.array_equal(one.audio, again.audio) and not np.array_equal(one.beats_s, make_song(4).beats_s)


def test_moving_pieces_teach_on_their_own_clock() -> None:
    example = make_example(make_song(8, style="rock", drift="ramp", duration_s=40))
    assert example is not None and example.right.any()


def test_examples_are_read_as_they_were_written(tmp_path: Path) -> None:
    made = [one for one in (make_example(make_song(seed, duration_s=15)) for seed in (1, 2)) if one]
    save(made, tmp_path / "few.npz")
    read = load(tmp_path / "few.npz")
    assert [one.name for one in read] == [one.name for one in made]
    for one, other in zip(read, made, strict=True):
        assert np.array_equal(one.seen, other.seen) and np.array_equal(one.rows, other.rows)
        assert np.array_equal(one.seen_of_right(), other.seen_of_right())


def test_the_right_grid_is_among_the_hypotheses() -> None:
    for seed in (21, 22, 23):
        example = make_example(make_piece(seed, duration_s=30))
        assert example is not None and example.right.any()
        assert len(example.rows) == len(example.f_measure) == len(example.pulse_rows)
        assert np.isfinite(example.rows).all()


def test_what_has_no_beat_has_no_right_grid() -> None:
    example = make_example(make_beatless(5))
    assert example is None or not example.right.any()


def test_the_judge_knows_the_grid_the_off_beat_and_the_double() -> None:
    from handlers.audio.grid.hypotheses import Lattice
    from handlers.audio.grid.track import Hypothesis

    piece = make_piece(11, genre="house", duration_s=40, tempo_bpm=120)
    first = float(piece.beats_s[0])
    beat, quarter = divmod(first % 0.5, 0.125)
    right = Hypothesis(Lattice(120, quarter, 1.0), int(beat))
    off = Hypothesis(Lattice(120, quarter, 1.0), (int(beat) + 2) % 4)
    beat, quarter = divmod(first % 0.25, 0.0625)
    double = Hypothesis(Lattice(240, quarter, 1.0), int(beat))
    assert judge(right, piece.beats_s) > 0.98
    assert judge(off, piece.beats_s) == 0
    assert judge(double, piece.beats_s) == pytest.approx(2 / 3, abs=0.02)
