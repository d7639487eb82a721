"""The checkout's styles, and one whole stem that several tests look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from handlers.contract import World
from handlers.stems.instrument.render import Rendered, render
from handlers.stems.styles import Style, load_style

CONFIG = Path(__file__).parents[3] / "config"


@pytest.fixture(scope="session")
def style() -> Callable[[str], Style]:
    return lambda name: load_style(CONFIG / "styles", name)


@pytest.fixture(scope="session")
def minute(style: Callable[[str], Style]) -> Rendered:
    """Sixty seconds of industrial/bed, seed 7."""
    return render(style("industrial/bed"), 60.0, 7, step="beds", index=1)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(CONFIG, tmp_path)


@pytest.fixture
def stems_context(context_factory: Callable) -> Callable:
    """A recording context that looks at the checkout's styles and models."""

    def make(**settings: object) -> object:
        context = context_factory(**settings)
        context.config_dir = CONFIG
        return context

    return make
