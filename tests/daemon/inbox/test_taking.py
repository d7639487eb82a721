"""Reading a job file from one descriptor."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from daemon.events import Identity
from daemon.inbox import NotSettled, take


def test_a_job_file_is_read_whole_with_its_identity(tmp_path: Path) -> None:
    (tmp_path / "in" / "ner").mkdir(parents=True)
    file = tmp_path / "in" / "ner" / "a.yaml"
    file.write_bytes(b"do: beats\n")
    text, identity = take(file, tmp_path)
    assert text == b"do: beats\n"
    assert identity.same_file(Identity.of(file.stat()))
    assert identity.sha256 == hashlib.sha256(text).hexdigest()


def test_64_kib_are_taken_and_one_byte_more_is_not(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"#" * 65536)
    assert len(take(file, tmp_path)[0]) == 65536
    file.write_bytes(b"#" * 65537)
    with pytest.raises(ValueError, match="65,537 bytes"):
        take(file, tmp_path)


def test_a_file_that_grows_while_it_is_read_is_not_settled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.yaml"
    file.write_bytes(b"do: x")
    read = os.read

    def read_and_append(descriptor: int, count: int) -> bytes:
        piece = read(descriptor, count)
        if piece == b"do: x":
            with file.open("ab") as stream:
                stream.write(b"y")
        return piece

    monkeypatch.setattr(os, "read", read_and_append)
    with pytest.raises(NotSettled):
        take(file, tmp_path)


def test_a_link_is_not_followed_not_even_as_a_folder_on_the_way(tmp_path: Path) -> None:
    inbox, secret = tmp_path / "inbox", tmp_path / "secret"
    inbox.mkdir()
    secret.mkdir()
    (secret / "a.yaml").write_text("password: 1")
    (inbox / "a.yaml").symlink_to(secret / "a.yaml")
    (inbox / "folder").symlink_to(secret)
    with pytest.raises(ValueError, match="symbolic link"):
        take(inbox / "a.yaml", inbox)
    with pytest.raises(OSError, match=r"symbolic|directory"):
        take(inbox / "folder" / "a.yaml", inbox)


def test_a_fifo_and_a_folder_are_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")
    (tmp_path / "b.yaml").mkdir()
    for name in ("a.yaml", "b.yaml"):
        with pytest.raises(ValueError, match="not a regular file"):
            take(tmp_path / name, tmp_path)


def test_a_file_that_is_gone_is_said_to_be(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        take(tmp_path / "a.yaml", tmp_path)
