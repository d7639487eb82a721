"""The models that stems can be made with: ``config/models.yaml``, read and checked. Light: pydantic and yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from handlers.stems.styles import UniqueKeys, until_changed


class ModelsError(ValueError):
    """``models.yaml`` is not there or not well written; the message names the key and what to do."""


class Weights(BaseModel):
    """One repository of weights. What was not looked up (revision) is empty until it is first fetched."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    repository: str
    revision: str = ""
    licence: str = ""


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
    weights: Annotated[tuple[Weights, ...], Field(strict=False)] = ()


class _Manifest(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    models: dict[str, Model]


@until_changed
def read_models(path: Path) -> dict[str, Model]:
    """Read ``models.yaml``.

    Raises
    ------
    ModelsError
        When it is not there or not well written.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=UniqueKeys)
        return _Manifest.model_validate(document).models
    except OSError as error:
        raise ModelsError(f"{path.name}: cannot be read ({error.strerror}); restore it from the checkout") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelsError(f"{path.name}: is not YAML: {error}") from error
    except ValidationError as error:
        entries = ((".".join(map(str, entry["loc"])), entry["msg"]) for entry in error.errors())
        raise ModelsError("; ".join(f"{path.name}: {key}: {message}" for key, message in entries)) from error
