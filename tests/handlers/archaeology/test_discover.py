"""`discover`: what is found below some folders, in which order, and what is passed over with which words."""

from __future__ import annotations

import csv
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from pydantic import ValidationError

from handlers.archaeology import discover, recording
from handlers.archaeology.memory import Memory
from handlers.archaeology.params import DiscoverParams
from handlers.archaeology.walk import walk
from handlers.audio.delivery import catalogue
from handlers.contract import Cancelled, Invalid
from tests.fixtures.sound import noise, tone


def rows(context: Any) -> list[dict[str, str]]:
    with open(context.delivered().path, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def paths(context: Any) -> list[str]:
    return [row["rel_path"] for row in rows(context)]


def broken(context: Any) -> dict[str, str]:
    with open(context.delivered("sidecar", label="broken").path, encoding="utf-8", newline="") as file:
        return {row["rel_path"]: row["reason"] for row in csv.DictReader(file)}


def test_the_first_six_columns_are_the_ones_that_scripts_read(find: Any, record: Any) -> None:
    record("a.wav", 1.2345, rate=44_100, subtype="PCM_24")
    context = find()
    first = context.delivered().path.read_text().splitlines()[0]
    assert first.startswith("id,rel_path,duration_sec,sample_rate,channels,file_size_mb,")
    (row,) = rows(context)
    size = (context.folders[next(iter(context.folders))] / "a.wav").stat().st_size
    assert list(row.items())[:6] == [
        ("id", "audio_0000"), ("rel_path", "a.wav"), ("duration_sec", "1.23"), ("sample_rate", "44100"),
        ("channels", "2"), ("file_size_mb", f"{size / 1e6:.1f}"),
    ]  # fmt: skip
    assert (row["codec"], row["bit_depth"]) == ("pcm", "24")


def test_every_promised_type_is_read_and_says_how_it_is_coded(find: Any, record: Any) -> None:
    for name in ("a.wav", "b.aiff", "c.flac", "d.mp3", "e.ogg", "f.opus"):
        record(name, 0.5, rate=48_000)
    found = {row["rel_path"]: (row["codec"], row["bit_depth"], row["duration_sec"]) for row in rows(find())}
    assert found == {
        "a.wav": ("pcm", "24", "0.50"), "b.aiff": ("pcm", "24", "0.50"), "c.flac": ("flac", "24", "0.50"),
        "d.mp3": ("mp3", "", "0.50"), "e.ogg": ("vorbis", "", "0.50"), "f.opus": ("opus", "", "0.50"),
    }  # fmt: skip


def test_files_are_alphabetical_in_each_folder_and_come_before_the_folders_in_it(find: Any, record: Any) -> None:
    for name in ("z.wav", "B.wav", "a.WAV", "sub/c.wav", "Alpha/x.wav", "Alpha/deep/y.wav", "Alpha/b.wav"):
        record(name)
    assert paths(find()) == [
        "a.WAV", "B.wav", "z.wav", "Alpha/b.wav", "Alpha/x.wav", "Alpha/deep/y.wav", "sub/c.wav",
    ]  # fmt: skip


SKIPPED = (
    "venv", ".venv", "env", ".git", ".github", "__pycache__", ".pytest_cache", "node_modules", "export", "exported",
    "exports", ".cache", ".anything",
)  # fmt: skip


def test_exactly_the_listed_folders_are_skipped_and_counted(find: Any, record: Any) -> None:
    record("kept.wav")
    for name in (*SKIPPED, "deep/exports"):
        record(f"{name}/x.wav")
    record(".drophammer-x1/y.wav")
    for name in ("Export", "environment", "my exports", "build", "temp"):
        record(f"{name}/x.wav")
    context = find()
    assert sorted(paths(context)) == sorted(
        ["kept.wav", "Export/x.wav", "environment/x.wav", "my exports/x.wav", "build/x.wav", "temp/x.wav"]
    )
    skipped = context.delivered().facts["skipped"]
    assert skipped["exports"] == 2 and skipped["dot-folders"] == 1 and sum(skipped.values()) == len(SKIPPED) + 1


def test_what_systems_leave_behind_is_no_recording(find: Any, record: Any, disk: Path) -> None:
    record("track.wav")
    (disk / "._track.wav").write_bytes(b"\0\5\x16\7" * 100)
    for name in (".DS_Store", "Thumbs.db", "desktop.ini"):
        (disk / name).write_bytes(b"x")
    context = find()
    assert paths(context) == ["track.wav"]
    assert context.delivered().facts["broken"] == 0 and context.delivered().facts["junk"] == 1


def test_what_was_published_is_no_source(find: Any, record: Any, disk: Path) -> None:
    record("track.wav")
    record("results/job/pad.wav")
    (disk / "results" / ".drophammer-outbox").touch()
    context = find()
    assert paths(context) == ["track.wav"]
    assert context.delivered().facts["skipped"] == {"the outbox": 1}


def test_several_roots_are_told_apart_by_their_names_and_one_inside_another_is_walked_once(
    find: Any, record: Any, disk: Path
) -> None:
    for name in ("old/tapes/a.wav", "new/tapes/a.wav", "new/tapes/deep/b.wav"):
        record(name)
    context = find(disk / "old" / "tapes", disk / "new" / "tapes", disk / "new" / "tapes" / "deep")
    assert paths(context) == ["tapes/a.wav", "tapes-2/a.wav", "tapes-2/deep/b.wav"]
    assert len({row["slug"] for row in rows(context)}) == 3


def test_links_are_counted_and_not_followed_so_that_no_loop_is_walked(find: Any, record: Any, disk: Path) -> None:
    record("sub/a.wav")
    (disk / "sub" / "loop").symlink_to(disk)
    (disk / "again.wav").symlink_to(disk / "sub" / "a.wav")
    (disk / "nowhere.wav").symlink_to(disk / "gone.wav")
    context = find()
    assert paths(context) == ["sub/a.wav"]
    assert context.delivered().facts["links"] == 3


def test_broken_files_are_listed_with_their_reason_and_stop_nothing(find: Any, record: Any, disk: Path) -> None:
    record("good.wav")
    (disk / "text.wav").write_text("no audio at all")
    (disk / "empty.flac").touch()
    os.mkfifo(disk / "pipe.wav")
    cut = record("cut.wav", 1.0)
    cut.write_bytes(cut.read_bytes()[:-1000])
    context = find()
    assert paths(context) == ["good.wav"]
    reasons = broken(context)
    assert list(reasons) == ["pipe.wav", "cut.wav", "empty.flac", "text.wav"]
    assert "truncated" in reasons["cut.wav"] and "cannot be read as audio" in reasons["text.wav"]
    assert reasons["pipe.wav"] == "is not a regular file"
    assert not any(str(disk) in reason for reason in reasons.values())
    assert len(context.warnings) == 1 and "4 could not be used" in context.warnings[0]


def test_the_list_of_broken_files_is_empty_again_once_they_are_mended(find: Any, record: Any, disk: Path) -> None:
    record("good.wav")
    (disk / "bad.wav").write_text("no audio at all")
    assert list(broken(find())) == ["bad.wav"]
    record("bad.wav")
    context = find()
    assert broken(context) == {} and not context.warnings


def test_unsupported_types_are_counted(find: Any, record: Any, disk: Path) -> None:
    record("a.wav")
    for name in ("b.m4a", "c.M4A", "d.wma", "cover.jpg", "notes.txt"):
        (disk / name).write_bytes(b"x")
    assert find().delivered().facts["unsupported"] == {".m4a": 2, ".wma": 1}


@pytest.mark.parametrize("name", ["cut.flac", "cut.mp3", "cut.ogg", "cut.opus"])
def test_only_verify_finds_a_truncated_file_that_looks_whole(find: Any, record: Any, name: str) -> None:
    record("whole" + Path(name).suffix, audio=noise(3.0, 48_000), rate=48_000)
    cut = record(name, audio=noise(3.0, 48_000), rate=48_000)
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size * 2 // 3])
    assert len(paths(find())) == 2
    context = find(verify=True)
    assert paths(context) == ["whole" + Path(name).suffix]
    assert list(broken(context)) == [name]


def test_verify_finds_an_ogg_cut_between_two_of_its_pages(find: Any, record: Any) -> None:
    record("whole.ogg", audio=noise(3.0, 48_000), rate=48_000)
    cut = record("cut.ogg", audio=noise(3.0, 48_000), rate=48_000)
    content = cut.read_bytes()
    cut.write_bytes(content[: content.rindex(b"OggS")])
    assert broken(find(verify=True)) == {
        "cut.ogg": "stops before the end of its stream: the file is truncated; copy it again"
    }


def test_verify_finds_nan(find: Any, record: Any, disk: Path) -> None:
    record("good.wav", subtype="FLOAT")
    audio = tone(440, 0.5, 8000)
    audio[0, 100] = np.nan
    soundfile.write(disk / "nan.wav", audio.T, 8000, subtype="FLOAT")
    assert "nan" in broken(find(verify=True))["nan.wav"]


def test_a_second_run_reads_only_what_changed(find: Any, record: Any, disk: Path) -> None:
    for name in ("a.wav", "b.wav", "c.wav"):
        record(name)
    (disk / "bad.wav").write_text("bad")
    assert find().delivered().facts["read"] == 4
    before = rows(find())
    assert find().delivered().facts["read"] == 0
    record("b.wav", 0.5)
    record("d.wav")
    (disk / "a.wav").unlink()
    context = find()
    assert context.delivered().facts["read"] == 2 and context.delivered().facts["unchanged"] == 2
    after = {row["rel_path"]: row for row in rows(context)}
    assert list(after) == ["b.wav", "c.wav", "d.wav"] and after["b.wav"]["duration_sec"] == "0.50"
    assert {**after["c.wav"], "id": ""} == {**before[2], "id": ""}


def test_a_file_replaced_by_one_of_the_same_length_and_time_is_read_again(find: Any, record: Any) -> None:
    path = record("a.wav")
    about = path.stat()
    first = rows(find())[0]["content_hash"]
    new = record("new/a.wav", audio=noise(0.25, 8000))
    os.replace(new, path)
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert path.stat().st_size == about.st_size
    assert rows(find())[0]["content_hash"] != first


def test_a_verified_file_is_not_decoded_twice(find: Any, record: Any, monkeypatch: Any) -> None:
    record("a.flac")
    find()
    assert find(verify=True).delivered().facts["read"] == 1
    assert find(verify=True).delivered().facts["read"] == 0


@pytest.mark.parametrize("text", ["", "{", '{"version": 0, "files": {}}', '{"version": 1, "files": {"x": 3}}', "[]"])
def test_a_memory_that_cannot_be_read_is_taken_for_empty(find: Any, record: Any, tmp_path: Path, text: str) -> None:
    record("a.wav")
    find()
    (memory,) = (tmp_path / "cache").glob("*.json")
    memory.write_text(text)
    assert find().delivered().facts["read"] == 1


def test_copies_share_a_hash_and_other_recordings_do_not(find: Any, record: Any, disk: Path) -> None:
    record("a.wav", audio=noise(8.0, 44_100), rate=44_100)
    shutil.copy(disk / "a.wav", disk / "b.wav")
    record("c.wav", audio=noise(8.0, 44_100, seed=1), rate=44_100)
    for kind in ("quick", "sha256"):
        a, b, c = (row["content_hash"] for row in rows(find(hash=kind)))
        assert a == b != c and a.startswith(f"{kind}:")


def test_the_quick_hash_sees_both_ends_the_length_and_places_between(tmp_path: Path) -> None:
    path, content = tmp_path / "x", bytearray(2_000_000)

    def hashed() -> str:
        path.write_bytes(content)
        return recording.hash_content(str(path), len(content), "quick")

    hashes = {hashed()}
    gap = (len(content) - 2 * recording.ENDS) // recording.PLACES
    middle = recording.ENDS + 7 * gap + gap // 2
    for place in (0, recording.ENDS - 1, middle, middle + recording.PLACE - 1, len(content) - recording.ENDS, -1):
        content[place] ^= 1
        hashes.add(hashed())
    content.append(0)
    hashes.add(hashed())
    assert len(hashes) == 8


WHOLE = 2 * recording.ENDS + recording.PLACES * (recording.PLACE + 1) - 1
"""The longest file that the quick hash reads whole."""


@pytest.mark.parametrize("size", [0, 1, recording.ENDS, 2 * recording.ENDS + 1, WHOLE])
def test_the_quick_hash_of_a_short_file_sees_every_byte(tmp_path: Path, size: int) -> None:
    path, seen = tmp_path / "x", set()
    places = [place for place in (*range(0, size, max(1, size // 7)), recording.ENDS + 5) if place < size]
    for place in (None, *places):
        content = bytearray(size)
        if place is not None:
            content[place] = 1
        path.write_bytes(content)
        seen.add(recording.hash_content(str(path), size, "quick"))
    assert len(seen) == 1 + len(set(places))


@pytest.mark.parametrize(("name", "form"), [("x.csv", "csv"), ("x.json", "json"), ("x.md", "md"), (None, "csv")])
def test_the_outputs_ending_chooses_the_format(find: Any, record: Any, name: str | None, form: str) -> None:
    record("a | b.wav")
    record("c.wav")
    context = find(output=name)
    path = context.delivered().path
    assert path.name == (name or "audio_catalog.csv") == context.delivered().facts["published"]
    assert [row["rel_path"] for row in catalogue.read(path)] == ["a | b.wav", "c.wav"]
    if form == "json":
        assert json.loads(path.read_text())[0]["duration_sec"] == 0.25


def test_the_format_can_be_said_instead(find: Any, record: Any) -> None:
    record("a.wav")
    assert find(format="md").delivered().path.name == "audio_catalog.md"
    assert find(format="json", output="old").delivered().path.name == "old.json"
    assert find(format="markdown", output="Old tapes.MD").delivered().path.name == "Old tapes.MD"


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"output": "list"}, "ends in none of"),
        ({"output": "x.txt"}, "plain name"),
        ({"output": "x.v2.csv"}, "plain name"),
        ({"output": "a/x.csv"}, "plain name"),
        ({"output": ".csv"}, "plain name"),
        ({"output": "x.csv", "format": "json"}, "different formats"),
        ({"output": "../x.csv"}, "plain name"),
        ({"root": []}, "at least 1"),
        ({"hash": "md5"}, "quick"),
    ],
)
def test_params_that_cannot_be_meant_are_refused(wrong: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        DiscoverParams(**{"root": ".", **wrong})


def test_rows_for_the_next_step_lie_beside_the_catalogue(find: Any, record: Any, disk: Path) -> None:
    record("x/a.wav")
    record("y/a.wav")
    context = find()
    listing = context.delivered("sidecar", label="rows").path
    lines = [json.loads(line) for line in listing.read_text().splitlines()]
    assert [line["path"] for line in lines] == [str(disk / "x/a.wav"), str(disk / "y/a.wav")]
    assert [line["label"] for line in lines] == ["x/a.wav", "y/a.wav"]
    assert len({line["slug"] for line in lines}) == 2
    assert all(line["key"] == line["content_hash"] and line["id"] for line in lines)
    assert catalogue.read_rows(listing) == catalogue.read(context.delivered().path)


def test_names_that_are_not_utf8_or_hold_control_characters_are_listed_and_stop_nothing(
    find: Any, record: Any, disk: Path
) -> None:
    source = record("Ünï – 音.wav")
    shutil.copy(os.fsencode(source), os.fsencode(disk) + b"/caf\xe9.wav")
    shutil.copy(source, disk / "new\nline.wav")
    context = find()
    assert paths(context) == ["Ünï – 音.wav"]
    reasons = broken(context)
    assert "not UTF-8" in reasons["caf\\xe9.wav"] and "control character" in reasons["new\\nline.wav"]


def test_names_that_a_spreadsheet_would_run_are_guarded_and_read_back(find: Any, record: Any) -> None:
    names = sorted(["=cmd|x.wav", "+1.wav", "-2.wav", "@a.wav", "'=b.wav", "'plain.wav"], key=str.casefold)
    for name in names:
        record(name)
    context = find()
    cells = paths(context)
    assert not [cell for cell in cells if cell[0] in "=+-@"]
    assert [row["rel_path"] for row in catalogue.read(context.delivered().path)] == names


@contextmanager
def as_nobody() -> Iterator[None]:
    """Root reads everything; somebody else does not."""
    me = os.geteuid()
    if me == 0:
        os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(me)


def test_folders_and_files_that_cannot_be_read_are_listed_and_stop_nothing(record: Any, context_factory: Any) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        root = Path(place)
        root.chmod(0o777)
        for name in ("good.wav", "secret.wav"):
            shutil.copy(record("a.wav"), root / name)
        (root / "secret.wav").chmod(0)
        (root / "locked").mkdir(mode=0)
        (root / "memory").mkdir()
        (root / "memory").chmod(0o777)
        params, context = DiscoverParams(root="x"), context_factory()
        with as_nobody():
            seen = walk([root])
            memory = Memory(root / "memory", [root])
            entries = {file.rel_path: memory.recall(file) for file in seen.found}
            for file in seen.found:
                discover.fill(entries[file.rel_path], file, params, context, memory)
            memory.save()
        (root / "locked").chmod(0o700)
        (root / "secret.wav").chmod(0o644)
        known = {file.rel_path: Memory(root / "memory", [root]).recall(file) for file in seen.found}
    assert ("locked", "the folder cannot be read: Permission denied") in seen.broken
    assert entries["secret.wav"]["reason"] == "cannot be read: Permission denied"
    # Permissions change without a trace in the file's times: this reason is not remembered.
    assert "facts" in known["good.wav"] and "reason" not in known["secret.wav"]


def test_no_audio_says_where_it_looked_and_what_it_skipped(find: Any, record: Any, disk: Path) -> None:
    for name in ("exports/a.wav", "deep/node_modules/b.wav"):
        record(name)
    (disk / "c.m4a").write_bytes(b"x")
    (disk / "d.wav").symlink_to("e.wav")
    (disk / "bad.flac").write_bytes(b"x")
    with pytest.raises(Invalid) as error:
        find()
    text = str(error.value)
    assert f"no audio found in {disk}: looked at 2 files in 2 folders" in text
    for words in ("exports (1)", "node_modules (1)", ".m4a (1)", "1 links were not followed", "bad.flac: "):
        assert words in text


def test_a_run_that_is_cancelled_stops(find: Any, record: Any, context_factory: Any, disk: Path) -> None:
    for number in range(5):
        record(f"{number}.wav")
    context = context_factory(cancel_at=3)
    context.folders = {"x": disk}
    with pytest.raises(Cancelled):
        discover.run(DiscoverParams(root="x"), context)
    assert not context.emitted


def test_verbose_says_what_was_done_with_every_file(find: Any, record: Any) -> None:
    record("a.wav")
    find()
    quiet, verbose = find(), find(verbose=True)
    assert "a.wav: unchanged" in [message for _, message, _ in verbose.logged]
    assert "a.wav: unchanged" not in [message for _, message, _ in quiet.logged]
