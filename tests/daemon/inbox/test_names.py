"""Which names are jobs, which audio, and which are someone's temporary file."""

from __future__ import annotations

import pytest

from daemon.inbox.names import Kind, is_watched_folder, kind_of


@pytest.mark.parametrize("name", [
    "set.yaml", "set.yml", "SET.YAML", "a b.Yml", "x.wav.yaml", "caf\udce9.yaml", "two\nlines.yaml", "~mine.yaml",
])  # fmt: skip
def test_names_of_job_files(name: str) -> None:
    assert kind_of(name) is Kind.JOB


@pytest.mark.parametrize("name", ["k.wav", "k.aiff", "k.AIF", "k.flac", "k.mp3", "k.Ogg", "k.opus"])
def test_names_of_audio(name: str) -> None:
    assert kind_of(name) is Kind.AUDIO


@pytest.mark.parametrize("ending", ["m4a", "wma", "aac", "mp4", "alac", "ape", "wv", "mpc", "dsf", "dff", "caf", "ac3", "mka"])
def test_audio_that_cannot_be_read_is_known_by_name(ending: str) -> None:
    assert kind_of(f"k.{ending}") is Kind.UNSUPPORTED


@pytest.mark.parametrize("name", [
    "4913", ".set.yaml.swp", "set.yaml.swp", "set.yaml~", ".#set.yaml", "#set.yaml#", "set.yaml.tmp", "set.yaml.part", "set.wav.partial",
    "set.wav.crdownload", "set.wav.filepart", ".set.yaml.Ab3dE9", ".syncthing.set.yaml.tmp", "~syncthing~set.yaml.tmp", "~syncthing~k.wav",
    ".set.yaml.kate-swp", ".goutputstream-AB12CD", ".~lock.set.yaml#", "~$set.yaml", "Thumbs.db", "desktop.ini", ".DS_Store", "._k.wav",
    ".yaml", ".wav", "yaml", "notes.txt", "k.asd", "",
])  # fmt: skip
def test_temporary_and_other_names_are_left_alone(name: str) -> None:
    assert kind_of(name) is None


def test_folders_of_our_own_are_set_aside_at_the_top_only() -> None:
    assert not is_watched_folder("accepted", top=True)
    assert not is_watched_folder("rejected", top=True)
    assert is_watched_folder("accepted", top=False)
    assert not is_watched_folder(".Trash-1000", top=False)
    assert is_watched_folder("take.yaml", top=True)
