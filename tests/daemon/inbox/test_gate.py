"""The kernel's word on whether somebody still writes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from daemon.inbox import gate, is_complete
from daemon.inbox.filesystem import shared_kind
from daemon.inbox.gate import Verdict


def test_a_closed_file_is_complete(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    file.write_bytes(b"1234")
    verdict, status = gate.ask(os.fspath(file))
    assert verdict is Verdict.COMPLETE
    assert status.st_size == 4


def test_a_file_that_another_process_writes_is_not_complete(tmp_path: Path) -> None:
    file = tmp_path / "a.wav"
    script = f"f = open({os.fspath(file)!r}, 'wb'); f.write(b'12'); f.flush(); print('open', flush=True); input(); f.close(); print('closed', flush=True)"
    with subprocess.Popen([sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdin and writer.stdout
        assert writer.stdout.readline() == "open\n"
        assert gate.ask(os.fspath(file))[0] is Verdict.WRITING
        assert not is_complete(file, settle=0)
        writer.stdin.write("\n")
        writer.stdin.flush()
        assert writer.stdout.readline() == "closed\n"
        assert gate.ask(os.fspath(file))[0] is Verdict.COMPLETE
        assert is_complete(file, settle=1e9)


def test_links_fifos_and_folders_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "real.yaml").write_text("do: x")
    (tmp_path / "link.yaml").symlink_to(tmp_path / "real.yaml")
    for name in ("fifo.yaml", "folder.yaml", "link.yaml"):
        assert gate.ask(os.fspath(tmp_path / name))[0] is Verdict.IRREGULAR


def test_writers_who_come_while_we_ask_do_us_no_harm(tmp_path: Path) -> None:
    """A broken lease's signal is SIGURG, ignored by default; SIGIO would end this very process."""
    assert signal.getsignal(signal.SIGIO) is signal.SIG_DFL
    file = os.fspath(tmp_path / "a.wav")
    Path(file).write_bytes(b"1")
    ended = threading.Event()

    def write() -> None:
        for _ in range(2000):
            with open(file, "ab") as stream:
                stream.write(b"1")
        ended.set()

    writer = threading.Thread(target=write)
    writer.start()
    verdicts = set()
    while not ended.is_set():
        verdicts.add(gate.ask(file)[0])
    writer.join()
    assert verdicts <= {Verdict.COMPLETE, Verdict.WRITING}
    assert os.stat(file).st_size == 2001


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        is_complete(tmp_path / "none.wav", settle=0)


def test_local_filesystems_are_not_shared(tmp_path: Path) -> None:
    assert shared_kind(os.fspath(tmp_path)) is None
    with pytest.raises(FileNotFoundError):
        shared_kind(os.fspath(tmp_path / "none"))
