"""`wait`: the exit code is the promise. An unknown job never reads as done."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest


@pytest.mark.parametrize(("state", "code"), [("done", 0), ("failed", 1), ("cancelled", 1)])
def test_wait_ends_as_the_job_did(home, call, state, code) -> None:
    home.job("set", state)
    assert call("wait", "set").exit_code == code


def test_wait_for_an_unknown_job_is_2(home, call) -> None:
    home.job("set")
    assert call("wait", "sets-of-mine").exit_code == 2
    assert call("wait", "20261121-020315-nothing-0099").exit_code == 2


def test_wait_without_a_ledger_is_2(call, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DROPHAMMER_HOME", str(tmp_path))
    assert call("wait", "latest").exit_code == 2


def test_wait_gives_up_at_the_timeout_with_2(home, call) -> None:
    home.job("set", "running", started_at=home.moment())
    result = call("wait", "latest", "--timeout", "0.2")
    assert result.exit_code == 2 and "the time is up" in result.stderr


def test_wait_takes_a_file_in_the_inbox_for_pending(home, call) -> None:
    (home.paths.inboxes[0] / "20261121-020315-set-0042.yaml").write_text("do: stems\n")
    result = call("wait", "20261121-020315-set-0042", "--timeout", "0.2")
    assert result.exit_code == 2 and "pending" in result.stderr


def test_wait_for_a_refused_file_is_1_with_the_reason(home, call) -> None:
    path = home.paths.inboxes[0] / "20261121-020315-set-0042.yaml"
    with home.ledger.transaction(durable=False):
        home.ledger.insert("rejections", at=home.moment(), path=str(path), moved_to=str(path), reason="line 1: no such key")
    result = call("wait", path.stem)
    assert result.exit_code == 1 and "no such key" in result.stdout


def test_wait_follows_a_job_from_the_inbox_to_its_end(home) -> None:
    job_id = "20261121-020301-set-0001"
    path = home.paths.inboxes[0] / f"{job_id}.yaml"
    path.write_text("do: stems\n")
    command = [sys.executable, "-m", "daemon", "wait", job_id, "--json", "--timeout", "60"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stderr is not None and "pending" in waiting.stderr.readline(), "it has begun to wait"
        assert home.job("set", "queued") == job_id
        path.unlink()
        with home.ledger.transaction(durable=False):
            home.ledger.update("jobs", job_id, state="done", folder="/there", finished_at=home.moment())
        output, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    assert json.loads(output) == {"id": job_id, "state": "done", "reason": None, "failures": 0, "folder": "/there"}
