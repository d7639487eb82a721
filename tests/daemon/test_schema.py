"""The JSON Schema of job files, against the jobs that ship and the reader itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from daemon import settings
from daemon.documents import DocumentError, read, unused
from daemon.documents.grammar import JOB_KEYS, STEP_KEYS
from daemon.schema import job_schema, render, shipped
from tests.daemon.documents.orchestra import ORCHESTRA

CHECKOUT = Path(__file__).resolve().parents[2]
JOBS = sorted((CHECKOUT / "config" / "jobs").glob("*.yaml"))
MODELINE = "# yaml-language-server: $schema=../schema.json"

validator = jsonschema.Draft202012Validator(job_schema(ORCHESTRA))


def test_the_file_is_what_the_code_says() -> None:
    assert (CHECKOUT / "config" / "schema.json").read_text(encoding="utf-8") == render(shipped()), (
        "run: python -m daemon.schema > config/schema.json"
    )


def test_every_shipped_handler_is_in_it() -> None:
    assert shipped().problems == ()
    definitions = job_schema(shipped())["$defs"]
    assert {f"job-{name}" for name in ("stems", "beats", "textures", "mix", "discover", "select", "report")} <= set(definitions)


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(job_schema(shipped()))


@pytest.mark.parametrize("file", JOBS, ids=lambda file: file.name)
def test_a_shipped_job_passes_schema_and_reader_and_wastes_nothing(file: Path) -> None:
    text = file.read_bytes()
    assert text.decode().startswith(MODELINE)
    jsonschema.Draft202012Validator(job_schema(shipped())).validate(yaml.safe_load(text))
    job = read(text, shipped(), settings.load(CHECKOUT), default_name=file.stem)
    assert unused(job, shipped()) == []


def test_the_demo_and_the_industrial_set_are_there() -> None:
    assert {"demo.yaml", "industrial-set.yaml"} <= {file.name for file in JOBS}


def test_the_industrial_set_lets_nothing_else_play() -> None:
    job = read(
        (CHECKOUT / "config/jobs/industrial-set.yaml").read_bytes(),
        shipped(),
        settings.load(CHECKOUT),
        default_name="x",
    )
    assert [step.params["model"] for step in job.steps if step.handler == "stems"] == [
        "musicgen-small",
        "musicgen-medium",
    ]
    assert not any(step.fallback for step in job.steps)


@pytest.mark.parametrize(
    "job",
    [
        {"do": "tone", "style": "a/b", "seed": 3, "timeout": "90s"},
        {"do": "tone", "style": "a/b", "duration": "2m"},
        {"do": "blend", "order": ["./x.wav"], "formats": ["flac", {"mp3": {"kbps": 192}}], "join": {"kind": "fade"}},
        {
            "name": "x",
            "retries": 1,
            "steps": {"a": {"do": "tone", "style": "a/b", "retries": 2}, "b": {"do": "look", "input": "a"}},
        },
        {
            "do": "look",
            "from": "x",
            "input": "each",
            "for_each": {"in": "from/a"},
            "min_success": 2,
            "deliver": {"to": "daw", "as": "x"},
        },
    ],
)
def test_what_the_reader_takes_the_schema_takes(job: dict[str, Any], tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "drophammer.yaml").write_text("deliver: {daw: x}")
    validator.validate(job)
    read(json.dumps(job).encode(), ORCHESTRA, settings.load(tmp_path), default_name="x")


@pytest.mark.parametrize(
    "job",
    [
        {},
        [],
        {"do": "tone"},
        {"do": "tune", "style": "a/b"},
        {"do": "tone", "style": "a/b", "styl": 1},
        {"do": "tone", "style": "a/b", "duration": 0},
        {"do": "tone", "style": "a/b", "duration": 601},
        {"do": "tone", "style": "a/b", "timeout": 0},
        {"do": "tone", "style": "a/b", "priority": 11},
        {"do": "tone", "style": "a/b", "fallback": "silence"},
        {"do": "blend", "order": []},
        {"do": "blend", "order": ["./x.wav"], "join": {"kind": "fad"}},
        {"do": "blend", "order": ["./x.wav"], "formats": [{"mp3": {"kbps": 8}}]},
        {"steps": {}},
        {"steps": {"each": {"do": "look", "input": "./x"}}},
        {"steps": {"A": {"do": "look", "input": "./x"}}},
        {"steps": {"a": {"do": "look", "input": "./x", "seed": 1}}},
        {"count": 3, "steps": {"a": {"do": "look", "input": "./x"}}},
        {"do": "look", "input": "./x", "steps": {"a": {"do": "look", "input": "./x"}}},
    ],
)
def test_what_the_schema_refuses_the_reader_refuses(job: object) -> None:
    assert not validator.is_valid(job)
    with pytest.raises(DocumentError):
        read(json.dumps(job).encode(), ORCHESTRA, settings.load(CHECKOUT), default_name="x")


def test_editors_are_told_what_each_key_means() -> None:
    definitions = job_schema(shipped())["$defs"]
    for name, definition in definitions.items():
        if name.startswith(("job-", "step-")) and "do" in definition.get("properties", {}):
            for key, schema in definition["properties"].items():
                assert schema.get("description"), f"{name}.{key} has no docstring"


def test_no_shipped_handler_uses_a_key_that_belongs_to_every_job() -> None:
    for handler in shipped().values():
        assert not {"do", *JOB_KEYS, *STEP_KEYS} & set(handler.params.model_fields), handler.name
