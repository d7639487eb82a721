"""The checkout's styles, and one whole stem that several tests look at."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from handlers.contract import World
from handlers.stems.acceptance import Verdict, judge
from handlers.stems.backend import Request
from handlers.stems.fit import fit
from handlers.stems.instrument.backend import open_instrument
from handlers.stems.instrument.render import Rendered, render
from handlers.stems.models.manifest import read_models
from handlers.stems.params import StemsParams
from handlers.stems.styles import Style, load_style
from handlers.stems.takes import measure

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


@pytest.fixture
def instrument(stems_context: Callable) -> Callable[[str, float], Verdict]:
    """The verdict over a stem of the built-in instrument."""

    def judged(name: str, duration_s: float) -> Verdict:
        params = StemsParams.model_validate({"style": name, "duration": duration_s})
        found = load_style(CONFIG / "styles", name)
        model = read_models(CONFIG / "models.yaml")["procedural"]
        (take,) = open_instrument(params, found, model, stems_context(seed=7)).play([Request(1)], lambda done: None)
        return judge(measure(fit(take, params), found))

    return judged
