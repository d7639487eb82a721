"""Models that need weights: what is said when something is missing, and how that is known without torch."""

from __future__ import annotations

import pickle
import shutil
import zipfile
from pathlib import Path

import pytest

from handlers.contract import World
from handlers.stems import check as checking
from handlers.stems.check import check
from handlers.stems.models.manifest import ModelsError, read_models, read_setup
from handlers.stems.models.weights import codec_pointer, fetch_command, missing_weights, models_folder
from handlers.stems.params import StemsParams

CONFIG = Path(__file__).parents[4] / "config"


def request(**changes: object) -> StemsParams:
    return StemsParams.model_validate({"style": "industrial/bed", "duration": 4, "model": "musicgen-small", **changes})


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An installation with the shipped configuration and no weights."""
    shutil.copytree(CONFIG, tmp_path / "home" / "config")
    return tmp_path / "home"


@pytest.fixture
def messages(home: Path, monkeypatch: pytest.MonkeyPatch):
    """What a check of a request finds, with or without the libraries, as texts by kind and key."""

    def ask(*, libraries: bool = True, **changes: object) -> dict[tuple[str, str], str]:
        monkeypatch.setattr(checking, "missing_libraries", lambda: [] if libraries else ["torch"])
        world = World(home / "config", home / "state")
        return {(finding.kind, finding.key): finding.message for finding in check(request(**changes), world)}

    return ask


def put(folder: Path, *names: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"\0" * 100)


def point(folder: Path, name: str) -> None:
    """A codec file that only names another folder, laid out as torch saves it: a zip with one pickle."""
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "compression_state_dict.bin", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"pretrained": name, "exported": True}, protocol=2))
        archive.writestr("archive/version", "3")


def test_with_nothing_here_every_command_is_named_with_its_size(messages, home):
    message = messages(libraries=False)["missing", "model"]
    models = home / "models"
    assert message.index("make setup-musicgen && ") < message.index("hf download facebook/musicgen-small")
    assert f"state_dict.bin compression_state_dict.bin --local-dir {models}/musicgen-small" in message
    assert f"model.safetensors --local-dir {models}/t5-base" in message
    assert "facebook/musicgen-small (about 1.1 GB, computed)" in message
    assert "fallback: procedural" in message
    assert "encodec_32khz" not in message, "whether it is needed is known when the codec file is here"


def test_what_is_here_already_is_not_asked_for_again(messages, home):
    put(home / "models" / "t5-base", "config.json", "tokenizer.json", "model.safetensors")
    message = messages()["missing", "model"]
    assert "setup-musicgen" not in message and "t5-base" not in message
    assert "hf download facebook/musicgen-small" in message


def test_a_model_that_is_all_here_has_no_findings(messages, home):
    put(home / "models" / "t5-base", "config.json", "tokenizer.json", "model.safetensors")
    put(home / "models" / "musicgen-small", "state_dict.bin", "compression_state_dict.bin")
    assert messages() == {}
    assert messages(prompt="wet concrete") == {}, "it reads prompts"


def test_half_a_download_is_missing(messages, home):
    put(home / "models" / "t5-base", "config.json", "tokenizer.json", "model.safetensors")
    put(home / "models" / "musicgen-small", "compression_state_dict.bin")
    assert "hf download facebook/musicgen-small" in messages()["missing", "model"]


def test_a_codec_that_is_only_named_is_asked_for(messages, home):
    put(home / "models" / "t5-base", "config.json", "tokenizer.json", "model.safetensors")
    put(home / "models" / "musicgen-stereo-small", "state_dict.bin")
    point(home / "models" / "musicgen-stereo-small", "facebook/encodec_32khz")
    message = messages(model="musicgen-stereo-small")["missing", "model"]
    assert f"hf download facebook/encodec_32khz --local-dir {home}/models/encodec_32khz" in message
    assert "facebook/encodec_32khz (size not known)" in message
    put(home / "models" / "encodec_32khz", "config.json")
    assert messages(model="musicgen-stereo-small") == {}


@pytest.mark.parametrize("content", [b"", b"\0" * 100, b"PK\x03\x04 cut off"])
def test_a_codec_file_that_is_no_zip_names_nothing(tmp_path, content):
    path = tmp_path / "compression_state_dict.bin"
    path.write_bytes(content)
    assert codec_pointer(path) is None
    assert codec_pointer(tmp_path / "absent.bin") is None


def test_looking_for_a_name_executes_nothing(tmp_path):
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    with zipfile.ZipFile(tmp_path / "trap.bin", "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps({"trap": Trap(), "pretrained": "x/y"}, protocol=2))
    assert codec_pointer(tmp_path / "trap.bin") == "x/y"
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(("key", "value"), [("tempo", 128), ("key", "A minor")])
def test_what_it_cannot_be_held_to_is_an_error(messages, key, value):
    message = messages(**{key: value})["error", key]
    assert "musicgen-small" in message and "prompt" in message


@pytest.mark.parametrize("model", ["musicgen-melody", "musicgen-style"])
def test_models_this_version_cannot_play_say_why(messages, model):
    message = messages(model=model, libraries=False)["missing", "model"]
    assert "cannot be played" in message and "hf download" not in message


def test_commands_fit_a_folder_with_a_blank(tmp_path):
    weights = read_models(CONFIG / "models.yaml")["musicgen-small"].weights[0]
    assert fetch_command(weights, tmp_path / "my models").endswith(f"--local-dir '{tmp_path}/my models'/musicgen-small")


def test_the_manifest_is_whole():
    assert [entry.run for entry in read_setup(CONFIG / "models.yaml")] == ["make setup-musicgen"]
    assert "setup-musicgen:" in (CONFIG.parent / "Makefile").read_text()
    for key, model in read_models(CONFIG / "models.yaml").items():
        for weights in model.weights:
            assert f" {weights.repository} " in weights.fetch and weights.fetch.endswith(f"{{models}}/{weights.folder}"), key
            if not weights.if_pointed_to:
                assert all(f" {name} " in weights.fetch for name in weights.files), key


def test_a_model_of_audiocraft_without_weights_is_refused(home):
    path = home / "config" / "models.yaml"
    path.write_text(path.read_text() + "\n  mine: {backend: audiocraft, summary: x, licence: x, commercial: true, sample_rate: 32000, channels: 1}\n")
    with pytest.raises(ModelsError, match=r"models\.mine.*weights"):
        read_models(path)


def test_weights_lie_beside_the_configuration(home):
    folder = models_folder(home / "config")
    assert folder == home / "models"
    assert [weights.folder for weights in missing_weights(read_models(CONFIG / "models.yaml")["musicgen-large"], folder)] == [
        "musicgen-large", "t5-base",
    ]  # fmt: skip
