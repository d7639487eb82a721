"""`do`: a handler on files, without a daemon, through the code of the workers."""

from __future__ import annotations

import csv
import json
import os
import shutil

import pytest

from daemon.cli.do import job_texts, split_words
from daemon.cli.failure import CommandError
from daemon.settings import CHECKOUT
from handlers.audio import files
from handlers.contract import Handler, Params
from handlers.registry import load_registry
from tests.fixtures.sound import tone


@pytest.fixture(autouse=True)
def _configuration(home) -> None:
    shutil.copytree(CHECKOUT / "config", home.paths.config, dirs_exist_ok=True, ignore=shutil.ignore_patterns("drophammer.yaml"))


@pytest.fixture
def handlers():
    return load_registry()


def test_words_are_files_keys_and_flags() -> None:
    assert split_words(["a.wav", "--tempo", "120", "b.wav", "--min-length=3", "--dry-run"]) == (
        ["a.wav", "b.wav"], {"tempo": "120", "min_length": "3", "dry_run": None},
    )  # fmt: skip


def test_a_handler_of_one_recording_is_asked_once_per_file(handlers, tmp_path) -> None:
    files = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for file in files:
        file.write_bytes(b"RIFF")
    assert [name for name, _ in job_texts(handlers["beats"], [str(file) for file in files], {})] == ["a", "b"]


def test_a_handler_of_many_is_asked_once(handlers, tmp_path) -> None:
    files = [tmp_path / "a.wav", tmp_path / "b.wav"]
    for file in files:
        file.write_bytes(b"RIFF")
    ((_, text),) = job_texts(handlers["mix"], [str(file) for file in files], {"formats": "[flac, mp3]"})
    assert text.decode().splitlines() == ["do: mix", "formats: [flac, mp3]", f"order: {json.dumps([str(file) for file in files])}"]


def test_values_are_text_unless_a_job_file_would_read_a_number(handlers) -> None:
    ((_, text),) = job_texts(handlers["stems"], [], {"count": "3", "key": "F# minor", "prompt": "a: b # c"})
    assert text.decode().splitlines()[1:] == ["count: 3", 'key: "F# minor"', 'prompt: "a: b # c"']


def test_files_for_a_handler_that_reads_none_are_refused() -> None:
    with pytest.raises(CommandError, match="reads no files"):
        job_texts(Handler("silence", "reads nothing", Params, run=""), ["a.wav"], {})


def test_do_makes_stems_then_measures_them_where_they_lie(home, call, tmp_path) -> None:
    out = tmp_path / "made"
    made = call("do", "stems", "--style", "industrial/bed", "--duration", "8", "--tempo", "120", "--seed", "7", "-o", str(out), "--json")
    assert made.exit_code == 0, made.stderr
    (item,) = json.loads(made.stdout)[0]["items"]
    assert item["facts"]["duration_s"] == 8.0 and os.path.exists(item["path"])
    measured = call("do", "beats", item["path"], "--output", str(tmp_path / "grid"))
    assert measured.exit_code == 0, measured.stderr
    assert "BPM" in measured.stdout
    assert sorted(name for name in os.listdir(out) if name.startswith(".")) == [], "no scratch is left"
    assert not home.paths.ledger.with_name("daemon.lock").exists(), "no daemon was involved"


def test_do_writes_over_nothing(call, tmp_path) -> None:
    words = ("do", "stems", "--style", "industrial/bed", "--duration", "1", "-o", str(tmp_path / "made"))
    assert call(*words).exit_code == 0
    result = call(*words)
    assert result.exit_code == 1 and "is there already" in result.stderr


def test_do_names_the_nearest_key_and_the_known_handlers(call) -> None:
    assert "did you mean style" in call("do", "stems", "--styel", "industrial/bed").stderr
    result = call("do", "stem")
    assert result.exit_code == 2 and "stems" in result.stderr


def test_several_seeds_are_for_the_daemon(call, tmp_path) -> None:
    result = call("do", "stems", "--style", "industrial/bed", "--seeds", "[1, 2]", "-o", str(tmp_path / "made"))
    assert result.exit_code == 1 and "seeds: needs the daemon; submit the job" in result.stderr


@pytest.fixture
def music(tmp_path, monkeypatch):
    """A folder with two tones, and the shell in it."""
    for name in ("masters/a.wav", "b.wav"):
        (tmp_path / "music" / name).parent.mkdir(parents=True, exist_ok=True)
        files.write(tmp_path / "music" / name, tone(440, 0.5, 8000), 8000)
    monkeypatch.chdir(tmp_path / "music")
    return tmp_path / "music"


