"""A disk full of old recordings, and runs over it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handlers.archaeology import discover
from handlers.archaeology.params import DiscoverParams
from handlers.audio import files
from tests.fixtures.sound import tone

CONFIG = Path(__file__).resolve().parents[3] / "config"


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    folder = tmp_path / "disk"
    folder.mkdir()
    return folder


@pytest.fixture
def record(disk: Path) -> Callable[..., Path]:
    """Write a tone of some length, or the given audio, at a place on the disk."""

    def do(
        name: str, duration_s: float = 0.25, *, audio: np.ndarray | None = None, rate: int = 8000, **how: Any
    ) -> Path:
        path = disk / name
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write(path, tone(440, duration_s, rate) if audio is None else audio, rate, **how)
        return path

    return do


@pytest.fixture
def find(context_factory: Any, disk: Path, tmp_path: Path) -> Callable[..., Any]:
    """Run `discover` over the disk, or the folders given; all runs share one cache."""

    def do(*roots: Path, **params: Any) -> Any:
        context = context_factory()
        context.cache_dir = tmp_path / "cache"
        context.cache_dir.mkdir(exist_ok=True)
        folders = roots or (disk,)
        context.folders = {str(folder): folder for folder in folders}
        discover.run(DiscoverParams(root=[str(folder) for folder in folders], **params), context)
        return context

    return do


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """The rules files that are shipped, to be added to."""
    shutil.copytree(CONFIG / "selections", tmp_path / "config" / "selections")
    return tmp_path / "config"
