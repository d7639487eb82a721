"""What was there before we watched, what the kernel did not tell, and folders that come and go."""

from __future__ import annotations

import errno
import logging
import os
import threading
from pathlib import Path

import pytest
from watchdog.observers.inotify_c import InotifyConstants, InotifyEvent

from daemon.events import FirstScanDone, Identity
from daemon.inbox import arming, filesystem
from tests.conftest import eventually
from tests.daemon.inbox.conftest import Watched


def test_what_lay_there_is_reported_before_the_first_scan_is_done(watched: Watched) -> None:
    (watched.folder / "textures").mkdir()
    (watched.folder / "a.yaml").write_text("do: x")
    (watched.folder / "textures" / "k.wav").write_bytes(b"1")
    watched.start()
    before = watched.events[: watched.events.index(FirstScanDone())]
    assert {event.path for event in before} == {watched.folder / "a.yaml", watched.folder / "textures/k.wav"}  # type: ignore[attr-defined]


def test_a_copy_under_way_at_the_start_is_taken_when_it_ends(watched: Watched) -> None:
    with (watched.folder / "k.wav").open("wb") as stream:
        stream.write(b"half")
        stream.flush()
        watched.start()
        watched.tick(90)
        assert watched.audio == []
        stream.write(b"whole")
    eventually(lambda: watched.audio == [watched.folder / "k.wav"], "the finished copy")


def test_audio_that_the_ledger_knows_is_not_reported_by_a_scan(watched: Watched) -> None:
    (watched.folder / "old.wav").write_bytes(b"1")
    (watched.folder / "new.wav").write_bytes(b"1")
    watched.known.add(watched.folder / "old.wav")
    watched.start()
    watched.tick(130)
    assert watched.audio == [watched.folder / "new.wav"]
    assert dict(watched.asked) == {path: Identity.of(path.stat()) for path in watched.folder.iterdir()}
    assert len(watched.asked) == 2  # once for each version, not at every rescan