def test_a_switch_takes_no_word_and_a_key_without_a_value_is_left_out(handlers) -> None:
    words = ["--verbose", "music", "--verify", "false", "--format", "--hash", "sha256"]
    files, keys = split_words(words, ["verbose", "verify"])
    assert (files, keys) == (["music"], {"verbose": None, "verify": "false", "format": None, "hash": "sha256"})
    ((_, text),) = job_texts(handlers["discover"], [], keys)
    assert text.decode().splitlines()[1:] == ["verbose: true", "verify: false", 'hash: "sha256"']


def test_folders_and_files_in_flags_are_looked_for_where_the_shell_is(handlers, music) -> None:
    ((_, text),) = job_texts(handlers["discover"], [], {"root": "."})
    assert text.decode().splitlines()[1] == f"root: [{json.dumps(str(music))}]"
    ((_, text),) = job_texts(handlers["discover"], ["masters", "."], {})
    assert text.decode().splitlines()[1] == f"root: {json.dumps([str(music / 'masters'), str(music)])}"
    ((_, text),) = job_texts(handlers["select"], [], {"catalog": "b.wav"})
    assert text.decode().splitlines()[1] == f"catalog: {json.dumps(str(music / 'b.wav'))}"
    for handler, key, value, said in (("select", "catalog", "gone.csv", "no such file"), ("discover", "root", "b.wav", "no such folder")):
        with pytest.raises(CommandError, match=said):
            job_texts(handlers[handler], [], {key: value})


def test_a_disk_is_catalogued_and_chosen_from_by_the_commands_in_peoples_scripts(call, music) -> None:
    for _ in range(2):  # A script runs every night, into the same file.
        found = call("do", "discover", "--root", ".", "--output", "audio_catalog.csv", "--format", "--verbose")
        assert found.exit_code == 0, found.stderr
    assert "b.wav: unchanged" in found.stderr and "2 recordings" in found.stdout
    (music / "lists").mkdir()
    words = ["--catalog", "audio_catalog.csv", "--output", "lists/selected_sources.csv", "--min-duration", "0.1"]
    chosen = call("do", "select", *words, "--max-duration")
    assert chosen.exit_code == 0, chosen.stderr
    assert "--max-duration has no value" in chosen.stderr
    with open(music / "lists" / "selected_sources.csv", newline="") as file:
        assert [row["rel_path"] for row in csv.DictReader(file)] == ["masters/a.wav", "b.wav"]
    assert sorted(os.listdir(music)) == ["audio_catalog.csv", "audio_catalog_broken.csv", "audio_catalog_rows.jsonl", "b.wav", "lists", "masters"]


def test_without_a_named_file_a_catalogue_is_not_written_over(call, music) -> None:
    assert call("do", "discover", "--root", ".").exit_code == 0
    again = call("do", "discover", "--root", ".")
    assert again.exit_code == 1 and "is there already" in again.stderr


def test_two_recordings_of_one_name_are_mined_into_folders_of_their_own(call, music) -> None:
    for number, folder in enumerate("ab"):
        (music / folder).mkdir()
        files.write(music / folder / "song_a.wav", tone(3.0, 220.0 * (1 + number)), 44_100)
    words = ["a/song_a.wav", "b/song_a.wav", "--pads", "1", "--kinds", "pads", "--durations", "[1]", "--crossfade", "0.5"]
    planned = call("do", "textures", *words, "--dry-run")
    assert [line.split(" -> ")[1].split(":")[0] for line in planned.stdout.splitlines()] == [
        "by_source/a_song_a", "by_source/b_song_a"
    ]  # fmt: skip
    done = call("do", "textures", *words, "--output", "mined")
    assert done.exit_code == 0, done.stderr
    assert sorted(path.parent.parent.name for path in (music / "mined").rglob("*_pad01.wav")) == ["a_song_a", "b_song_a"]


def test_a_dry_run_says_what_would_be_done_and_does_nothing(call, music) -> None:
    assert call("do", "discover", "--root", ".", "--output", "selected_sources.csv").exit_code == 0
    before = sorted(os.listdir(music))
    words = ["--profile", "bright", "--dry-run", "--start-index", "1", "--count", "5"]
    planned = call("do", "textures", "--sources", "selected_sources.csv", *words)
    assert planned.exit_code == 0, planned.stderr
    (line,) = planned.stdout.splitlines()
    assert "masters/a.wav -> by_source/" in line and "(bright)" in line
    assert "beats would run on" in call("do", "beats", "b.wav", "--dry-run").stdout
    assert sorted(os.listdir(music)) == before
