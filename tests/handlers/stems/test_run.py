"""The handler: what it checks, what it delivers, and that it can be stopped and taken up again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from pydantic import ValidationError

from handlers.audio import files
from handlers.contract import Cancelled, Invalid, ItemRecord, load
from handlers.stems.check import check, describe, estimate
from handlers.stems.params import HANDLER, StemsParams
from handlers.stems.run import run

ROOT = Path(__file__).parents[3]


def request(**changes: object) -> StemsParams:
    return StemsParams.model_validate({"style": "industrial/bed", "duration": 4, **changes})


def samples(context, item: int) -> np.ndarray:
    return files.read(context.delivered("primary", item=item).path)[0]


def test_each_stem_comes_with_its_grid_and_its_picture_first(stems_context):
    context = stems_context(seed=7, step="beds")
    run(request(count=2), context)
    one = [("sidecar", "grid"), ("sidecar", "picture"), ("sidecar", "midi"), ("sidecar", "log"), ("primary", "")]
    assert [(made.kind, made.label) for made in context.emitted] == [*one, *one]
    assert [made.item for made in context.emitted] == [1] * 5 + [2] * 5
    facts = context.delivered("primary", item=1).facts
    info = files.read(context.delivered("primary", item=1).path)
    assert info[0].shape == (2, 4 * 44_100)
    assert (facts["duration_s"], facts["sample_rate"], facts["channels"]) == (4.0, 44_100, 2)
    assert (facts["model"], facts["style"], facts["seed"]) == ("procedural", "industrial/bed", 7)
    assert "no licence attached" in facts["licence"]
    assert facts["prompt"].startswith("Industrial house")
    grid = json.loads(context.delivered("sidecar", item=1, label="grid").path.read_text())
    assert grid["version"] == 1
    assert (grid["tempo_bpm"], grid["key"]) == (facts["tempo_bpm"], facts["key"])
    assert [(entry["start_s"], entry["end_s"], entry["label"]) for entry in grid["sections"]] == [
        tuple(entry.values()) for entry in facts["sections"]
    ]
    assert context.delivered("sidecar", item=1, label="picture").path.read_bytes().startswith(b"\x89PNG")
    assert context.progressed[-1][:3] == ("working", 2, 2)
    done = [entry[1] for entry in context.progressed]
    assert done == sorted(done)


def test_the_file_is_24_bit_and_says_what_made_it(stems_context):
    import soundfile

    context = stems_context(seed=7)
    run(request(), context)
    with soundfile.SoundFile(context.delivered().path) as wav:
        assert (wav.subtype, wav.samplerate, wav.channels) == ("PCM_24", 44_100, 2)
        made = json.loads(wav.comment)["drophammer"]
    assert (made["style"], made["seed"], made["model"], made["item"]) == ("industrial/bed", 7, "procedural", 1)
    assert made["prompt"].startswith("Industrial house")


def test_a_stem_is_the_same_in_any_count_and_after_a_restart(stems_context):
    three, two = stems_context(seed=7), stems_context(seed=7)
    run(request(count=3), three)
    run(request(count=2), two)
    done = {item: ItemRecord(item, three.delivered(item=item).path) for item in (1, 2)}
    resumed = stems_context(seed=7, completed=done)
    run(request(count=3), resumed)
    assert {one.item for one in resumed.emitted} == {3}
    assert np.array_equal(samples(three, 2), samples(two, 2))
    assert np.array_equal(samples(three, 3), samples(resumed, 3))
    assert not np.array_equal(samples(three, 1), samples(three, 2))


def test_a_given_tempo_and_key_are_used(stems_context):
    context = stems_context()
    run(request(tempo=95, key="f# minor"), context)
    facts = context.delivered().facts
    assert (facts["tempo_bpm"], facts["key"]) == (95.0, "F# minor")


def test_cancelling_stops_within_a_stem_and_delivers_none_of_it(stems_context):
    context = stems_context(cancel_at=6)
    with pytest.raises(Cancelled):
        run(request(count=2), context)
    assert context.emitted == []


def test_a_stem_looks_for_cancellation_many_times(stems_context):
    context = stems_context()
    run(request(), context)
    assert context.cancel_checks >= 12


def test_a_prompt_is_recorded(stems_context):
    context = stems_context()
    run(request(prompt="wet concrete"), context)
    assert context.delivered().facts["prompt"] == "wet concrete"


def test_a_sound_request_has_no_findings(world):
    assert list(check(request(), world)) == []


@pytest.mark.parametrize(
    ("changes", "kind", "key", "said"),
    [
        ({"style": "industrial/bedd"}, "error", "style", "did you mean 'industrial/bed'?"),
        ({"style": "polka/bed"}, "error", "style", "there are: ambient/bed"),
        ({"model": "musicgen-smal"}, "error", "model", "did you mean 'musicgen-small'?"),
        ({"model": "musicgen-medium"}, "missing", "model", "fallback: procedural"),
    ],
)
def test_what_cannot_be_done_is_found_before_it_runs(world, changes, kind, key, said):
    (finding,) = check(request(**changes), world)
    assert (finding.kind, finding.key) == (kind, key)
    assert said in finding.message


def test_another_model_is_never_replaced_in_silence(stems_context):
    context = stems_context()
    with pytest.raises(Invalid, match="musicgen-small"):
        run(request(model="musicgen-small"), context)
    assert context.emitted == []


@pytest.mark.parametrize(
    "changes",
    [
        {"duration": 0.5}, {"duration": 601}, {"duration": "five"}, {"count": 0}, {"count": 65}, {"count": 2.5},
        {"tempo": 39}, {"tempo": 241}, {"tempo": [130, 120]}, {"key": "H minor"},
        {"style": "industrial"}, {"style": "../x/y"}, {"lenght": 3},
        {"duration": float("nan")},
    ],
)  # fmt: skip
def test_values_out_of_range_are_refused(changes):
    with pytest.raises(ValidationError):
        request(**changes)


def test_the_estimate_is_what_is_written(stems_context):
    params = request(count=2, duration="1.5s")
    context = stems_context()
    run(params, context)
    expected = estimate(params, {})
    written = [one.path.stat().st_size for one in context.emitted if one.kind == "primary"]
    assert (expected.items, expected.duration_s) == (2, 1.5)
    assert expected.size_bytes <= sum(written) <= expected.size_bytes + 2 * 2048, "tags take less than 2 KiB a file"


def test_a_stem_is_described_in_words(stems_context):
    context = stems_context(seed=3)
    run(request(), context)
    primary = context.delivered()
    text = describe(ItemRecord(1, primary.path, primary.facts))
    assert "industrial/bed" in text
    assert "LUFS" in text


def test_the_light_modules_import_no_audio_library():
    program = (
        "import sys; from handlers.contract import load; from handlers.stems.params import HANDLER;"
        "[load(name) for name in (HANDLER.check, HANDLER.estimate, HANDLER.describe)];"
        "print([name for name in ('numpy', 'scipy', 'soundfile', 'librosa') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"


def test_the_handler_names_what_exists():
    assert load(HANDLER.run) is run
    assert HANDLER.lane == "gpu"


def test_the_example_job_is_a_valid_request(world):
    text = (ROOT / "config" / "jobs" / "stems.yaml").read_text(encoding="utf-8")
    assert text.startswith("# yaml-language-server: $schema=../schema.json\n")
    job = yaml.safe_load(text)
    assert job.pop("do") == "stems"
    job.pop("seed")
    assert list(check(StemsParams.model_validate(job), world)) == []


@pytest.mark.parametrize("style", ["ambient/bed", "techno/transition"])
def test_a_loop_is_whole_bars_that_lead_into_themselves(stems_context, style):
    context = stems_context(seed=3)
    run(request(style=style, duration=4, loop=True, layers=True, sample_rate=48_000), context)
    facts, grid = context.delivered().facts, json.loads(context.delivered("sidecar", label="grid").path.read_text())
    assert facts["bars"] >= 1 and facts["gate"]["failed"] == []
    assert facts["duration_s"] == pytest.approx(facts["bars"] * 240 / facts["tempo_bpm"], abs=2 / 48_000)
    assert (len(grid["downbeats_s"]), grid["beats_s"][-1] < facts["duration_s"]) == (facts["bars"], True)
    loop = samples(context, 1)
    layers = [
        files.read(context.delivered("part", label=name).path)[0] for name in ("drums", "bass", "harmony", "noise")
    ]
    assert 20 * np.log10(np.abs(np.sum(layers, axis=0) - loop).max()) < -90
    # The step over the seam is like others: what rings on at the end goes on at the start.
    steps = np.abs(np.diff(np.concatenate([loop, loop[:, :1]], axis=1)))
    assert (steps[:, -1] <= np.percentile(steps, 99.9, axis=1)).all()


def test_bars_are_whole_where_they_are_asked_for(stems_context):
    context = stems_context()
    run(request(duration=5, snap="bars", tempo=100), context)
    facts = context.delivered().facts
    assert (facts["bars"], facts["duration_s"]) == (2, 4.8)