def test_without_the_kernels_word_a_file_is_taken_after_the_settle_time(watched: Watched, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a shared filesystem others write behind this kernel's back."""
    monkeypatch.setattr(filesystem, "shared_kind", lambda folder: "NFS")
    watched.start()
    assert watched.inbox.watching[0]["how"] == "poll"
    assert watched.says("NFS")
    file = watched.folder / "k.wav"
    file.write_bytes(b"1")
    watched.tick(8)  # found after 3 at the latest
    assert watched.audio == []
    file.write_bytes(b"12")
    watched.tick(9)
    assert watched.audio == []
    watched.tick(4)
    assert watched.audio == [file]
    watched.tick(70)
    assert watched.audio == [file]


def test_polling_finds_files_and_waits_for_writers(watched: Watched) -> None:
    watched.watch = "poll"
    watched.start()
    assert watched.inbox.watching[0]["how"] == "poll"
    assert watched.says("`watch: poll`")
    (watched.folder / "a.yaml").write_text("do: x")
    with (watched.folder / "k.wav").open("wb") as stream:
        stream.write(b"1")
        stream.flush()
        watched.tick(20)
        assert watched.jobs == [watched.folder / "a.yaml"]
        assert watched.audio == []
    watched.tick(4)
    assert watched.audio == [watched.folder / "k.wav"]


@pytest.mark.parametrize(("number", "words"), [(errno.EMFILE, "max_user_instances"), (errno.ENOSPC, "max_user_watches")])
def test_when_the_kernels_limits_are_reached_it_polls_says_so_and_tries_again(
    watched: Watched, monkeypatch: pytest.MonkeyPatch, number: int, words: str,
) -> None:  # fmt: skip
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    with monkeypatch.context() as patch:
        if number == errno.EMFILE:
            patch.setattr(arming, "Watcher", refuse)
        else:
            patch.setattr(arming.Watcher, "arm", refuse)
        watched.start()
        assert watched.inbox.watching[0]["how"] == "poll"
        assert watched.says(words)
        (watched.folder / "a.yaml").write_text("do: x")
        watched.until(lambda: watched.jobs, "the polled file")
        watched.tick(130)
        assert len(watched.notices) == 1
    watched.until(lambda: watched.inbox.watching[0]["how"] == "events", "events again")
    (watched.folder / "b.yaml").write_text("do: x")
    eventually(lambda: watched.folder / "b.yaml" in watched.jobs, "the file, without a tick")


def test_an_inbox_deleted_and_made_anew_is_noticed_within_a_second(watched: Watched) -> None:
    watched.start()
    watched.folder.rmdir()
    watched.tick()
    assert watched.says("is not there")
    assert watched.inbox.watching[0]["how"] == "missing"
    watched.tick(70)
    assert len(watched.notices) == 1
    watched.folder.mkdir()
    (watched.folder / "a.yaml").write_text("do: x")
    watched.tick()
    assert watched.jobs == [watched.folder / "a.yaml"]
    assert watched.says("made anew")
    (watched.folder / "b.yaml").write_text("do: x")
    eventually(lambda: watched.folder / "b.yaml" in watched.jobs, "what is dropped afterwards, without a tick")


def test_an_inbox_exchanged_between_two_ticks_is_noticed(watched: Watched) -> None:
    watched.start()
    os.rename(watched.folder, watched.home / "former")
    watched.folder.mkdir()
    (watched.folder / "a.yaml").write_text("do: x")
    watched.tick()
    assert watched.jobs == [watched.folder / "a.yaml"]
    watched.tick(61)
    (watched.home / "former" / "stray.yaml").write_text("do: x")
    watched.barrier()
    assert watched.jobs == [watched.folder / "a.yaml"]


def test_an_inbox_that_is_missing_at_the_start_does_not_stop_the_others(watched: Watched) -> None:
    missing = watched.home / "usb" / "inbox"
    watched.inboxes = (missing, watched.folder)
    watched.start()
    (watched.folder / "a.yaml").write_text("do: x")
    eventually(lambda: watched.jobs == [watched.folder / "a.yaml"], "the other inbox's file")
    missing.mkdir(parents=True)
    (missing / "b.yaml").write_text("do: x")
    watched.tick()
    assert missing / "b.yaml" in watched.jobs


def _overflow(watched: Watched) -> None:
    """What the reader makes of the kernel's own notice that events were lost."""
    reader = watched.inbox._arming._watcher._reader
    reader.handle_event(InotifyEvent(-1, InotifyConstants.IN_Q_OVERFLOW, 0, b""))  # type: ignore[arg-type]


def test_an_overflow_is_said_and_answered_by_a_rescan(watched: Watched, caplog: pytest.LogCaptureFixture) -> None:
    watched.start()
    sub = watched.folder / "sub"
    sub.mkdir()
    watched.barrier()
    (watched.folder / "a.yaml").write_text("do: x")
    eventually(lambda: len(watched.jobs) == 1, "the first")
    watched.inbox.forget(watched.folder / "a.yaml")  # as if its event had been lost
    with caplog.at_level(logging.WARNING, logger="watchdog.observers.inotify_c"):
        _overflow(watched)
    watched.scanned()
    assert watched.says("more happened at once")
    assert len(watched.jobs) == 2
    (sub / "b.yaml").write_text("do: x")
    eventually(lambda: sub / "b.yaml" in watched.jobs, "watching goes on below")
    watched.barrier()
    assert len(watched.jobs) == 3


def test_a_real_overflow_loses_nothing(watched: Watched) -> None:
    """More events than the kernel's queue holds, while the reader cannot keep up."""
    limit = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
    if limit > 20_000:
        pytest.skip(f"the queue holds {limit} events; filling it would take too long")
    watched.start()
    lock = watched.inbox._arming._watcher._reader._lock
    with lock:  # the reader stands still
        for i in range(limit // 2 + 200):
            name = watched.folder / f"{i % 500}.txt"
            name.touch()
            name.unlink()
        (watched.folder / "last.yaml").write_text("do: x")
    eventually(lambda: watched.jobs == [watched.folder / "last.yaml"], "the file whose events were lost")
    assert watched.says("more happened at once")


def test_a_watcher_that_died_is_started_again(watched: Watched) -> None:
    watched.start()
    reader = watched.inbox._arming._watcher._reader
    reader.stop()
    reader.join()
    watched.until(lambda: watched.says("watcher of the inboxes died"), "the notice")
    watched.scanned()
    (watched.folder / "a.yaml").write_text("do: x")
    eventually(lambda: watched.jobs == [watched.folder / "a.yaml"], "the file, without a tick")


def test_a_clock_that_is_put_back_does_not_stop_the_rescans(watched: Watched) -> None:
    watched.watch = "events"
    watched.start()
    watched.tick(5)
    watched.now -= 500
    watched.tick()
    (watched.folder / "a.yaml").write_text("do: x")
    eventually(lambda: watched.jobs, "the drop")
    watched.inbox.forget(watched.folder / "a.yaml")
    watched.tick(61)
    assert len(watched.jobs) == 2


def test_no_thread_is_left_after_stop(watched: Watched) -> None:
    before = threading.active_count()
    watched.start()
    assert threading.active_count() > before
    watched.inbox.stop()
    assert threading.active_count() == before
