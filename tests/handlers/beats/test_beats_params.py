"""What a `beats` step may say, and what is known before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from handlers.beats.outlook import estimate
from handlers.beats.params import HANDLER, BeatsParams
from handlers.contract import Estimate, load, references

EXAMPLE = Path(__file__).parents[3] / "config" / "jobs" / "beats.yaml"


def test_the_example_is_a_valid_request() -> None:
    text = EXAMPLE.read_text()
    assert text.startswith("# yaml-language-server: $schema=../schema.json\n")
    document = yaml.safe_load(text)
    assert (document.pop("do"), document.pop("name")) == ("beats", "my-beats")
    assert list(references(BeatsParams.model_validate(document))) == [("input", "./loops/kick-study.wav")]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "Field required"),
        ({"input": ""}, "at least 1 character"),
        ({"input": ["a", "b"]}, "valid string"),
        ({"input": "a", "tempo": 20}, "greater than or equal to 40"),
        ({"input": "a", "tempo": "120"}, "valid number"),
        ({"input": "a", "meter": "5/4"}, "4/4', '3/4' or '6/8"),
        ({"input": "a", "first_downbeat": -1}, "greater than or equal to 0"),
        ({"input": "a", "first_downbeat": "soon"}, "is not a time"),
        ({"input": "a", "exports": ["als"]}, "'audacity', 'rekordbox'"),
        ({"input": "a", "exports": ["midi", "csv", "midi"]}, "midi is asked for twice"),
        ({"input": "a", "format": "midi"}, "Extra inputs"),
    ],
)
def test_what_cannot_be_honoured_is_an_error(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        BeatsParams.model_validate(keys)


def test_all_that_may_be_said_is_understood() -> None:
    said = {"input": "a", "tempo": 174, "meter": "3/4", "first_downbeat": "500ms", "exports": "midi"}
    params = BeatsParams.model_validate(said)
    assert (params.tempo, params.meter, params.first_downbeat, params.exports) == (174, "3/4", 0.5, ["midi"])
    assert BeatsParams(input="a", exports="midi, cues").exports == ["midi", "cues"]  # As a command line has it.


def test_copies_of_the_sound_are_part_of_the_estimate() -> None:
    known = {"beds": [Estimate(items=2, duration_s=60.0)]}
    plain = estimate(BeatsParams(input="beds"), known).size_bytes
    copies = estimate(BeatsParams(input="beds", exports=["cues", "click"]), known).size_bytes
    assert plain is not None and copies is not None and copies - plain > 2 * 60 * 44_100 * 6


def test_the_estimate_counts_every_input() -> None:
    params = BeatsParams(input="beds")
    assert estimate(params, {"beds": [Estimate(items=5, duration_s=60.0)]}).items == 5
    assert estimate(params, {"beds": [Estimate(items=1), Estimate(items=1)]}).items == 2
    assert estimate(params, {}) == Estimate()


@pytest.mark.parametrize("target", [HANDLER.run, HANDLER.estimate, HANDLER.describe])
def test_what_the_handler_names_exists(target: str) -> None:
    assert callable(load(target))
