"""What a `textures` step may say, and what is known before it runs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import ValidationError

from handlers.contract import Estimate, Invalid, ItemRecord, World, load, references
from handlers.textures.outlook import check, describe, estimate, plan, wanted
from handlers.textures.params import HANDLER, TexturesParams
from handlers.textures.profiles import Profile

ROOT = Path(__file__).parents[3]
EXAMPLE = ROOT / "config" / "jobs" / "textures.yaml"


def test_the_example_is_a_valid_request() -> None:
    text = EXAMPLE.read_text()
    assert text.startswith("# yaml-language-server: $schema=../schema.json\n")
    document = yaml.safe_load(text)
    assert (document.pop("do"), document.pop("name")) == ("textures", "my-textures")
    params = TexturesParams.model_validate(document)
    assert list(references(params)) == [("input", "./textures/old-tape.flac")]
    assert list(check(params, World(ROOT / "config", ROOT))) == []


def test_every_source_gives_the_whole_default_count() -> None:
    params = TexturesParams(input="a")
    assert wanted(params, Profile()) == {"pads": 3, "swells": 6, "clouds": 6, "hiss": 8, "flickers": 4}
    assert TexturesParams.model_validate(params.model_dump(mode="json")) == params


def test_kinds_that_are_not_named_are_not_made() -> None:
    params = TexturesParams.model_validate({"input": "a", "kinds": "pads", "durations": ["4s", "2 bars"], "swells": 4})
    assert wanted(params, Profile()) == {"pads": 3, "swells": 0, "clouds": 0, "hiss": 0, "flickers": 0}
    assert params.durations == [4.0, "2 bars"]
    assert TexturesParams.model_validate(params.model_dump(mode="json")) == params


def test_percussion_and_catalogues_are_references_too() -> None:
    params = TexturesParams(sources="./selected.csv", drums=["./kick.wav", "beds/2"], count=5, start_index=3)
    assert list(references(params)) == [("sources", "./selected.csv"), ("drums.0", "./kick.wav"), ("drums.1", "beds/2")]


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({}, "what is to be mined"),
        ({"input": "a", "sources": "b.csv"}, "exclude each other"),
        ({"input": "a", "count": 5}, "there is none; remove them"),
        ({"input": "a", "root": "/mnt"}, "there is none; remove them"),
        ({"input": "a", "pads": -1}, "greater than or equal to 0"),
        ({"input": "a", "pads": 65}, "less than or equal to 64"),
        ({"input": "a", "pads": "3"}, "valid integer"),
        ({"input": "a", "kinds": "pads", "pads": 0}, "every count is 0"),
        ({"input": "a", "kinds": ["pads", "pads"]}, "pads is there twice"),
        ({"input": "a", "kinds": ["pad"]}, "'pads', 'swells'"),
        ({"input": "a", "durations": []}, "at least 1 item"),
        ({"input": "a", "durations": [4, 0.2]}, "0.2 s is outside 0.25 to 60 s"),
        ({"input": "a", "durations": ["two bars"]}, "is not a length: write seconds"),
        ({"input": "a", "durations": ["4 beats"]}, "is not a time"),
        (
            {"input": "a", "durations": [4, 2], "crossfade": 1.5},
            "more than half of the shortest pad .2 s.: write at most 1",
        ),
        ({"input": "a", "crossfade": 0}, "greater than or equal to 0.01"),
        ({"input": "a", "profile": "../x"}, "should match pattern"),
        ({"input": "a", "profile": "bright", "profiles": ["dark"]}, "exclude each other"),
        ({"input": "a", "profiles": ["dark", "dark"]}, "dark is there twice"),
        ({"input": "a", "pack": "mpc"}, "'daw', 'tr8s' or 'game'"),
        ({"input": "a", "peak": 1}, "less than or equal to 0"),
        ({"input": "a", "swell": 6}, "Extra inputs"),
    ],
)
def test_what_cannot_be_honoured_is_an_error(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TexturesParams.model_validate(keys)


def test_a_profile_that_is_not_there_is_named_with_the_nearest() -> None:
    world = World(ROOT / "config", ROOT)
    (finding,) = check(TexturesParams(input="a", profile="brigt"), world)
    assert (finding.kind, finding.key) == ("error", "profile") and "did you mean 'bright'?" in finding.message
    (finding,) = check(TexturesParams(input="a", profiles=["dark", "brigt"]), world)
    assert (finding.kind, finding.key) == ("error", "profiles")


def test_lengths_that_no_pad_has_are_pointed_out(tmp_path: Path) -> None:
    world = World(tmp_path, tmp_path)
    durations = [4.0, 8.0, "2 bars"]
    (finding,) = check(TexturesParams(input="a", pads=1, durations=durations), world)
    assert (finding.kind, finding.key) == ("warning", "durations") and "8 s, 2 bars" in finding.message
    assert list(check(TexturesParams(input="a", pads=3, durations=durations), world)) == []


def test_the_estimate_counts_textures_and_bytes() -> None:
    params = TexturesParams(input="beds", kinds=["pads"])
    known = estimate(params, {"beds": [Estimate(items=2, duration_s=60.0)]})
    assert (known.items, known.duration_s) == (6, 8.0)
    assert known.size_bytes > 6 * 8 * 44_100 * 6
    assert estimate(params, {}).items is None
    assert estimate(TexturesParams(input="beds"), {"beds": [Estimate(items=2)]}).items == 2 * 27


def test_how_many_another_profile_gives_is_known_only_where_all_counts_are_said() -> None:
    beds = {"beds": [Estimate(items=1)]}
    assert estimate(TexturesParams(input="beds", profile="bright"), beds).items is None
    told = TexturesParams(input="beds", profiles=["bright", "dark"], kinds=["pads", "hiss"], pads=2, hiss=3)
    assert estimate(told, beds).items == 10


def test_a_texture_is_described_with_how_it_was_made_and_where_it_came_from() -> None:
    facts = {
        "texture": "swell", "number": 2, "variant": "airy", "duration_s": 6.0, "loop": False, "how": "freeze",
        "source": "old.flac", "source_spans": [[1.0, 2.5], [3.0, 4.0], [5.0, 6.0]], "measures": {"rise": 0.99},
    }  # fmt: skip
    text = describe(ItemRecord(2, Path("x"), facts))
    assert text == "swell 2 (airy): 6 s, frozen from old.flac, 1.00-2.50 s, 3.00-4.00 s and 1 more"


def test_a_dry_run_names_every_row_with_its_folder_and_what_is_made(tmp_path: Path) -> None:
    rows = "".join(f"audio_{number:04d},set/t{number}.wav,60.00,44100,2,1.6\n" for number in range(4))
    (tmp_path / "rows.csv").write_text("id,rel_path,duration_sec,sample_rate,channels,file_size_mb\n" + rows)
    params = TexturesParams(sources="rows.csv", profiles=["bright"], start_index=2, count=1, swells=0)
    world = World(ROOT / "config", ROOT)
    assert list(plan(params, {"rows.csv": [tmp_path / "rows.csv"]}, world)) == [
        "2  set/t2.wav -> by_source/t2/bright: 3 pads, 6 clouds, 8 hiss, 4 flickers (bright)"
    ]
    params = TexturesParams(input="a.wav", kinds=["hiss"])
    assert list(plan(params, {"a.wav": [tmp_path / "a.wav"]}, world)) == ["0  a.wav -> by_source/a: 8 hiss (default)"]
    with pytest.raises(Invalid, match="no profile 'x'"):
        list(plan(TexturesParams(input="a.wav", profile="x"), {"a.wav": [tmp_path / "a.wav"]}, world))


@pytest.mark.parametrize("target", [HANDLER.plan, HANDLER.run, HANDLER.check, HANDLER.estimate, HANDLER.describe])
def test_what_the_handler_names_exists(target: str) -> None:
    assert callable(load(target))


def test_what_the_daemon_loads_stays_light() -> None:
    code = (
        "import sys, handlers.textures.params, handlers.textures.outlook, handlers.textures.sources, "
        "handlers.textures.names;"
        "heavy = {'numpy', 'scipy', 'librosa', 'soundfile'} & set(sys.modules); sys.exit(bool(heavy))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
