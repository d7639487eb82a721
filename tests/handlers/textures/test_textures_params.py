"""What a `textures` step may say, and what is known before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from handlers.contract import Estimate, World, load, references
from handlers.textures.outlook import check, estimate
from handlers.textures.params import HANDLER, TexturesParams

EXAMPLE = Path(__file__).parents[3] / "config" / "jobs" / "textures.yaml"


def test_the_example_is_a_valid_request() -> None:
    text = EXAMPLE.read_text()
    assert text.startswith("# yaml-language-server: $schema=../schema.json\n")
    document = yaml.safe_load(text)
    assert (document.pop("do"), document.pop("name")) == ("textures", "my-textures")
    assert list(references(TexturesParams.model_validate(document))) == [("input", "./textures/old-tape.flac")]


def test_defaults_are_three_pads_of_four_eight_and_twelve_seconds() -> None:
    params = TexturesParams(input="a")
    assert [params.length_s(pad) for pad in range(4)] == [4.0, 8.0, 12.0, 4.0]
    assert [params.fade_s(pad) for pad in range(3)] == [1.5, 1.5, 1.5]
    assert TexturesParams.model_validate({"input": "a", "durations": ["500ms"]}).fade_s(0) == 0.25
    assert TexturesParams.model_validate(params.model_dump(mode="json")) == params


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "Field required"),
        ({"input": "a", "pads": 0}, "greater than or equal to 1"),
        ({"input": "a", "pads": 33}, "less than or equal to 32"),
        ({"input": "a", "pads": "3"}, "valid integer"),
        ({"input": "a", "durations": []}, "at least 1 item"),
        ({"input": "a", "durations": [4, 0.2]}, "greater than or equal to 0.5"),
        ({"input": "a", "durations": ["two bars"]}, "is not a time"),
        (
            {"input": "a", "durations": [4, 2], "crossfade": 1.5},
            "more than half of the shortest pad .2 s.: write at most 1",
        ),
        ({"input": "a", "crossfade": 0}, "greater than or equal to 0.01"),
        ({"input": "a", "swells": 6}, "Extra inputs"),
    ],
)
def test_what_cannot_be_honoured_is_an_error(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TexturesParams.model_validate(keys)


def test_lengths_that_no_pad_has_are_pointed_out(tmp_path: Path) -> None:
    world = World(tmp_path, tmp_path)
    (finding,) = check(TexturesParams(input="a", pads=1), world)
    assert (finding.kind, finding.key) == ("warning", "durations") and "8, 12 s" in finding.message
    assert list(check(TexturesParams(input="a", pads=3), world)) == []


def test_the_estimate_counts_pads_and_bytes() -> None:
    params = TexturesParams(input="beds")
    known = estimate(params, {"beds": [Estimate(items=2, duration_s=60.0)]})
    assert (known.items, known.duration_s) == (6, 8.0)
    assert known.size_bytes > 6 * 8 * 44_100 * 6
    assert estimate(params, {}).items is None


@pytest.mark.parametrize("target", [HANDLER.run, HANDLER.check, HANDLER.estimate, HANDLER.describe])
def test_what_the_handler_names_exists(target: str) -> None:
    assert callable(load(target))
