"""What `reason.txt` promises: what went wrong, which value, what to do, and what was saved."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from daemon.pages import write

Made = tuple[Path, dict[str, Any]]


def test_finished_job_has_no_reason(demo: Made) -> None:
    folder, manifest = demo
    assert {path.name for path in write(folder, manifest)} == {"report.md", "index.html"}
    assert not (folder / "reason.txt").exists()


def test_failed_job_says_what_failed_with_which_message_and_what_was_finished(failed: Made) -> None:
    folder, manifest = failed
    assert folder / "reason.txt" in write(folder, manifest)
    text = (folder / "reason.txt").read_text(encoding="utf-8")
    assert "step mix: no space left: 12 MiB free in /outbox" in text
    assert "Step mix, run 1, attempt 3: failed (transient)" in text
    assert "./drophammer retry 20261121-020315-industrial-set-0042" in text
    assert "beds/1: industrial-set_beds_1.wav" in text
    assert "failures: 1" in text


@pytest.mark.parametrize(
    ("outcome", "meaning", "words"),
    [
        ("failed", "invalid", "Correct outbox/failed/20261121-020315-industrial-set-0042/job.yaml"),
        ("failed", "out_of_memory", "Memory ran out"),
        ("failed", "timeout", "`timeout:`"),
        ("failed", "bug", "./drophammer logs 20261121-020315-industrial-set-0042"),
        ("crashed", None, "The process that did the work died"),
        ("failed", "something new", "log.jsonl"),
    ],
)
def test_advice_fits_what_the_error_means(failed: Made, outcome: str, meaning: str | None, words: str) -> None:
    folder, manifest = failed
    manifest["steps"][1]["attempts"][-1] |= {"outcome": outcome, "meaning": meaning}
    write(folder, manifest)
    assert words in (folder / "reason.txt").read_text(encoding="utf-8")


def test_dropped_audio_that_cannot_be_read_is_to_be_replaced_not_its_job_file(failed: Made, changed: Callable[..., dict[str, Any]]) -> None:
    folder, manifest = failed
    manifest["steps"][1]["attempts"][-1] |= {"outcome": "failed", "meaning": "invalid"}
    write(folder, changed(manifest, origin="audio"))
    text = (folder / "reason.txt").read_text(encoding="utf-8")
    assert "Put another recording in its place" in text and "Correct" not in text


def test_message_that_is_the_reason_stands_once(failed: Made, changed: Callable[..., dict[str, Any]]) -> None:
    folder, manifest = failed
    message = "kick.wav: cannot be read as audio"
    manifest["steps"][1]["attempts"][-1]["message"] = message
    write(folder, changed(manifest, reason=f"step mix: {message}"))
    assert (folder / "reason.txt").read_text(encoding="utf-8").count(message) == 1


def test_cancelled_job_says_how_to_go_on(failed: Made, changed: Callable[..., dict[str, Any]]) -> None:
    folder, manifest = failed
    write(folder, changed(manifest, state="cancelled", reason="cancelled"))
    text = (folder / "reason.txt").read_text(encoding="utf-8")
    assert "A person asked for this" in text and "./drophammer retry" in text


def test_job_that_never_began_has_a_reason(failed: Made, changed: Callable[..., dict[str, Any]]) -> None:
    folder, manifest = failed
    manifest["steps"] = []
    write(folder, changed(manifest, reason="kick.wav is not here; waited 24 h", started_at=None))
    text = (folder / "reason.txt").read_text(encoding="utf-8")
    assert "kick.wav is not here; waited 24 h" in text and "Nothing was finished" in text
    assert "It never began" in text and "./drophammer retry 20261121-020315-industrial-set-0042" in text
