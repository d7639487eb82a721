"""Folder names of tracks: what any filesystem takes, and no two alike."""

from __future__ import annotations

import re

import pytest

from handlers.audio.delivery.slugs import LONGEST, distinct_slugs, slug_of


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("Old Tape (Final) v2", "old_tape_final_v2"),
        ("Überfahrt — Rußig", "uberfahrt_russig"),
        ("GRÖẞE", "grosse"),
        ("Smørrebrød, Ænima", "smorrebrod_aenima"),
        ("Łódź", "lodz"),
        ("con", "track_con"),
        ("LPT1", "track_lpt1"),
        ("COM¹", "track_com1"),
        ("ends with dots...", "ends_with_dots"),
        (" _spaces_ ", "spaces"),
        ("a/b:c*d?e", "a_b_c_d_e"),
        ("nul byte\0", "nul_byte"),
        ("x" * 300, "x" * LONGEST),
    ],
)
def test_a_name_becomes_what_every_filesystem_takes(text: str, slug: str) -> None:
    assert slug_of(text) == slug


@pytest.mark.parametrize("text", ["Ночь", "夜", "", "...", "🎛️", "\udcff"])
def test_a_name_without_plain_letters_is_told_from_others_by_its_hash(text: str) -> None:
    assert re.fullmatch(r"track_[0-9a-f]{6}", slug_of(text))


def test_two_names_in_another_script_that_share_a_number_stay_apart() -> None:
    assert slug_of("Ночь 01") != slug_of("Утро 01")


def test_composed_and_decomposed_letters_are_one_name() -> None:
    assert slug_of("Caf\u00e9") == slug_of("Cafe\u0301") == "cafe"


def test_tracks_are_called_by_their_file_and_where_shared_by_their_folder_too() -> None:
    assert distinct_slugs(["a/Song.flac", "b/song.wav", "b/other.wav"]) == ["a_song", "b_song", "other"]


def test_what_is_still_alike_is_numbered_around_names_that_are_there() -> None:
    assert distinct_slugs(["song", "SONG", "song_2"]) == ["song", "song_3", "song_2"]


def test_names_that_differ_in_case_or_a_trailing_dot_only_lie_in_folders_of_their_own() -> None:
    slugs = distinct_slugs(["Song.wav", "song.flac", "song..mp3", "CON.wav", "con.flac", "Größe.wav", "Grosse.wav"])
    assert slugs == ["song", "song_2", "song_3", "track_con", "track_con_2", "grosse", "grosse_2"]


def test_a_dot_in_a_title_is_no_suffix() -> None:
    assert distinct_slugs(["Mix 2.0", "Mr. Sun.flac"]) == ["mix_2_0", "mr_sun"]


def test_long_names_that_differ_at_the_end_stay_apart_and_short_enough() -> None:
    slugs = distinct_slugs([f"{'x' * 80}{number}.wav" for number in range(120)])
    assert len(set(slugs)) == 120 and max(map(len, slugs)) <= LONGEST
