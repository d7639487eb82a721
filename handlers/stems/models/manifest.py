"""The models that stems can be made with: ``config/models.yaml``, read and checked. Light: pydantic and yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from handlers.stems.styles import UniqueKeys, until_changed


class ModelsError(ValueError):
    """``models.yaml`` is not there or not well written; the message names the key and what to do."""


class Weights(BaseModel):
    """One repository of weights. What was not looked up (revision) is empty until it is first fetched."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    repository: str
    revision: str = ""
    licence: str = ""
    folder: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    """Where it lies, below ``models/``."""
    files: Annotated[tuple[str, ...], Field(min_length=1, strict=False)]
    """What has to be in there."""
    fetch: str
    """The command that fetches it; ``{models}`` stands for the folder ``models/``."""
    about_gb: float | None = None
    """Size in gigabytes, computed from the number of parameters; `None` where it is not known."""
    if_pointed_to: bool = False
    """Needed only where the model's codec file names this folder."""


class Model(BaseModel):
    """One entry of ``models.yaml``."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    backend: Literal["procedural", "audiocraft"]
    summary: str
    licence: str
    commercial: bool
    """May what it makes be used commercially?"""
    sample_rate: Annotated[int, Field(ge=8000, le=192_000)]
    channels: Annotated[int, Field(ge=1, le=2)]
    window_s: float | None = None
    """Longest piece made in one go, in seconds; none: any length."""
    reads: Annotated[tuple[Literal["text", "audio", "melody", "style"], ...], Field(strict=False)] = ("text",)
    """What it can be given beside a style's name: words, audio to go on from, a melody, a style."""
    not_played: str = ""
    """Why this version cannot play it; empty: it can."""
    weights: Annotated[tuple[Weights, ...], Field(strict=False)] = ()
    """The first is the model's own."""

    @model_validator(mode="after")
    def _has_weights(self) -> Model:
        if self.backend == "audiocraft" and not self.weights:
            raise ValueError("a model of audiocraft has weights; list its folder and files under `weights:`")
        return self


class Setup(BaseModel):
    """A command that has to be run once before any such model plays."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    run: str
    fetches: str
    """What it fetches, and how much."""


class _Manifest(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    setup: Annotated[tuple[Setup, ...], Field(strict=False)] = ()
    models: dict[str, Model]


def read_models(path: Path) -> dict[str, Model]:
    """Read the models of ``models.yaml``; see :func:`read_setup`."""
    return _read(path).models


def read_setup(path: Path) -> tuple[Setup, ...]:
    """Read what ``models.yaml`` says has to be run before any model with weights plays."""
    return _read(path).setup


@until_changed
def _read(path: Path) -> _Manifest:
    """Read ``models.yaml``.

    Raises
    ------
    ModelsError
        When it is not there or not well written.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=UniqueKeys)
        return _Manifest.model_validate(document)
    except OSError as error:
        raise ModelsError(f"{path.name}: cannot be read ({error.strerror}); restore it from the checkout") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelsError(f"{path.name}: is not YAML: {error}") from error
    except ValidationError as error:
        entries = ((".".join(map(str, entry["loc"])), entry["msg"]) for entry in error.errors())
        raise ModelsError("; ".join(f"{path.name}: {key}: {message}" for key, message in entries)) from error
