"""A catalogue is a file that somebody wrote: it opens nothing, names no folder, and breaks nothing but its own step."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from handlers.archaeology import select
from handlers.archaeology.params import SelectParams
from handlers.audio import files
from handlers.audio.delivery import catalogue
from handlers.contract import InputFile, Invalid
from handlers.textures.sources import expand
from tests.fixtures.sound import noise


def listed(**row: object) -> bytes:
    return json.dumps([{"rel_path": "a.wav", **row}]).encode()


REFUSED: dict[str, tuple[bytes, str]] = {
    "deep.json": (b'[{"rel_path": "a.wav", "x": ' + b"[" * 100_000 + b"]" * 100_000 + b"}]", "is no catalogue"),
    "nested.json": (listed(x=[[1]]), "one value in a cell"),
    "nul.json": (listed(rel_path="a\0.wav"), "one line of plain text"),
    "nul.csv": (b"rel_path\na\0.wav\n", "plain text"),
    "half-a-letter.json": (listed(rel_path="\ud800.wav"), "one line of plain text"),
    "half-elsewhere.json": (listed(remark="\ud800"), "surrogates"),
    "escape.json": (listed(rel_path="a\x1b[31m.wav"), "one line of plain text"),
    "long.json": (listed(rel_path="a" * 5000), "one line of plain text"),
    "climbing-slug.json": (listed(slug="../../outside"), "slug"),
    "no-text.json": (listed(id={"a": 1}), "one value in a cell"),
    "endless-number.json": (b'[{"rel_path": "a.wav", "duration_sec": 1e999}]', "not a number"),
    "not-utf-8.csv": (b"rel_path\na\xff.wav\n", "utf-8"),
    "large-cell.csv": (b"rel_path\n" + b"a" * 200_000 + b"\n", "field"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_hostile_catalogue_is_refused_in_words(tmp_path: Path, name: str) -> None:
    content, words = REFUSED[name]
    (tmp_path / name).write_bytes(content)
    with pytest.raises(Invalid, match=words) as refused:
        catalogue.read(tmp_path / name)
    assert str(refused.value).isprintable() and len(str(refused.value)) < 1000


@pytest.mark.parametrize("path", ["/etc/passwd", "../../etc/passwd", "leads-out/secret.wav"])
def test_no_row_is_mined_outside_the_catalogues_folder(tmp_path: Path, path: str) -> None:
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    outside.mkdir()
    inside.mkdir()
    (outside / "secret.wav").touch()
    (inside / "leads-out").symlink_to(outside)
    (inside / "c.json").write_bytes(json.dumps([{"path": path}]).encode())
    with pytest.raises(Invalid, match="does not lie below"):
        expand(InputFile(inside / "c.json", "./c.json", ""), 0, None)


def test_a_hundred_thousand_rows_are_read(tmp_path: Path) -> None:
    (tmp_path / "many.csv").write_text("rel_path\n" + "".join(f"a{number}.wav\n" for number in range(100_000)))
    rows = catalogue.read(tmp_path / "many.csv")
    assert len({row["slug"] for row in rows}) == 100_000


def test_no_recording_is_listened_to_outside_not_even_by_way_of_a_second_selection(
    tmp_path: Path, context_factory: Any, config: Path
) -> None:
    for folder in ("outside", "inside"):
        (tmp_path / folder).mkdir()
        files.write(tmp_path / folder / "song.wav", noise(2.0), 44_100)
    named = {folder: str(tmp_path / folder / "song.wav") for folder in ("outside", "inside")}
    catalogue_file = tmp_path / "inside" / "c.json"
    catalogue_file.write_text(
        json.dumps([{"rel_path": f"{folder}.wav", "path": path} for folder, path in named.items()])
    )
    (config / "selections" / "anything.yaml").write_text("prefer: []\n")

    def choose(source: InputFile, **more: Any) -> Any:
        context = context_factory(inputs={"found": source})
        context.config_dir, context.folders = config, {"../all": tmp_path}
        select.run(SelectParams(catalog="found", rules="anything", **more), context)
        return context

    listed_file = InputFile(catalogue_file, "./c.json", "")
    first = choose(listed_file)
    assert len(catalogue.read(first.delivered().path)) == 2, "by their names alone all may be chosen"
    again = InputFile(
        first.delivered().path, "first/1", "", first.delivered().facts,
        sidecars={"rows": first.delivered("sidecar", label="rows").path},
    )  # fmt: skip
    for source in (listed_file, again):
        heard = choose(source, loudness={"max": 0})
        assert [row["rel_path"] for row in catalogue.read(heard.delivered().path)] == ["inside.wav"]
        with open(heard.delivered("sidecar", label="rejected").path, newline="") as file:
            (gone,) = csv.DictReader(file)
        assert gone["rule"] == "unreadable" and "does not lie below" in gone["reason"]
    allowed = choose(listed_file, loudness={"max": 0}, root="../all")
    assert len(catalogue.read(allowed.delivered().path)) == 2
