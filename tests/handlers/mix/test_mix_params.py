"""What a mix step may say, and what a mix will be before it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from handlers.contract import Estimate, ItemRecord, references
from handlers.mix.outlook import describe, estimate
from handlers.mix.params import MixParams
from handlers.mix.presets import PRESETS

JOBS = Path(__file__).parents[3] / "config" / "jobs"


def parse(**keys: Any) -> MixParams:
    return MixParams.model_validate({"order": ["a", "b"], **keys})


def test_defaults_are_four_seconds_that_keep_the_level_and_wav() -> None:
    params = parse()
    transition = params.transition
    assert (transition.kind, transition.duration, transition.curve) == ("crossfade", 4.0, "keep_level")
    assert [choice.name for choice in params.formats] == ["wav"]
    assert params.loudness is None and params.ceiling == -1.0


def test_formats_are_names_or_settings() -> None:
    params = parse(formats=["flac", {"mp3": {"kbps": 192}}, {"ogg": {"quality": 6}}, {"wav": {"bits": 16}}])
    assert [choice.name for choice in params.formats] == ["flac", "mp3", "ogg", "wav"]
    assert params.formats[1].mp3.kbps == 192


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"transition": {"kind": "cut"}, "formats": ["wav", {"mp3": {"vbr": 4}}]},
        {"transition": {"duration": "1.5m"}, "loudness": -14, "title": "x"},
        {"transition": {"kind": "beatmatch"}, "transitions": [{"after": 1, "kind": "echo_out"}], "match": "none"},
        {"transition": {"fade_out": "8s", "fade_in": 2}, "lossy_ceiling": -2},
        {"order": "auto", "pieces": ["a"], "pin": [{"piece": "a/1", "at": "first"}], "length": "60m"},
        {"order": "./order.txt", "preset": "podcast", "tags": {"artist": "x"}, "extras": ["aligned"]},
    ],
)
def test_stored_params_are_read_again_as_they_were(keys: dict[str, Any]) -> None:
    params = parse(**keys)
    assert MixParams.model_validate(params.model_dump(mode="json")) == params


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"order": []}, "at least 1 item"),
        ({"order": "a"}, "neither a list, nor auto"),
        ({"transition": {"kind": "wipe"}}, "'cut', 'crossfade', 'beatmatch', 'echo_out' or 'filter'"),
        ({"transition": {"kind": "filter", "curve": "linear"}}, "a filter has no curve"),
        ({"transition": {"kind": "echo_out", "bars": 2, "duration": 4}}, "exclude each other"),
        ({"transition": {"tempo": "hold"}}, "a crossfade has no tempo: remove it, or say kind: beatmatch"),
        ({"transition": {"duration": 4, "fade_in": 8}}, "fade_in .8 s. is longer than the overlap"),
        ({"transition": {"bars": 4, "fade_out": 8}}, "fade_out .8 s. and bars .4. exclude each other"),
        ({"match": "peak"}, "'loudness' or 'none'"),
        ({"transition": {"kind": "beatmatch", "duration": 4}}, "a beatmatch has no duration"),
        ({"transition": {"kind": "crossfade", "bass_swap": True}}, "a crossfade has no bass_swap"),
        ({"transition": {"bars": 4, "duration": 4}}, "exclude each other"),
        ({"transitions": [{"after": 1, "kind": "cut"}, {"after": 1}]}, "two follow piece 1"),
        ({"transitions": [{"kind": "cut"}]}, "Field required"),
        ({"transition": {"kind": "cut", "duration": 2}}, "a cut has no duration"),
        ({"transition": {"kind": "cut", "curve": "linear"}}, "a cut has no curve"),
        ({"transition": {"duration": 0}}, "greater than 0"),
        ({"transition": {"duration": "4 bars"}}, "is not a time"),
        ({"transition": {"curve": "s"}}, "'keep_level', 'equal_power' or 'linear'"),
        ({"formats": ["m4a"]}, "'m4a' is not a format: one of wav, flac, mp3, ogg"),
        ({"formats": [{"mp3": {"kbps": 192}, "ogg": {}}]}, "names mp3 and ogg: one format per list entry"),
        ({"formats": [{}]}, "names no format"),
        ({"formats": []}, "at least 1 item"),
        ({"formats": ["mp3", {"mp3": {"kbps": 320}}]}, "mp3 is asked for twice"),
        ({"formats": [{"mp3": {"kbps": 192, "vbr": 2}}]}, "exclude each other"),
        ({"formats": [{"mp3": {"quality": 6}}]}, "Extra inputs"),
        ({"formats": ["mp3"], "sample_rate": 96_000}, "mp3 holds at most 48000 Hz"),
        ({"loudness": -3}, "less than or equal to -5"),
        ({"loudness": "-14"}, "valid number"),
        ({"limiter": True}, "Extra inputs"),
        ({"order": None}, "order: Field required"),
        ({"interleave": ["a"]}, "order and interleave exclude each other"),
        ({"order": "auto"}, "pieces: Field required"),
        ({"pieces": ["a"]}, "pieces: needs order: auto"),
        ({"pin": [{"piece": "a", "at": 1}]}, "pin: needs order: auto"),
        (
            {"order": "auto", "pieces": ["a"], "pin": [{"piece": "a/1", "at": "last"}, {"piece": "a/2", "at": "last"}]},
            "two pieces are to be last",
        ),
        ({"order": "auto", "pieces": ["a"], "repeat": 2}, "no meaning in a planned set"),
        ({"repeat": 2, "length": "60m"}, "exclude each other"),
        ({"preset": "vinyl"}, "'streaming', 'club', 'podcast' or 'game-loop'"),
        ({"extras": ["stems"]}, "'aligned', 'reaper' or 'teaser'"),
        ({"formats": [{"opus": {"kbps": 512}}]}, "less than or equal to 256"),
    ],
)
def test_what_cannot_be_honoured_is_an_error(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        parse(**keys)


def test_every_entry_of_the_order_is_a_reference() -> None:
    assert list(references(parse(order=["beds", "beds/1", "./a.wav"]))) == [
        ("order.0", "beds"),
        ("order.1", "beds/1"),
        ("order.2", "./a.wav"),
    ]


def test_a_planned_order_names_its_pieces_and_no_step_called_auto() -> None:
    params = parse(order="auto", pieces=["beds"], pin=[{"piece": "beds/3", "at": "first"}])
    assert list(references(params)) == [("pieces.0", "beds"), ("pin.0.piece", "beds/3")]
    assert list(references(parse(order="./order.txt"))) == [("order", "./order.txt")]


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_says_what_the_job_does_not(name: str) -> None:
    table = PRESETS[name]
    params = parse(preset=name, ceiling=-2)
    assert (params.loudness, params.ceiling, params.loop) == (table["loudness"], -2.0, name == "game-loop")
    assert len(params.formats) == len(table["formats"])
    assert [one.name for one in parse(preset=name, formats=["wav"]).formats] == ["wav"]
    assert {key: value for key, value in params.tags.model_dump().items() if value} == table["tags"]
    assert MixParams.model_validate(params.model_dump(mode="json")) == params


def test_schema_offers_names_and_settings() -> None:
    options = MixParams.model_json_schema()["properties"]["formats"]["items"]["anyOf"]
    assert ["wav", "flac", "mp3", "ogg", "opus"] in [option.get("enum") for option in options]


@pytest.mark.parametrize(
    ("name", "step"),
    [("mix.yaml", None), ("mix-auto.yaml", None), ("industrial-set.yaml", "mix"), ("industrial-plain.yaml", "mix")],
)
def test_shipped_jobs_ask_for_what_there_is(name: str, step: str | None) -> None:
    text = (JOBS / name).read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=../schema.json\n")
    job = yaml.safe_load(text)
    wanted = job["steps"][step] if step else job
    MixParams.model_validate({key: value for key, value in wanted.items() if key not in ("do", "name")})


def test_plain_set_is_estimated_to_the_second_and_byte() -> None:
    inputs = {"beds": [Estimate(5, 60.0)], "transitions": [Estimate(3, 30.0)]}
    found = estimate(parse(order=["beds", "transitions"], transition={"kind": "cut"}), inputs)
    assert (found.items, found.duration_s, found.size_bytes) == (1, 390.0, 17_199_000 * 6)


def test_estimate_knows_repeats_turns_and_lengths() -> None:
    inputs = {"a": [Estimate(2, 60.0)], "b": [Estimate(1, 30.0)]}
    cut = {"transition": {"kind": "cut"}}
    assert estimate(parse(repeat=3, **cut), inputs).duration_s == 450.0
    assert estimate(parse(length="60m", **cut), inputs).duration_s == 3600.0
    assert estimate(parse(order=None, interleave=["a", "b"], **cut), inputs).duration_s == 150.0
    assert estimate(parse(order="auto", pieces=["a"], length="60m", **cut), inputs).duration_s == 120.0
    assert estimate(parse(order="./order.txt"), {}) == Estimate(items=1)


def test_estimate_takes_off_the_crossfades() -> None:
    inputs = {"a": [Estimate(1, 60.0)], "b": [Estimate(1, 3.0)]}
    assert estimate(parse(order=["a", "b", "a"], formats=[{"mp3": {"kbps": 128}}]), inputs).duration_s == 120.0
    assert estimate(parse(order=["a", "c"]), inputs) == Estimate(items=1)


def test_description_is_length_level_and_tracks() -> None:
    tracks = [{"label": "beds/1", "start_s": 0.0, "end_s": 60.0}, {"label": "beds/2", "start_s": 56.0, "end_s": 116.0}]
    levels = {"integrated_lufs": -14.02, "true_peak_dbtp": -1.0}
    facts = {"duration_s": 116.0, "tempo_bpm": 128.0, "tracks": tracks, **levels}
    assert describe(ItemRecord(1, Path("mix.flac"), facts)) == (
        "1:56, -14.0 LUFS, -1.0 dBTP, 128 BPM\n0:00  beds/1\n0:56  beds/2"
    )


def test_the_documented_table_is_that_of_the_presets() -> None:
    text = (JOBS.parents[1] / "docs" / "mix.md").read_text(encoding="utf-8")
    for name, table in PRESETS.items():
        formats = ", ".join(_short(one) for one in table["formats"])
        row = f"| {name} | {table['loudness']:g} | {table['ceiling']:g} | {formats} | {', '.join(table['tags'])} |"
        assert row in text


def _short(choice: Any) -> str:
    if isinstance(choice, str):
        return choice
    ((name, settings),) = choice.items()
    return f"{name} {next(iter(settings.values()))}"
