"""What the command line says of models that need weights, and of a GPU that could play them."""

from __future__ import annotations

import json
import shutil
from importlib.machinery import PathFinder

import pytest

from daemon.cli import demo, gpu
from daemon.settings import CHECKOUT, load

LIBRARIES = ("torch", "audiocraft")


@pytest.fixture(autouse=True)
def _configuration(home, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(home.paths.home / "hub"))
    shutil.copytree(CHECKOUT / "config", home.paths.config, dirs_exist_ok=True, ignore=shutil.ignore_patterns("drophammer.yaml"))


@pytest.fixture
def without_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    found = PathFinder.find_spec
    monkeypatch.setattr(PathFinder, "find_spec", lambda name, *rest: None if name in LIBRARIES else found(name, *rest))


def test_a_card_is_named_with_the_commands_that_put_it_to_use(home, monkeypatch, capsys, without_torch) -> None:
    monkeypatch.setattr(gpu, "names", lambda: ["Some Card 24GB"])
    demo._print_gpu(load())
    said = capsys.readouterr().out
    wanted = ["Some Card 24GB", "make setup-musicgen", "models fetch musicgen-small", "models fetch musicgen-medium", "submit"]
    places = [said.index(words) for words in wanted]
    assert places == sorted(places)


def test_without_a_card_nothing_is_said(home, monkeypatch, capsys) -> None:
    monkeypatch.setattr(gpu, "names", list)
    demo._print_gpu(load())
    assert capsys.readouterr().out == ""


def test_the_doctor_says_which_models_are_here_and_what_brings_the_first_that_is_not(call, without_torch) -> None:
    lines = [line for line in json.loads(call("doctor", "--json").stdout) if line["what"] == "models"]
    assert lines[0]["says"] == "here: procedural"
    assert "musicgen-small" in lines[1]["says"] and "make setup-musicgen && " in lines[1]["remedy"]
    assert any("musicgen-style cannot be played" in line["says"] for line in lines)


def test_the_doctor_names_a_handler_that_cannot_be_examined(call, home) -> None:
    (home.paths.config / "drophammer.yaml").write_text("handlers: [tests.daemon.cli.test_models:BROKEN]\n")
    lines = [line for line in json.loads(call("doctor", "--json").stdout) if line["what"] == "broken"]
    assert lines[0]["level"] == "FAIL" and "a bug of its own" in lines[0]["says"]


def _broken(world: object) -> None:
    raise RuntimeError("a bug of its own")


def _handler():
    from handlers.contract import Handler, Params

    return Handler("broken", "for the tests", Params, run="x:y", examine="tests.daemon.cli.test_models:_broken")


BROKEN = _handler()


def test_models_are_listed_with_size_and_licence(call) -> None:
    lines = call("models").stdout.splitlines()
    assert any(line.split()[:2] == ["procedural", "yes"] for line in lines)
    assert any("musicgen-small" in line and "about 2 GB" in line and "CC-BY-NC-4.0" in line for line in lines)
    assert "bed stands for musicgen-small" in lines


def test_what_a_job_in_the_ledger_needs_is_looked_for_by_its_number(call, home) -> None:
    job = home.job("quiet", "waiting", number=42)
    home.step(job, "beds", "waiting", params={"model": "procedural"})
    result = call("models", "fetch", "--for", "42")
    assert result.exit_code == 0 and "here: procedural" in result.stdout
    assert "no job '43'" in call("models", "fetch", "--for", "43").output


def test_a_desk_reads_the_steps_of_a_file_and_of_a_job(home) -> None:
    from daemon.cli.desk import Desk
    from daemon.cli.failure import CommandError

    file = home.paths.home / "two.yaml"
    file.write_text("steps:\n  a: {do: stems, style: industrial/bed, model: bed}\n  b: {do: beats, input: a}\n")
    steps = Desk().steps_of(str(file))
    assert [handler for handler, _ in steps] == ["stems", "beats"] and steps[0][1]["model"] == "bed"
    job = home.job("waits", "waiting")
    home.step(job, "a", "waiting", params={"model": "musicgen-small"})
    assert Desk().steps_of("waits") == [("stems", {"model": "musicgen-small"})]
    with pytest.raises(CommandError, match="no such file"):
        Desk().steps_of("absent.yaml")
