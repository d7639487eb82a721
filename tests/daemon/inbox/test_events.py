"""What lands in a watched folder while we watch: taken when complete, and once."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from daemon.events import AudioSettled, Identity
from tests.conftest import eventually
from tests.daemon.inbox.conftest import Watched


def test_a_file_renamed_into_the_inbox_is_taken_without_a_tick(watched: Watched) -> None:
    watched.start()
    (watched.elsewhere / "a.yaml").write_text("do: x")
    os.rename(watched.elsewhere / "a.yaml", watched.folder / "a.yaml")
    eventually(lambda: watched.jobs == [watched.folder / "a.yaml"], "the job file")


def test_a_half_written_file_is_not_taken(watched: Watched) -> None:
    watched.start()
    with (watched.folder / "a.yaml").open("w") as stream:
        stream.write("do: x")
        stream.flush()
        watched.barrier()
        watched.tick(90)  # past settle and a rescan
        assert watched.jobs == []
        assert watched.inbox.watching[0]["unfinished"] == 1
    eventually(lambda: watched.jobs, "the job file, once it is closed")
    watched.tick(90)
    assert watched.jobs == [watched.folder / "a.yaml"]
    assert watched.inbox.watching[0]["unfinished"] == 0


def test_a_copied_file_is_taken_once(watched: Watched) -> None:
    watched.start()
    (watched.elsewhere / "k.wav").write_bytes(bytes(1_000_000))
    subprocess.run(["cp", "-p", os.fspath(watched.elsewhere / "k.wav"), os.fspath(watched.folder)], check=True)
    eventually(lambda: watched.audio, "the audio")
    watched.tick(130)
    assert watched.audio == [watched.folder / "k.wav"]
    event = next(event for event in watched.events if isinstance(event, AudioSettled))
    assert event.supported
    assert event.identity == Identity.of((watched.folder / "k.wav").stat())


def test_a_hard_link_is_taken_though_nobody_wrote(watched: Watched) -> None:
    watched.start()
    (watched.elsewhere / "a.tmp").write_text("do: x")
    os.link(watched.elsewhere / "a.tmp", watched.folder / "a.yaml")
    os.unlink(watched.elsewhere / "a.tmp")
    eventually(lambda: watched.jobs == [watched.folder / "a.yaml"], "the linked file")


def test_an_editor_that_writes_aside_and_renames_makes_one_drop(watched: Watched) -> None:
    watched.start()
    (watched.folder / ".goutputstream-AB12CD").write_text("do: x")
    os.rename(watched.folder / ".goutputstream-AB12CD", watched.folder / "a.yaml")
    watched.barrier()
    watched.tick(90)
    assert watched.jobs == [watched.folder / "a.yaml"]


def test_a_vim_like_save_makes_one_drop(watched: Watched) -> None:
    (watched.folder / "a.yaml").write_text("do: x")
    watched.start()
    assert len(watched.jobs) == 1
    (watched.folder / "4913").write_text("")
    (watched.folder / "4913").unlink()
    (watched.folder / ".a.yaml.swp").write_text("swap")
    os.rename(watched.folder / "a.yaml", watched.folder / "a.yaml~")
    (watched.folder / "a.yaml").write_text("do: y")
    (watched.folder / "a.yaml~").unlink()
    watched.barrier()
    watched.tick(90)
    assert watched.jobs == [watched.folder / "a.yaml"] * 2  # as it was at the start, and as it was saved


def test_an_empty_place_holder_waits_for_its_content(watched: Watched) -> None:
    """Browsers create the name, download beside it, and rename over it at the end."""
    watched.start()
    (watched.folder / "k.wav").touch()
    (watched.folder / "a.yaml").touch()
    watched.barrier()
    watched.tick(5)
    assert watched.jobs == watched.audio == []
    (watched.folder / "k.wav.part").write_bytes(b"RIFF")
    os.rename(watched.folder / "k.wav.part", watched.folder / "k.wav")
    (watched.folder / "a.yaml").write_text("do: x")
    eventually(lambda: watched.jobs and watched.audio, "both, with content")


def test_a_file_that_stays_empty_is_reported_as_a_job_and_noticed_as_audio(watched: Watched) -> None:
    watched.start()
    (watched.folder / "a.yaml").touch()
    (watched.folder / "k.wav").touch()
    watched.until(lambda: watched.jobs, "the empty job file")
    watched.until(lambda: watched.says("is empty"), "the notice")
    assert watched.audio == []


def test_a_touched_file_is_a_new_version_and_an_untouched_one_is_not(watched: Watched) -> None:
    watched.start()
    file = watched.folder / "k.wav"
    file.write_bytes(b"1")
    eventually(lambda: len(watched.audio) == 1, "the audio")
    watched.tick(130)
    assert len(watched.audio) == 1
    os.utime(file, ns=(1, 1))
    watched.until(lambda: len(watched.audio) == 2, "the new version, at a rescan")


def test_a_file_taken_away_and_dropped_again_is_a_second_drop(watched: Watched) -> None:
    watched.start()
    (watched.folder / "a.yaml").write_text("do: x")
    eventually(lambda: len(watched.jobs) == 1, "the first drop")
    os.rename(watched.folder / "a.yaml", watched.elsewhere / "a.yaml")
    os.rename(watched.elsewhere / "a.yaml", watched.folder / "a.yaml")
    eventually(lambda: len(watched.jobs) == 2, "the second drop of the very same file")


def test_a_file_that_the_loop_left_is_reported_again_when_asked_for(watched: Watched) -> None:
    watched.start()
    (watched.folder / "a.yaml").write_text("do: x")
    eventually(lambda: len(watched.jobs) == 1, "the drop")
    watched.inbox.forget(watched.folder / "a.yaml")
    watched.until(lambda: len(watched.jobs) == 2, "the same file at the next rescan")


def test_strange_names_survive(watched: Watched) -> None:
    watched.start()
    names = [b"caf\xe9.yaml", b"two\nlines.yaml", b" .yaml", b"a'b\"c\\d.yaml", "günther's 💿.yaml".encode(), b"-rf.yaml", b"%s{id}.yaml"]
    for name in names:
        with open(os.path.join(os.fsencode(watched.folder), name), "w") as stream:
            stream.write("do: x")
    eventually(lambda: {os.fsencode(path.name) for path in watched.jobs} == set(names), "all of them")


def test_a_folder_moved_in_is_scanned_and_watched(watched: Watched) -> None:
    watched.start()
    album = watched.elsewhere / "album"
    (album / "cd1").mkdir(parents=True)
    (album / "cd1" / "a.wav").write_bytes(b"1")
    os.rename(album, watched.folder / "album")
    eventually(lambda: watched.audio == [watched.folder / "album/cd1/a.wav"], "what was in it")
    watched.scanned()
    (watched.folder / "album/cd1/b.wav").write_bytes(b"2")
    eventually(lambda: watched.folder / "album/cd1/b.wav" in watched.audio, "what is put into it")


def test_a_folder_renamed_inside_the_inbox_is_watched_under_its_new_name(watched: Watched) -> None:
    (watched.folder / "old" / "deep").mkdir(parents=True)
    watched.start()
    os.rename(watched.folder / "old", watched.folder / "new")
    watched.barrier()
    (watched.folder / "new/deep/a.yaml").write_text("do: x")
    eventually(lambda: watched.jobs == [watched.folder / "new/deep/a.yaml"], "the new path")
    watched.tick(61)
    assert watched.inbox._arming._watcher.folders == 3


def test_a_tree_copied_in_is_taken_whole_and_once(watched: Watched) -> None:
    watched.start()
    tree = watched.elsewhere / "tree"
    for i in range(30):
        (tree / f"{i}" / "x").mkdir(parents=True)
        (tree / f"{i}" / "x" / "a.wav").write_bytes(b"1" * 100)
    subprocess.run(["cp", "-r", os.fspath(tree), os.fspath(watched.folder)], check=True)
    wanted = sorted((watched.folder / "tree").glob("*/x/a.wav"))
    eventually(lambda: len(watched.audio) >= 30, "thirty files")
    watched.barrier()
    assert sorted(watched.audio) == wanted


def test_what_we_set_aside_or_hide_is_not_reported(watched: Watched) -> None:
    watched.outbox = watched.folder / "out"
    for name in ("accepted", "rejected", ".hidden", "out", "out/20261121-020315-set-0001"):
        (watched.folder / name).mkdir()
        (watched.folder / name / "before.yaml").write_text("do: x")
    watched.start()
    for name in ("accepted", "rejected", ".hidden", "out", "out/20261121-020315-set-0001"):
        (watched.folder / name / "after.yaml").write_text("do: x")
    watched.barrier()
    watched.tick(61)
    assert watched.jobs == []


def test_an_inbox_within_an_inbox_reports_its_own(watched: Watched) -> None:
    inner = watched.folder / "inner"
    inner.mkdir()
    watched.inboxes = (watched.folder, inner)
    watched.start()
    (inner / "a.yaml").write_text("do: x")
    eventually(lambda: watched.jobs == [inner / "a.yaml"], "the inner inbox's file")
    watched.tick(61)
    assert [event.inbox for event in watched.events if getattr(event, "path", None) == inner / "a.yaml"] == [inner]  # type: ignore[attr-defined]


def test_links_and_fifos_are_left_alone_and_said_once(watched: Watched) -> None:
    secret = watched.elsewhere / "secret"
    secret.mkdir()
    (secret / "s.wav").write_bytes(b"1")
    (watched.folder / "early.wav").symlink_to(secret / "s.wav")
    os.mkfifo(watched.folder / "early.yaml")
    watched.start()
    (watched.folder / "late.wav").symlink_to(secret / "s.wav")
    (watched.folder / "loop").symlink_to(watched.folder)
    os.mkfifo(watched.folder / "late.yaml")
    (watched.folder / "folder.yaml").mkdir()
    watched.barrier()
    watched.tick(130)
    assert watched.jobs == watched.audio == []
    noticed = sorted(Path(notice.facts["path"]).name for notice in watched.notices if "path" in notice.facts)
    assert noticed == ["early.wav", "early.yaml", "late.wav", "late.yaml", "loop"]


def test_unsupported_audio_is_reported_as_such_and_other_files_not_at_all(watched: Watched) -> None:
    watched.start()
    (watched.folder / "k.m4a").write_bytes(b"1")
    (watched.folder / "notes.txt").write_text("1")
    eventually(lambda: watched.audio == [watched.folder / "k.m4a"], "the unsupported audio")
    assert [event.supported for event in watched.events if isinstance(event, AudioSettled)] == [False]


@pytest.mark.parametrize("count", [3000])
def test_many_files_at_once_are_all_taken_once(watched: Watched, count: int) -> None:
    watched.start()
    for i in range(count):
        (watched.elsewhere / f"{i}.yaml").write_text("do: x")
    for i in range(count):
        os.rename(watched.elsewhere / f"{i}.yaml", watched.folder / f"{i}.yaml")
    eventually(lambda: len(watched.jobs) >= count, "every one of them")
    watched.barrier()
    assert len(watched.jobs) == len(set(watched.jobs)) == count
