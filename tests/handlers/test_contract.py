"""What handlers and daemon agree on, where it is more than a shape."""

from __future__ import annotations

from pathlib import Path

import pytest

from handlers.contract import Folder, InputFile, Params, Reference, folders, references


@pytest.mark.parametrize(
    ("label", "title"),
    [
        ("beds/3", "beds/3"),
        ("from/beds/12", "from/beds/12"),
        ("beds", "beds"),
        ("./set/opening.wav", "opening"),
        ("set/Night Shift (v1.2).flac", "Night Shift (v1.2)"),
        ("/home/pia/inbox/rec.wav", "rec"),
        ("~/music/rec.wav", "rec"),
        ("./rec", "rec"),
    ],
)
def test_an_input_is_titled_by_its_file_or_its_reference(label: str, title: str) -> None:
    assert InputFile(Path("x.wav"), label, "0" * 64).title == title


def test_folders_are_found_apart_from_references() -> None:
    class Asked(Params):
        roots: list[Folder]
        input: Reference

    asked = Asked(roots=["~/music", "./loops"], input="beds")

    assert list(folders(asked)) == [("roots.0", "~/music"), ("roots.1", "./loops")]
    assert list(references(asked)) == [("input", "beds")]
