"""One run of one handler: what it may deliver, and what of its mistakes reaches the daemon (nothing)."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.execution import Execution, Request
from handlers.contract import Invalid


class Stage:
    """A run with a folder of its own; `said` is what would travel to the daemon."""

    def __init__(self, folder: Path, **request: Any) -> None:
        self.said: list[dict[str, Any]] = []
        facts = {
            "handler": "probe", "params": "{}", "inputs": {}, "completed": [], "workdir": str(folder / "work"), "seed": 7,
            "job_id": "j", "job_name": "j", "step": "s", "config_dir": str(folder), "cache_dir": str(folder / "cache"),
        }  # fmt: skip
        self.run = Execution(Request(**{**facts, **request}), self.said.append, {}, lambda: False)

    def file(self, name: str = "1.wav") -> Path:
        path = self.run.workdir / name
        path.write_bytes(b"sound")
        return path


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    return Stage(tmp_path)


def test_what_is_emitted_is_said_with_its_size_and_hash(stage: Stage) -> None:
    stage.run.emit(1, stage.file(), tempo_bpm=128.0)
    (said,) = stage.said
    assert (said["item"], said["kind"], said["file"], said["size_bytes"]) == (1, "primary", "1.wav", 5)
    assert said["facts"] == {"tempo_bpm": 128.0} and len(said["sha256"]) == 64


@pytest.mark.parametrize("label", ["a/b", "..", "../x", "A", "1", "under_score", "", "x" * 41, "l\n"])
def test_a_label_that_could_leave_the_folder_or_repeat_a_name_is_refused(stage: Stage, label: str) -> None:
    with pytest.raises(ValueError, match="label"):
        stage.run.emit(1, stage.file(), "sidecar", label=label)
    assert stage.said == []


def test_an_unknown_kind_is_refused_here_and_not_by_the_ledger(stage: Stage) -> None:
    with pytest.raises(ValueError, match="kind 'preview' is none of primary"):
        stage.run.emit(1, stage.file(), "preview", label="x")  # type: ignore[arg-type]


@pytest.mark.parametrize("item", [0, -1, 10**20])
def test_an_item_that_no_table_can_hold_is_refused(stage: Stage, item: int) -> None:
    with pytest.raises(ValueError, match=f"item {item}"):
        stage.run.emit(item, stage.file())


@pytest.mark.parametrize("name", ["1.w v", "1.\udcff", "a\n.wav", "1.averylongsuffix"])
def test_a_file_name_that_cannot_be_published_is_refused(stage: Stage, name: str) -> None:
    with pytest.raises(ValueError, match="no name for a file"):
        stage.run.emit(1, stage.file(name))


def test_one_file_is_delivered_once(stage: Stage) -> None:
    path = stage.file()
    stage.run.emit(1, path)
    with pytest.raises(ValueError, match="each once"):
        stage.run.emit(2, path)


@pytest.mark.parametrize("value", [float("nan"), float("-inf"), object(), b"bytes", {1j}])
def test_a_fact_that_is_no_json_is_named(stage: Stage, value: object) -> None:
    with pytest.raises(ValueError, match="fact integrated_lufs="):
        stage.run.emit(1, stage.file(), integrated_lufs=value)
    stage.run.emit(1, stage.run.workdir / "1.wav")  # Nothing was delivered by the try.


def test_facts_that_would_not_fit_into_a_line_are_refused_with_advice(stage: Stage) -> None:
    with pytest.raises(ValueError, match="put them into a sidecar"):
        stage.run.emit(1, stage.file(), beats=list(range(200_000)))


def test_a_finished_item_is_never_emitted_again(tmp_path: Path) -> None:
    stage = Stage(tmp_path, completed=[{"item": 1, "path": "/x/1.wav", "facts": {}}])
    with pytest.raises(ValueError, match="emitted before"):
        stage.run.emit(1, stage.file())


class Scalar:
    """A number of a library's own type, as numpy's are: no JSON knows it."""

    def __float__(self) -> float:
        return 3.0


def test_progress_reaches_the_daemon_as_plain_numbers(stage: Stage) -> None:
    stage.run.progress("working", Scalar(), Scalar(), "bars")  # type: ignore[arg-type]
    assert stage.said == [{"say": "progress", "phase": "working", "done": 3.0, "total": 3.0, "unit": "bars"}]


def test_progress_that_is_no_number_is_the_handlers_bug(stage: Stage) -> None:
    for done, total in ((float("nan"), 1.0), (1.0, float("inf"))):
        with pytest.raises(ValueError, match="finite"):
            stage.run.progress("working", done, total)
    assert stage.said == []


def test_a_log_line_may_hold_anything(stage: Stage) -> None:
    stage.run.log("silence", lufs=float("-inf"), path=Path("/x"), peak=float("nan"))
    json.dumps(stage.said, allow_nan=False)
    assert stage.said[0]["facts"] == {"lufs": "-Infinity", "path": "/x", "peak": "NaN"}


def test_an_input_that_changes_while_it_is_read_fails_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.probes import HANDLER

    source = tmp_path / "in.wav"
    source.write_bytes(b"before")
    stage = Stage(tmp_path, inputs={"in": [{"path": str(source), "label": "in", "sha256": None}]})
    change: Callable[..., int] = lambda params, context: source.write_bytes(b"after")  # noqa: E731
    monkeypatch.setattr("tests.probes.run", change)
    with pytest.raises(Invalid, match="was changed while this step read it"):
        stage.run.run(HANDLER)


def test_a_run_knows_where_its_items_will_lie(tmp_path: Path) -> None:
    one = Stage(tmp_path / "1", publishes={"folder": "/out/j", "step": "seed-7/s", "run": 3, "runs": 12})
    assert one.run.published_path(1, ".flac") == Path("/out/j/seed-7/j_s_003-1.flac")
    assert Stage(tmp_path / "2", publishes={"folder": "/out/j"}).run.published_path(2, ".wav") == Path("/out/j/j_s_2.wav")


def test_an_input_that_is_not_listened_to_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    from tests.probes import HANDLER

    source, heard = tmp_path / "in.wav", []
    source.write_bytes(b"sound")
    entry = {"path": str(source), "label": "in", "sha256": "0" * 64}
    monkeypatch.setattr("tests.probes.run", lambda params, context: heard.extend(context.inputs["in"]))
    outcome = Stage(tmp_path, inputs={"in": [entry]}).run.run(replace(HANDLER, listens=False))
    assert heard[0].sha256 == outcome.inputs[0]["sha256"] == "0" * 64, "as recorded; whoever reads it would be refused"
    with pytest.raises(Invalid, match="is not the file its job made"):
        Stage(tmp_path / "2", inputs={"in": [entry]}).run.run(HANDLER)
