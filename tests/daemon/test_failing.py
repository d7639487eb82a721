"""What goes wrong with a job, with the real daemon: refused, failed, crashed, cancelled; and taken up again."""

from __future__ import annotations

from pathlib import Path

import pytest

from daemon.control import ControlError
from tests.conftest import House, eventually


def test_a_file_that_is_no_job_is_set_aside_with_its_reason(running: House) -> None:
    running.drop("wrong.yaml", "do: probe\nitms: 3\n")
    reason = running.inbox / "rejected" / "wrong.yaml.reason.txt"
    eventually(reason.exists, "the reason is written")
    assert "line 2" in reason.read_text() and "items" in reason.read_text()
    assert (running.inbox / "rejected" / "wrong.yaml").read_text() == "do: probe\nitms: 3\n"
    assert running.rows("SELECT count(*) FROM jobs")[0][0] == 0


def test_an_input_that_never_comes_fails_the_job_in_time(running: House) -> None:
    running.drop("wants.yaml", {"do": "probe", "input": ["./takes/kick.wav"], "input_timeout": "1s"})
    job = running.ended("wants", "failed")
    assert "waited too long" in job["reason"]
    assert "waited too long" in (Path(job["folder"]) / "reason.txt").read_text()


def test_an_invalid_request_is_not_tried_again(running: House) -> None:
    running.drop("bad.yaml", {"do": "probe", "items": 3, "end": "invalid"})
    job = running.ended("bad", "failed")
    assert "the request is wrong" in job["reason"]
    folder = Path(job["folder"])
    assert folder.parent == running.outbox / "failed"
    assert (folder / "bad_probe_1.txt").exists() and (folder / "bad_probe_2.txt").exists()
    assert "the request is wrong" in (folder / "reason.txt").read_text()
    assert [row["outcome"] for row in running.rows("SELECT outcome FROM attempts")] == ["failed"]


def test_an_error_that_may_pass_is_tried_again_and_finished_items_are_kept(house: House) -> None:
    house.configure(backoff=0.2)
    house.start()
    gate = house.home / "gate"
    house.drop(
        "busy.yaml",
        {
            "do": "probe",
            "items": 3,
            "end": "transient",
            "until": str(gate),
            "retries": 20,
            "stamp": str(house.home / "stamp"),
        },
    )
    eventually(lambda: len(house.rows("SELECT 1 FROM attempts")) >= 2, "it is tried again")
    gate.touch()
    job = house.ended("busy")
    made = house.rows(
        "SELECT item, count(*) AS times, min(attempt_id) AS attempt FROM artifacts WHERE job_id = ? GROUP BY item",
        job["id"],
    )
    assert [(row["item"], row["times"]) for row in made] == [(1, 1), (2, 1), (3, 1)]
    assert made[0]["attempt"] < made[2]["attempt"]


def test_a_bug_of_a_handler_leaves_its_traceback(running: House) -> None:
    running.drop("bug.yaml", {"do": "probe", "end": "bug"})
    running.ended("bug", "failed")
    (attempt,) = running.rows("SELECT * FROM attempts")
    assert attempt["meaning"] == "bug" and "ZeroDivisionError" in attempt["traceback"]


def test_a_job_that_kills_its_worker_is_quarantined_and_the_lane_goes_on(running: House) -> None:
    running.drop("poison.yaml", {"do": "probe", "end": "kill"})
    running.drop("good.yaml", {"do": "probe"})
    job = running.ended("poison", "failed")
    assert "quarantined" in job["reason"] and "SIGKILL" in job["reason"]
    assert [row["outcome"] for row in running.rows("SELECT outcome FROM attempts WHERE job_id = ?", job["id"])] == [
        "crashed"
    ] * 3
    running.ended("good")


@pytest.mark.parametrize("end", ["exit", "abort", "garbage"])
def test_a_worker_that_ends_badly_is_a_crash(house: House, end: str) -> None:
    house.start()
    house.drop("bad.yaml", {"do": "probe", "end": end, "until": str(house.home / "gate")})
    eventually(lambda: house.rows("SELECT 1 FROM attempts WHERE outcome = 'crashed'"), "it crashes")
    (house.home / "gate").touch()
    house.ended("bad")


def test_a_step_over_its_time_is_ended_and_the_reason_says_so(running: House) -> None:
    running.drop("slow.yaml", {"do": "probe", "end": "hang", "timeout": "1s"})
    job = running.ended("slow", "failed")
    assert "did not finish within 1 s" in job["reason"]


def test_a_worker_over_its_memory_is_replaced(house: House) -> None:
    house.configure(lanes={"cpu": {"memory": "150MiB"}}, retries=0)
    house.start()
    house.drop("large.yaml", {"do": "probe", "memory_mib": 300, "seconds": 30})
    job = house.ended("large", "failed")
    assert "over the lane's 150 MiB" in job["reason"]


def test_a_running_job_is_cancelled_when_asked(running: House) -> None:
    running.drop("long.yaml", {"do": "probe", "items": 100, "seconds": 0.2})
    job = eventually(lambda: (job := running.job("long")) and job["state"] == "running" and job, "it runs")
    eventually(lambda: running.rows("SELECT 1 FROM artifacts"), "the first item is finished")
    running.ask("cancel", job=job["id"])
    job = running.ended("long", "cancelled")
    assert (Path(job["folder"]) / "long_probe_1.txt").exists()
    assert running.rows("SELECT outcome FROM attempts")[0]["outcome"] == "cancelled"


def test_a_handler_that_does_not_listen_is_killed_after_the_grace(house: House) -> None:
    house.configure(cancel_grace=0.5)
    house.start()
    house.drop("deaf.yaml", {"do": "probe", "end": "hang"})
    eventually(lambda: (job := house.job("deaf")) and job["state"] == "running", "it runs")
    house.ask("cancel", job=house.job("deaf")["id"])
    house.ended("deaf", "cancelled")


def test_retry_takes_up_where_a_failed_job_was(running: House) -> None:
    gate = running.home / "gate"
    running.drop("once.yaml", {"do": "probe", "items": 3, "end": "invalid", "until": str(gate)})
    job = running.ended("once", "failed")
    gate.touch()
    running.ask("retry", job=job["id"])
    eventually(lambda: running.job("once")["state"] == "done", "the retry is done")
    job = running.job("once")
    attempts = running.rows("SELECT attempt_id FROM artifacts WHERE job_id = ? ORDER BY item", job["id"])
    assert attempts[0]["attempt_id"] < attempts[2]["attempt_id"]
    assert sorted(path.name for path in Path(job["folder"]).glob("*.txt")) == [f"once_probe_{n}.txt" for n in (1, 2, 3)]
    eventually(lambda: not (running.outbox / "failed" / job["id"]).exists(), "the failed try is gone")


def test_an_unknown_job_is_never_cancelled_or_retried(running: House) -> None:
    for what in ("cancel", "retry"):
        with pytest.raises(ControlError, match="no job 'nonsense'"):
            running.ask(what, job="nonsense")
