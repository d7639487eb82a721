"""`drophammer models fetch`, as a command of its own process, against a hub on this machine that fails on request."""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants
from typer.testing import CliRunner

from daemon.cli.app import app
from handlers.contract import Invalid
from handlers.stems.models.fetch import check_room
from handlers.stems.models.hub import Hub
from handlers.stems.models.manifest import read_manifest
from handlers.stems.models.meter import Meter
from handlers.stems.models.records import read_records
from handlers.stems.models.weights import Shelves
from tests.handlers.stems.models.hub_server import COMMIT, CUT_AT, FakeHub, serve
from tests.handlers.stems.models.test_weights import tensors, zipped

ROOT = Path(__file__).parents[4]
T5 = ("config.json", "tokenizer.json", "model.safetensors")


@dataclass
class Installation:
    """A home of its own, and a hub to fetch from."""

    home: Path
    hub: FakeHub

    @property
    def models(self) -> Path:
        return self.home / "models"

    @property
    def places(self) -> Shelves:
        return Shelves(self.models, (), self.home / "hub")

    def command(self, *words: str, status: int = 0, apart: bool = False) -> str:
        """Run `drophammer models ...`, in a process of its own or in this one; returns what it printed, errors too."""
        environment = {
            "DROPHAMMER_HOME": str(self.home), "HF_ENDPOINT": self.hub.url, "HF_HUB_CACHE": str(self.home / "hub"),
            "HF_TOKEN_PATH": str(self.home / "token"), "PYTHONPATH": str(ROOT),
        }  # fmt: skip
        if apart:
            others = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
            line = [sys.executable, "-m", "daemon", "models", *words]
            done = subprocess.run(line, env=others | environment, cwd=self.home, text=True, capture_output=True, timeout=60)
            code, said = done.returncode, done.stdout + done.stderr
        else:
            result = CliRunner().invoke(app, ["models", *words], env=environment)
            code, said = result.exit_code, result.output
        assert code == status and "Traceback" not in said, said
        return said

    def missing(self, key: str) -> list[str]:
        return [weights.folder for weights in self.places.missing(read_manifest(self.home / "config" / "models.yaml").models[key])]

    def content(self, repository: str, name: str) -> bytes:
        return self.hub.repositories[repository][name]


def torch_file(folder: Path, words: object, size: int, seed: int) -> bytes:
    """A file as torch saves it, of about `size` bytes that nobody could guess."""
    path = folder / "file.bin"
    zipped(path, [words, random.Random(seed).randbytes(size)])
    return path.read_bytes()


@pytest.fixture
def at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Installation]:
    """The shipped configuration without weights, and a hub that has small and medium; medium's codec is one of its own."""
    home = tmp_path / "home"
    shutil.copytree(ROOT / "config", home / "config", ignore=shutil.ignore_patterns("drophammer.yaml"))
    scratch = tmp_path / "scratch"
    tensors(scratch / "x.safetensors", 300_000)
    model = {"best_state": 1, "xp.cfg": "{}"}
    hub = FakeHub({
        "facebook/musicgen-small": {
            "state_dict.bin": torch_file(scratch, model, 1_000_000, 1),
            "compression_state_dict.bin": torch_file(scratch, model, 200_000, 2),
            "README.md": b"not wanted",
        },
        "facebook/musicgen-medium": {
            "state_dict.bin": torch_file(scratch, model, 1_500_000, 3),
            "compression_state_dict.bin": torch_file(scratch, {"pretrained": "facebook/encodec_32khz"}, 0, 4),
        },
        "facebook/encodec_32khz": {"config.json": b"{}", "pytorch_model.bin": torch_file(scratch, model, 100_000, 5)},
        "google-t5/t5-base": {
            "config.json": b"{}", "tokenizer.json": b'{"a": 1}', "model.safetensors": (scratch / "x.safetensors").read_bytes(),
        },
    })  # fmt: skip
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)  # MusicGen's own tests forbid their process the network.
    close_session()
    with serve(hub):
        yield Installation(home, hub)
    close_session()


