"""Names of textures: the same for people and for a TR-8S's 16 characters."""

from __future__ import annotations

import pytest

from handlers.textures.names import place_of, short_of, tr8s_short


@pytest.mark.parametrize(
    ("kind", "number", "variant", "place"),
    [
        ("pads", 1, "", "by_source/old_tape/pads/old_tape_pad01.wav"),
        ("swells", 1, "warm", "by_source/old_tape/swells/old_tape_swell01_warm.wav"),
        ("clouds", 12, "", "by_source/old_tape/clouds/old_tape_cloud12.wav"),
        ("flickers", 4, "", "by_source/old_tape/hiss/old_tape_flicker04.wav"),
    ],
)
def test_a_texture_lies_with_its_kind_below_its_track(kind, number: int, variant: str, place: str) -> None:
    assert place_of("old_tape", kind, number, variant, ".wav") == place


def test_each_of_several_profiles_has_a_folder() -> None:
    assert place_of("a", "hiss", 1, "", ".wav", profile="bright") == "by_source/a/bright/hiss/a_hiss01.wav"


def test_long_names_are_shortened_at_a_word() -> None:
    assert short_of("industrial_evening_at_the_docks") == "industrial"
    assert short_of("x" * 40) == "x" * 16 and short_of("old_tape") == "old_tape"


def test_names_for_a_tr8s_have_sixteen_characters_at_most_and_differ_between_tracks() -> None:
    slugs = [f"industrial_evening_{number}" for number in range(40)]
    places = [place_of(slug, "pads", 1, "", ".wav", pack="tr8s") for slug in slugs]
    names = {place.rpartition("/")[2] for place in places}
    assert len(names) == 40 and max(map(len, names)) <= 16
    assert all("/ROLAND/TR-8S/SAMPLE/" in place for place in places)
    assert tr8s_short("hum") == "hum" and len(tr8s_short("old_tape")) == 6
