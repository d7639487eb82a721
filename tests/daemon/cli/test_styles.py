"""`drophammer styles`: the list, and the words that a seed makes."""

from __future__ import annotations

import shutil
import textwrap

import pytest

from daemon.settings import CHECKOUT
from handlers.stems.musicgen.prompt import final_prompt
from handlers.stems.params import StemsParams
from handlers.stems.styles import list_styles, load_style

STYLES = CHECKOUT / "config" / "styles"


@pytest.fixture(autouse=True)
def _configuration(home) -> None:
    shutil.copytree(STYLES, home.paths.config / "styles")


def test_every_style_is_listed_with_its_tempo(call) -> None:
    output = call("styles").output
    assert all(name in output for name in list_styles(STYLES))
    (line,) = [line for line in output.splitlines() if line.startswith("darkwave/peak")]
    assert line.split()[1] == "120-128"


def test_the_preview_is_what_the_model_would_be_told(call) -> None:
    output = call("styles", "ebm/bed", "--seed", "7", "--count", "2", "--step", "beds").output
    params = StemsParams(style="ebm/bed", vary=True)
    for item in (1, 2):
        told = final_prompt(params, load_style(STYLES, "ebm/bed"), 7, "beds", item)
        assert told.endswith("minor.") and "BPM" in told
        assert textwrap.fill(told, 100, initial_indent="  ", subsequent_indent="  ") in output


def test_one_prompt_is_shown_where_nothing_varies(call) -> None:
    output = call("styles", "ebm/bed", "--whole").output
    assert "stems/1, seed 0:" in output and "stems/2" not in output


def test_a_style_that_is_not_there_names_the_nearest(call) -> None:
    result = call("styles", "ebm/bde")
    assert result.exit_code != 0
    assert "did you mean 'ebm/bed'?" in str(result.exception) + result.output