def test_what_is_cut_off_goes_on_and_what_arrives_wrong_is_fetched_anew(at):
    wanted = at.content("facebook/musicgen-small", "state_dict.bin")
    at.hub.faults["state_dict.bin"] += ["cut", "busy"]
    said = at.command("fetch", "musicgen-small", status=1, apart=True)
    assert "goes on from there" in said
    (part,) = (at.models / "musicgen-small").glob(".state_dict.bin.*.part")
    cut = int(CUT_AT * len(wanted))
    assert part.read_bytes() == wanted[:cut] and "musicgen-small" in at.missing("musicgen-small")
    at.hub.faults["state_dict.bin"] += ["wrong"]
    at.hub.faults["tokenizer.json"] += ["wrong"]  # So small that only git's own hash of it is known.
    at.hub.asked.clear()
    said = at.command("fetch", "musicgen-small", apart=True)
    assert f"({round(cut / 1000)} kB of it are here from before)" in said
    assert [start for name, start in at.hub.asked if name == "state_dict.bin"] == [cut, 0]
    assert "state_dict.bin arrived damaged" in said and "tokenizer.json arrived damaged" in said
    assert (at.models / "musicgen-small" / "state_dict.bin").read_bytes() == wanted
    assert at.missing("musicgen-small") == [] and not list(at.models.glob("*/.*.part"))


def test_a_connection_that_breaks_is_taken_up_again_by_itself(at):
    at.hub.faults["model.safetensors"] += ["cut"]
    at.command("fetch", "musicgen-small")
    whole = at.content("google-t5/t5-base", "model.safetensors")
    assert [start for name, start in at.hub.asked if name == "model.safetensors"] == [0, int(CUT_AT * len(whole))]
    assert (at.models / "t5-base" / "model.safetensors").read_bytes() == whole


def test_somebody_on_the_way_who_knows_no_ranges_does_no_harm(at):
    at.hub.faults["model.safetensors"] += ["cut", "whole"]
    at.command("fetch", "musicgen-small")
    whole = at.content("google-t5/t5-base", "model.safetensors")
    assert at.hub.times("model.safetensors") == 2 and (at.models / "t5-base" / "model.safetensors").read_bytes() == whole


def test_the_size_is_said_first_and_what_is_shared_comes_once(at):
    lines = at.command("fetch", "bed", "transition").splitlines()
    wanted = [
        ("facebook/musicgen-small", ("state_dict.bin", "compression_state_dict.bin")), ("google-t5/t5-base", T5),
        ("facebook/musicgen-medium", ("state_dict.bin", "compression_state_dict.bin")),
        ("facebook/encodec_32khz", ("config.json", "pytorch_model.bin")),
    ]  # fmt: skip
    total = sum(len(at.content(repository, name)) for repository, names in wanted for name in names)
    assert lines[0] == f"to fetch: {total / 1e6:.1f} MB, into {at.models}"
    assert len(at.hub.asked) == sum(len(names) for _, names in wanted)
    assert at.missing("musicgen-small") == at.missing("musicgen-medium") == []
    for repository, names in wanted:
        record = read_records(at.models)[repository.rpartition("/")[2]]
        assert (record.repository, record.revision) == (repository, COMMIT)
        assert {name: known.sha256 for name, known in record.files.items()} == {
            name: hashlib.sha256(at.content(repository, name)).hexdigest() for name in names
        }


def test_all_that_a_job_needs_is_fetched_and_the_hub_is_not_asked_again(at):
    job = at.home / "two.yaml"
    job.write_text("steps:\n  a: {do: stems, style: industrial/bed, model: bed}\n  b: {do: stems, style: industrial/bed}\n")
    at.command("fetch", "--for", str(job))
    assert at.missing("musicgen-small") == []
    at.hub.asked.clear()
    at.hub.repositories.clear()
    said = at.command("fetch", "--for", str(job))
    assert "to fetch" not in said and f"facebook/musicgen-small: here, {at.models / 'musicgen-small'}" in said


