"""A reader over a throw-away installation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from daemon import settings
from daemon.documents import Document, DocumentError, read
from daemon.settings_model import Settings
from tests.daemon.documents.orchestra import ORCHESTRA


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    for folder in ("inbox", "outbox", "state", "config"):
        (home / folder).mkdir(parents=True)
    (tmp_path / "music").mkdir()
    (home / "config" / "drophammer.yaml").write_text(yaml.safe_dump({"deliver": {"daw": str(tmp_path / "daw")}}))
    return home


@pytest.fixture
def configured(home: Path) -> Settings:
    return settings.load(home)


@pytest.fixture
def accept(configured: Settings) -> Callable[[str], Document]:
    """Text to the job it is."""
    return lambda text: read(text.encode(), ORCHESTRA, configured, default_name="dropped")


@pytest.fixture
def refuse(configured: Settings) -> Callable[[str | bytes], str]:
    """Text to what is said against it."""

    def refused(text: str | bytes) -> str:
        with pytest.raises(DocumentError) as caught:
            read(text.encode() if isinstance(text, str) else text, ORCHESTRA, configured, default_name="dropped")
        return str(caught.value)

    return refused
