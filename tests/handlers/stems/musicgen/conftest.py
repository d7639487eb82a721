"""Small models of every family on disk, the requests that they take, and backends over them, warm where that is all the same."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from handlers.stems.models.manifest import read_models
from handlers.stems.models.weights import missing_libraries
from handlers.stems.params import StemsParams
from handlers.stems.styles import load_style

if missing_libraries():
    pytest.skip(f"{', '.join(missing_libraries())} not installed; `make test` adds them", allow_module_level=True)

from handlers.stems.musicgen.backend import MusicGenBackend, open_musicgen
from tests.handlers.stems.musicgen.small_checkpoint import WINDOW_S, save_checkpoint, save_home

ROOT = Path(__file__).parents[4]
FAMILIES: dict[str, dict[str, bool]] = {"small": {}, "stereo": {"stereo": True}, "melody": {"melody": True}}


def entry(folder: str, *, channels: int = 1, reads: tuple[str, ...] = ("text", "audio")) -> dict[str, object]:
    """What ``models.yaml`` says of a model that the tests made."""
    return {
        "backend": "audiocraft", "summary": "made by the tests", "licence": "CC-BY-NC-4.0", "commercial": False,
        "sample_rate": 32000, "channels": channels, "window_s": WINDOW_S, "reads": list(reads),
        "weights": [
            {"repository": f"x/{folder}", "folder": folder, "files": ["state_dict.bin", "compression_state_dict.bin"]},
            {"repository": "x/t5-base", "folder": "t5-base", "files": ["config.json", "tokenizer.json", "model.safetensors"]},
            {"repository": "x/codec", "folder": "codec", "files": ["compression_state_dict.bin"], "if_pointed_to": True},
        ],
    }  # fmt: skip


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the shipped styles, and a small model of each family with its weights."""
    home = tmp_path_factory.mktemp("musicgen")
    shutil.copytree(ROOT / "config" / "styles", home / "config" / "styles")
    models = {
        "small": entry("small"),
        "stereo": entry("stereo", channels=2),
        "melody": entry("melody", reads=("text", "audio", "melody")),
    }
    (home / "config" / "models.yaml").write_text(yaml.safe_dump({"models": models}))
    save_home(home)
    for name in ("stereo", "melody"):
        save_checkpoint(home / "models" / name, **FAMILIES[name])
    return home


@pytest.fixture
def home(pristine: Path, tmp_path: Path) -> Path:
    """A copy, to be broken."""
    return Path(shutil.copytree(pristine, tmp_path / "home"))


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Models this small are computed faster by one thread than by several that wait for each other."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="session")
def warm() -> dict[str, dict[str, Any]]:
    """What workers would keep loaded, one for each model of `pristine`."""
    return {name: {} for name in FAMILIES}


def request_for(**changes: object) -> StemsParams:
    """A request for two seconds of the small model."""
    return StemsParams.model_validate({"model": "small", "style": "industrial/bed", "duration": 2, **changes})


@pytest.fixture
def context_at(context_factory: Callable, pristine: Path) -> Callable:
    """A context that looks at a home of the tests, with what its worker keeps loaded."""

    def make(home: Path = pristine, models: dict[str, Any] | None = None, **settings: object) -> Any:
        context = context_factory(**settings)
        context.config_dir = home / "config"
        context.models = {} if models is None else models
        return context

    return make


@pytest.fixture
def open_small(context_at: Callable, warm: dict[str, dict[str, Any]]) -> Callable[..., MusicGenBackend]:
    """Open a request's model, warm where an earlier test opened it."""

    def make(context: Any = None, *, seed: int = 7, inputs: object = None, **changes: object) -> MusicGenBackend:
        params = request_for(**changes)
        context = context or context_at(models=warm[params.model], seed=seed, inputs=inputs)
        model = read_models(context.config_dir / "models.yaml")[params.model]
        return open_musicgen(params, load_style(context.config_dir / "styles", params.style), model, context)

    return make
