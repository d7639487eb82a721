"""Catalogues as inputs: which rows, and none that lead elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from handlers.contract import InputFile, Invalid
from handlers.textures.sources import expand, read_rows

HEAD = "id,rel_path,duration_sec,sample_rate,channels,file_size_mb,selection_score\n"


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    path = tmp_path / "selected_sources.csv"
    rows = [f"audio_{n:04d},set/track {n}.flac,{n}.00,44100,2,1.0,10\n" for n in range(6)]
    path.write_text(HEAD + "".join(rows), encoding="utf-8")
    return path


def test_rows_are_counted_from_the_start(catalogue: Path) -> None:
    assert [row["id"] for row in read_rows(catalogue, 3, 2)] == ["audio_0003", "audio_0004"]
    assert len(read_rows(catalogue)) == 6


def test_past_the_end_there_is_nothing_and_that_is_said(catalogue: Path) -> None:
    with pytest.raises(Invalid, match="has 6 recordings, none from start_index 6 on"):
        read_rows(catalogue, 6)
    catalogue.write_text(HEAD, encoding="utf-8")
    with pytest.raises(Invalid, match="lists no recordings"):
        read_rows(catalogue)


def test_rows_become_inputs_with_their_slugs(catalogue: Path) -> None:
    inputs = expand(InputFile(catalogue, "./selected_sources.csv", ""), 4, None)
    assert [one.label for one in inputs] == ["set/track 4.flac", "set/track 5.flac"]
    assert inputs[0].path == catalogue.parent / "set" / "track 4.flac"
    assert (inputs[0].facts["slug"], inputs[0].facts["id"]) == ("track_4", "audio_0004")


@pytest.mark.parametrize("place", ["../secret.wav", "/etc/secret.wav"])
def test_a_row_that_leads_out_of_the_folder_is_refused(tmp_path: Path, place: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(f'[{{"id": "a", "rel_path": "x.wav", "path": "{place}"}}]'.replace("x.wav", place))
    with pytest.raises(Invalid, match="does not lie below .*name the folder of the recordings with `root`"):
        expand(InputFile(path, "./rows.json", ""), 0, None)


def test_recordings_elsewhere_are_found_below_the_root_that_is_named(catalogue: Path, tmp_path: Path) -> None:
    music = tmp_path.parent / f"{tmp_path.name}-music"
    (music / "set").mkdir(parents=True)
    (music / "set" / "track 0.flac").write_bytes(b"x")
    (one,) = expand(InputFile(catalogue, "x", ""), 0, 1, music)
    assert one.path == music / "set" / "track 0.flac"
