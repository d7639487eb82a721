"""What the daemon says of a request because of its model, at intake and while it waits."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from handlers.contract import World
from handlers.stems.models import check as checking
from handlers.stems.models.check import check_model, examine
from handlers.stems.models.manifest import read_manifest
from handlers.stems.params import StemsParams
from tests.handlers.stems.models.test_weights import point, put

CONFIG = Path(__file__).parents[4] / "config"


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installation with the shipped configuration and no weights, in the hub's cache neither."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    shutil.copytree(CONFIG, tmp_path / "home" / "config")
    return tmp_path / "home"


@pytest.fixture
def messages(home: Path, monkeypatch: pytest.MonkeyPatch):
    """What a check finds, with or without the libraries, as texts by kind and key."""

    def ask(*, libraries: bool = True, **changes: object) -> dict[tuple[str, str], str]:
        monkeypatch.setattr(checking, "missing_libraries", lambda: [] if libraries else ["torch"])
        params = StemsParams.model_validate({"style": "industrial/bed", "model": "musicgen-small", **changes})
        return {(f.kind, f.key): f.message for f in check_model(params, World(home / "config", home / "state"))}

    return ask


@pytest.fixture
def here(home: Path):
    """Put all weights of a model into models/."""

    def bring(key: str) -> Path:
        for weights in read_manifest(home / "config" / "models.yaml").models[key].weights[:2]:
            put(weights, home / "models" / weights.folder)
        return home / "models"

    return bring


def test_with_nothing_here_the_commands_are_named_with_sizes(messages):
    message = messages(libraries=False)["missing", "model"]
    assert "make setup-musicgen && ./drophammer models fetch musicgen-small" in message
    assert "facebook/musicgen-small (about 1.1 GB, computed), google-t5/t5-base (about 0.9 GB, computed)" in message
    assert "fallback: procedural" in message and "encodec" not in message


def test_an_alias_waits_for_what_it_stands_for(messages):
    assert "models fetch musicgen-medium" in messages(model="transition")["missing", "model"]


def test_what_is_here_already_is_not_counted_again(messages, here, home):
    here("musicgen-large")
    message = messages()["missing", "model"]
    assert "setup-musicgen" not in message and "t5-base" not in message and "musicgen-small (about" in message


def test_a_model_that_is_all_here_has_no_findings(messages, here):
    here("musicgen-small")
    assert messages() == {}


def test_a_codec_that_is_only_named_is_waited_for(messages, here):
    models = here("musicgen-stereo-small")
    point(models / "musicgen-stereo-small", "facebook/encodec_32khz")
    message = messages(model="musicgen-stereo-small")["missing", "model"]
    assert "models fetch musicgen-stereo-small - which fetches facebook/encodec_32khz" in message


def test_an_unknown_model_is_an_error_with_the_nearest_name(messages):
    assert "did you mean 'musicgen-small'" in messages(model="musicgen-smoll")["error", "model"]


@pytest.mark.parametrize("model", ["bed", "musicgen-small"])
def test_a_licence_that_forbids_commercial_use_is_an_error_where_it_is_demanded(messages, model):
    message = messages(model=model, commercial=True, libraries=False)
    assert list(message) == [("error", "commercial")], "it is refused, not waited for"
    assert "CC-BY-NC-4.0" in message["error", "commercial"] and "procedural" in message["error", "commercial"]


def test_a_licence_that_allows_it_is_none(messages):
    assert messages(model="procedural", commercial=True) == {}


def test_a_damaged_file_is_named_with_the_command_that_mends_it(messages, here):
    path = here("musicgen-small") / "t5-base" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    message = messages()["missing", "model"]
    assert "damaged" in message and str(path) in message and "./drophammer models fetch musicgen-small" in message


def test_a_model_this_version_cannot_play_says_why(messages):
    message = messages(model="musicgen-style", libraries=False)["missing", "model"]
    assert "cannot be played" in message and "fetch" not in message


def test_a_local_folder_that_is_not_there_is_named(messages, home):
    path = home / "config" / "models.yaml"
    path.write_text(path.read_text().replace("- repository: facebook/musicgen-small\n        revision: \"\"", "- local: /nowhere/small"))
    message = messages()["missing", "model"]
    assert "/nowhere/small" in message


def test_the_doctor_hears_what_is_here_and_what_is_damaged(home, here, messages):
    messages()
    path = here("musicgen-small") / "musicgen-small" / "state_dict.bin"
    world = World(home / "config", home / "state")
    first, *_ = examine(world)
    assert (first.kind, first.message) == ("ok", "here: procedural, musicgen-small")
    path.write_bytes(b"PK")
    said = list(examine(world))
    assert any(str(path) in finding.message and "fetch musicgen-small" in finding.remedy for finding in said)


def test_a_manifest_that_is_not_well_written_is_said_by_both(home, messages):
    (home / "config" / "models.yaml").write_text("models: [1]\n")
    assert "models.yaml" in messages()["error", "model"]
    assert ["warning"] == [finding.kind for finding in examine(World(home / "config", home / "state"))]
