"""What the command line says of models that need weights, and of a GPU that could play them."""

from __future__ import annotations

import json
import shutil
from importlib.machinery import PathFinder
from pathlib import Path

import pytest

from daemon.cli import demo, gpu, models
from daemon.settings import CHECKOUT
from handlers.contract import World, load
from handlers.stems.params import HANDLER, StemsParams


@pytest.fixture(autouse=True)
def _configuration(home) -> None:
    shutil.copytree(CHECKOUT / "config", home.paths.config, dirs_exist_ok=True, ignore=shutil.ignore_patterns("drophammer.yaml"))


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    found = PathFinder.find_spec
    monkeypatch.setattr(
        PathFinder, "find_spec", lambda name, *rest: None if name in ("torch", "audiocraft") else found(name, *rest)
    )


def put(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).write_bytes(b"x")


def test_a_card_is_named_with_the_commands_and_sizes_that_put_it_to_use(home, monkeypatch, capsys, without_torch) -> None:
    monkeypatch.setattr(gpu, "names", lambda: ["Some Card 24GB"])
    demo._print_gpu(home.paths)
    said = capsys.readouterr().out
    folder = home.paths.config.parent / "models"
    assert "Some Card 24GB" in said
    wanted = ["make setup-musicgen", "download facebook/musicgen-small", f"{folder}/t5-base", "download facebook/musicgen-medium", "submit"]
    places = [said.index(words) for words in wanted]
    assert places == sorted(places)
    assert "about 1.1 GB, computed" in said and said.count("google-t5/t5-base") == 1


def test_without_a_card_nothing_is_said(home, monkeypatch, capsys) -> None:
    monkeypatch.setattr(gpu, "names", list)
    demo._print_gpu(home.paths)
    assert capsys.readouterr().out == ""


def test_what_is_here_is_not_fetched_again(home) -> None:
    folder = home.paths.config.parent / "models"
    put(folder / "t5-base", "config.json", "tokenizer.json", "model.safetensors")
    put(folder / "musicgen-small", "state_dict.bin", "compression_state_dict.bin")
    commands = [command.run for command in models.commands_for(["musicgen-small"], home.paths)]
    assert not [command for command in commands if "hf download" in command]


def test_the_doctor_says_which_models_are_here_and_what_fetches_the_first_that_is_not(call, without_torch) -> None:
    lines = [line for line in json.loads(call("doctor", "--json").stdout) if line["what"] == "models"]
    assert lines[0]["says"] == "here: procedural"
    assert "musicgen-small" in lines[1]["says"] and "make setup-musicgen" in lines[1]["remedy"]
    assert any("musicgen-style cannot be played" in line["says"] for line in lines)


def test_the_command_line_and_the_handler_ask_for_the_same(home, without_torch) -> None:
    params = StemsParams(model="musicgen-large", style="industrial/bed")
    (finding,) = load(HANDLER.check)(params, World(home.paths.config, home.paths.state))
    commands = models.commands_for(["musicgen-large"], home.paths)
    assert len(commands) == 3 and all(command.run in finding.message for command in commands)


def test_a_manifest_that_is_not_well_written_is_said(home) -> None:
    (home.paths.config / "models.yaml").write_text("models: [1]\n")
    with pytest.raises(ValueError, match=r"models\.yaml"):
        models.read_entries(home.paths)