def test_what_the_hubs_cache_holds_is_used_there(at):
    for repository in ("facebook/musicgen-small", "google-t5/t5-base"):
        folder = at.home / "hub" / f"models--{repository.replace('/', '--')}"
        for path in ("refs", "blobs", f"snapshots/{COMMIT}"):
            (folder / path).mkdir(parents=True)
        (folder / "refs" / "main").write_text(COMMIT)
        for name, content in at.hub.repositories[repository].items():
            blob = folder / "blobs" / hashlib.sha256(content).hexdigest()
            blob.write_bytes(content)
            (folder / "snapshots" / COMMIT / name).symlink_to(blob)
    tokenizer = folder / "snapshots" / COMMIT / "tokenizer.json"
    tokenizer.unlink()
    said = at.command("fetch", "musicgen-small")
    assert at.hub.asked == [("config.json", 0), ("tokenizer.json", 0)], "T5 was not whole there; its large file is linked"
    link = at.models / "t5-base" / "model.safetensors"
    assert link.is_symlink() and link.read_bytes() == at.content("google-t5/t5-base", "model.safetensors")
    assert "linked" in said and not (at.models / "musicgen-small").exists() and at.missing("musicgen-small") == []
    assert read_records(at.models)["musicgen-small"].revision == COMMIT


def test_a_file_that_arrives_wrong_twice_is_an_error_and_nothing_of_it_stays(at):
    at.hub.faults["state_dict.bin"] += ["wrong", "wrong"]
    said = at.command("fetch", "musicgen-small", status=1)
    assert "arrived damaged 2 times" in said and "SHA-256" in said
    assert not list((at.models / "musicgen-small").glob("*state_dict.bin*"))


def test_a_damaged_file_is_mended_and_only_that_one(at):
    at.command("fetch", "musicgen-small")
    path = at.models / "musicgen-small" / "state_dict.bin"
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    assert at.command("verify", "musicgen-small", status=1).count("is damaged:") == 1
    at.hub.asked.clear()
    assert "state_dict.bin is damaged" in at.command("fetch", "musicgen-small")
    assert at.hub.asked == [("state_dict.bin", 0)]
    at.command("verify", "musicgen-small")


def test_another_file_than_the_manifest_names_is_refused_before_it_is_fetched(at):
    config = at.home / "config" / "models.yaml"
    config.write_text(config.read_text().replace('state_dict.bin: ""', f"state_dict.bin: {'a' * 64}", 1))
    assert "config/models.yaml says" in at.command("fetch", "musicgen-small", status=1)
    assert at.hub.asked == []


def test_what_the_hub_does_not_have_is_named(at):
    del at.hub.repositories["facebook/musicgen-small"]["state_dict.bin"]
    assert "facebook/musicgen-small has no state_dict.bin" in at.command("fetch", "musicgen-small", status=1)
    assert "no such repository" in at.command("fetch", "musicgen-large", status=1)
    assert "did you mean 'musicgen-melody'" in at.command("fetch", "musicgen-melodi", status=1)
    assert "cannot be played" in at.command("fetch", "musicgen-style", status=1)
    assert "name a model, or a job" in at.command("fetch", status=1)
    assert at.hub.asked == [] and not at.models.exists()


def test_the_listing_says_what_is_here(at):
    at.command("fetch", "musicgen-small")
    rows = {row["key"]: row for row in json.loads(at.command("--json"))["models"]}
    here = rows["musicgen-small"]
    assert here["here"] == "yes" and rows["musicgen-medium"]["here"] == "partly" and rows["musicgen-style"]["here"] == "cannot be played"
    assert here["size_bytes"] == sum(
        len(at.content(repository, name))
        for repository, names in (("facebook/musicgen-small", ("state_dict.bin", "compression_state_dict.bin")), ("google-t5/t5-base", T5))
        for name in names
    )


def test_the_line_says_how_much_how_fast_and_how_long(monkeypatch):
    moments = iter([0.0, 10.0, 20.0])
    monkeypatch.setattr("handlers.stems.models.meter.time.monotonic", lambda: next(moments))
    meter = Meter("fetching", 2_000_000_000, done=200_000_000)
    meter.start(0)
    meter.seen(700_000_000)
    assert meter.line() == "fetching 700 MB of 2.00 GB, 35 %, 50.0 MB/s, 26 s left"


def test_a_disk_without_room_is_refused_before_anything_is_fetched(tmp_path):
    with pytest.raises(Invalid, match=r"1000000\.00 GB are needed in .*models .* are free"):
        check_room(tmp_path / "models", 10**15)
    check_room(tmp_path / "models", 1)


def test_without_the_hubs_library_its_command_is_named(monkeypatch):
    monkeypatch.setattr(PathFinder, "find_spec", lambda name, *rest: None)
    with pytest.raises(Invalid, match="make setup-musicgen"):
        Hub()
