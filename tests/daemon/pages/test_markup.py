"""Links: they lead to files beside the page or in folders there, and to nothing else."""

from __future__ import annotations

import pytest

from daemon.pages.markup import link_to


@pytest.mark.parametrize(
    ("file_name", "link"),
    [
        ("beds_1.wav", "beds_1.wav"),
        ("seed-7/beds 1.wav", "seed-7/beds%201.wav"),
        ("by_source/song/pads/song_pad01.wav", "by_source/song/pads/song_pad01.wav"),
        ("a/b#c?d.wav", "a/b%23c%3Fd.wav"),
        ("a%2Fb/c.wav", "a%252Fb/c.wav"),
        ("a\\b/c.wav", "a%5Cb/c.wav"),
    ],
)
def test_a_link_leads_into_folders_and_a_name_means_nothing_in_it(file_name: str, link: str) -> None:
    assert link_to(file_name) == link


@pytest.mark.parametrize("file_name", ["../a.wav", "a/../../b.wav", "/etc/passwd", "//host/a.wav", "a//b.wav", "./a.wav"])
def test_no_link_leads_out_of_the_pages_folder(file_name: str) -> None:
    assert "/" not in link_to(file_name)


def test_no_link_has_a_scheme() -> None:
    assert ":" not in link_to("javascript:alert(1)") and ":" not in link_to("javascript:/a.wav")
