"""All four shipped handlers, through the real daemon: what a person drops and what a person finds."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
import soundfile

from tests.conftest import House, eventually
from tests.fixtures.sound import noise

SET = """
name: small-set
seed: 7
steps:
  beds: {do: stems, model: procedural, style: industrial/bed, duration: 8, count: 2}
  mix: {do: mix, order: [beds/1, beds/2], transition: {kind: crossfade, duration: 2}, formats: [flac, ogg]}
  grid: {do: beats, input: mix}
"""


@pytest.fixture
def recording(tmp_path: Path) -> bytes:
    """Twelve seconds of steady noise, as a WAV file's bytes."""
    path = tmp_path / "hiss.wav"
    soundfile.write(path, noise(12).T, 44_100, subtype="PCM_16")
    return path.read_bytes()


def test_a_dropped_job_becomes_stems_a_mix_and_a_grid_published_whole(running: House) -> None:
    running.drop("small-set.yaml", SET)
    job = running.ended("small-set", patience_s=240)
    folder = Path(job["folder"])
    for name in ("beds_1.wav", "beds_1_grid.json", "beds_1_picture.png", "beds_2.wav", "mix_1.flac", "mix_1.ogg", "grid_1.json"):
        assert (folder / f"small-set_{name}").stat().st_size > 0, name
    assert soundfile.info(folder / "small-set_mix_1.flac").frames == (8 + 8 - 2) * 44_100
    steps = {step["name"]: step for step in running.manifest(job)["steps"]}
    stem = steps["beds"]["items"][0]["facts"]
    assert stem["model"] == "procedural" and stem["seed"] == 7 and stem["licence"]
    grid = json.loads((folder / "small-set_grid_1.json").read_text())
    assert {"tempo", "beats", "onsets"} <= set(grid)
    page = (folder / "index.html").read_text()
    assert "small-set_mix_1.flac" in page and "http://" not in page and "https://" not in page


def test_with_no_cpu_workers_all_four_kinds_run_one_at_a_time(house: House, recording: bytes) -> None:
    house.configure(lanes={"cpu": {"workers": 0}})
    house.start()
    house.drop("take.wav", recording)
    house.drop("textures/take-2.wav", recording + b"\0")
    house.drop("bed.yaml", {"do": "stems", "style": "techno/bed", "duration": 6})
    house.drop("mixed.yaml", {"do": "mix", "order": ["./textures/take-2.wav", "./take.wav"], "formats": ["flac"]})

    def handlers() -> set[str]:
        return {row["handler"] for row in house.rows("SELECT handler FROM lane_use WHERE outcome = 'done'")}

    eventually(lambda: handlers() == {"stems", "beats", "textures", "mix"}, "all four kinds are done", 240)
    eventually(lambda: not house.rows("SELECT 1 FROM jobs WHERE state NOT IN ('done', 'failed')"), "nothing is left")
    spans = [tuple(row) for row in house.rows("SELECT started_at, ended_at FROM lane_use ORDER BY started_at")]
    assert len(spans) >= 4 and all(ended <= begun for (_, ended), (begun, _) in zip(spans, spans[1:], strict=False))
    assert {row["lane"] for row in house.rows("SELECT lane FROM attempts")} == {"gpu"}


def test_what_was_published_here_and_is_dropped_back_starts_nothing(running: House) -> None:
    running.drop("bed.yaml", {"do": "stems", "style": "techno/bed", "duration": 4})
    job = running.ended("bed", patience_s=240)
    running.drop("bed-again.wav", (Path(job["folder"]) / "bed_stems_1.wav").read_bytes())
    row = eventually(lambda: running.rows("SELECT * FROM drops WHERE sha256 IS NOT NULL"), "it is looked at")[0]
    assert row["job_id"] is None and job["id"] in row["note"]


def test_the_same_recording_is_analysed_once(running: House, recording: bytes) -> None:
    running.drop("take.wav", recording)
    job = running.ended("take", patience_s=240)
    assert job["origin"] == "audio" and (running.inbox / "take.wav").read_bytes() == recording
    running.drop("same-take.wav", recording)
    row = eventually(lambda: running.rows("SELECT * FROM drops WHERE path LIKE '%same-take.wav' AND note IS NOT NULL"), "it is seen")[0]
    assert job["id"] in row["note"]


def test_a_model_that_is_not_here_makes_the_job_wait_and_a_fallback_says_procedural(running: House) -> None:
    step = {"do": "stems", "model": "musicgen-small", "style": "industrial/bed", "duration": 4}
    running.drop("neural.yaml", {**step, "input_timeout": "1s"})
    job = eventually(lambda: (job := running.job("neural")) and job["reason"] and job, "it waits")
    assert job["state"] == "waiting" and "musicgen-small" in job["reason"]
    running.drop("fallen.yaml", {**step, "fallback": "procedural"})
    job = running.ended("fallen", patience_s=240)
    assert job["procedural"] == 1
    assert "PROCEDURAL" in (Path(job["folder"]) / "report.md").read_text()
    assert "PROCEDURAL" in (Path(job["folder"]) / "index.html").read_text()
    time.sleep(2)  # Past its input_timeout, which is for files: a model may take its time.
    assert running.job("neural")["state"] == "waiting"


def test_an_inbox_that_is_a_link_is_an_inbox(house: House, recording: bytes) -> None:
    house.inbox.rename(house.home / "elsewhere")
    house.inbox.symlink_to(house.home / "elsewhere")
    house.start()
    house.drop("take.wav", recording)
    house.ended("take", patience_s=240)
    house.drop("one.yaml", {"do": "probe", "input": ["./take.wav"]})
    house.ended("one")
