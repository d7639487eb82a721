"""`list`, `status`, `show`: what the ledger says, with no daemon running."""

from __future__ import annotations

import subprocess

import pytest

HEAVY = ("pydantic", "numpy", "jinja2", "apscheduler", "sqlite_utils", "rich", "structlog")


def test_list_without_a_ledger_says_what_to_try(call, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("DROPHAMMER_HOME", str(tmp_path))
    result = call("list")
    assert result.exit_code == 0 and "drophammer demo" in result.output


def test_list_shows_the_newest_first_and_obeys_limit_and_state(home, ask_json) -> None:
    first, second = home.job("one", "done", number=1), home.job("two", "failed", number=2, reason="boom")
    assert [job["id"] for job in ask_json("list")] == [second, first]
    assert [job["id"] for job in ask_json("list", "--limit", "1")] == [second]
    assert [job["id"] for job in ask_json("list", "--state", "done")] == [first]


def test_list_counts_a_submitted_file_as_pending(home, ask_json) -> None:
    (home.paths.inboxes[0] / "20261121-020315-set-0042.yaml").write_text("do: stems\n")
    (job,) = ask_json("list")
    assert (job["state"], job["name"], job["number"]) == ("pending", "set", 42)


def test_list_says_procedural_and_failures(home, call) -> None:
    home.job("set", procedural=1, failures=3)
    assert "PROCEDURAL; failures: 3" in call("list").stdout


def test_list_neutralises_escapes_and_newlines(home, call) -> None:
    home.job("set", "failed", reason="\x1b[2J\x1b]0;owned\x07\nnext\u202eline")
    output = call("list").stdout
    assert "\x1b" not in output and "\x07" not in output and "\u202e" not in output
    assert len(output.splitlines()) == 2


def test_list_refuses_an_unknown_state(home, call) -> None:
    result = call("list", "--state", "dnoe")
    assert result.exit_code == 2 and "dnoe" in result.stderr


@pytest.mark.parametrize("command", [["list"], ["status"], ["show", "latest"], ["logs"], ["wait", "latest"]])
def test_reading_commands_import_nothing_heavy(home, python, command) -> None:
    home.job("set")
    code = f"import sys\nsys.argv[1:] = {command!r}\nfrom daemon.cli.app import main\ntry: main()\nexcept SystemExit: pass\n"
    code += f"print([name for name in {HEAVY!r} if name in sys.modules])"
    result = subprocess.run([python, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert result.stdout.splitlines()[-1] == "[]", result.stderr


def test_job_is_found_by_id_prefix_number_name_and_latest(home, ask_json) -> None:
    old, new = home.job("set", number=7), home.job("set", number=8)
    for word, expected in ((old, old), (old[:15], old), ("7", old), ("0008", new), ("set", new), ("latest", new)):
        assert ask_json("show", word)["id"] == expected, word


def test_ambiguous_prefix_lists_the_candidates(home, call) -> None:
    jobs = [home.job("one", number=1), home.job("two", number=2)]
    result = call("show", "20261121")
    assert result.exit_code == 2 and all(job in result.stderr for job in jobs)


def test_unknown_job_names_the_nearest(home, call) -> None:
    home.job("kick-study")
    result = call("show", "kick-stuby")
    assert result.exit_code == 2 and "did you mean kick-study?" in result.stderr


def test_status_without_a_daemon_says_so_and_counts_jobs(home, ask_json, call) -> None:
    home.job("one", "queued", number=1)
    assert ask_json("status") == {"running": False, "daemon": None, "states": {"queued": 1}}
    assert "no daemon is running" in call("status").stdout


def test_status_estimates_from_earlier_runs_of_the_same_request(home, ask_json) -> None:
    params = {"style": "industrial/bed", "duration": 60}
    earlier = home.job("earlier", number=1)
    home.step(earlier, "beds", params=params, started_at="2026-11-21T02:00:00.000Z", finished_at="2026-11-21T02:00:30.000Z")
    queued = home.job("later", "queued", number=2)
    home.step(queued, "beds", "queued", params=params)
    facts = ask_json("status", queued)
    assert facts["remaining_s"] == pytest.approx(30.0, abs=0.01)
    assert facts["completion_at"] is None, "a queued job has others before it"


def test_status_counts_the_work_of_a_retried_run_and_not_the_days_between(home, ask_json) -> None:
    earlier = home.job("earlier", number=1)
    run = home.step(earlier, "beds", params={"count": 1}, started_at="2026-11-19T02:00:00.000Z")
    with home.ledger.transaction(durable=False):
        home.attempt(earlier, run, 1, started_at="2026-11-19T02:00:00.000Z", ended_at="2026-11-19T02:00:10.000Z", outcome="cancelled")
        home.attempt(earlier, run, 2, started_at="2026-11-21T02:00:00.000Z", ended_at="2026-11-21T02:00:20.000Z", outcome="done")
    queued = home.job("later", "queued", number=2)
    home.step(queued, "beds", "queued", params={"count": 1})
    assert ask_json("status", queued)["remaining_s"] == pytest.approx(30.0, abs=0.01)


def test_status_estimates_from_progress(home, ask_json) -> None:
    from datetime import UTC, datetime, timedelta

    started = (datetime.now(UTC) - timedelta(seconds=60)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    job = home.job("set", "running", started_at=started)
    home.step(job, "beds", "running", started_at=started, phase="working", done=2, total=4, unit="stems")
    facts = ask_json("status", job)
    assert 60 <= facts["remaining_s"] < 90
    assert facts["completion_at"] > started


def test_status_gives_no_estimate_without_evidence(home, ask_json) -> None:
    job = home.job("set", "running", started_at=home.moment())
    home.step(job, "beds", "running", started_at=home.moment())
    assert ask_json("status", job)["remaining_s"] is None


def test_show_gives_the_staged_path_of_a_running_jobs_finished_item(home, ask_json) -> None:
    job = home.job("set", "running", started_at=home.moment())
    staged = home.item(job, home.step(job, "beds", "running", started_at=home.moment()), 1, "set_beds_1.wav", duration_s=60.0)
    (file,) = ask_json("show", job)["files"]
    assert (file["path"], file["there"]) == (str(staged), True)


def test_show_gives_the_published_path_when_done(home, ask_json, call) -> None:
    folder = home.paths.outbox / "set"
    folder.mkdir()
    (folder / "set_beds_1.wav").write_bytes(b"RIFF")
    job = home.job("set", folder=str(folder))
    staged = home.item(job, home.step(job, "beds"), 1, "set_beds_1.wav", duration_s=60.0, tempo_bpm=128.0)
    staged.unlink()
    (file,) = ask_json("show", job)["files"]
    assert file["path"] == str(folder / "set_beds_1.wav")
    assert "60.0 s, 128.00 BPM" in call("show", job).stdout


def test_show_says_what_a_waiting_job_misses(home, call) -> None:
    home.job("set", "waiting", reason="./kick.wav is not in the inbox; did you mean ./kicks.wav?")
    assert "./kicks.wav" in call("show", "latest").stdout


def test_logs_filters_by_job_and_level(home, call) -> None:
    job = home.job("set")
    with home.ledger.transaction(durable=False):
        home.ledger.record([(home.moment(), "info", job, "started", "{}"), (home.moment(), "error", job, "broke", '{"at": 3}'),
                            (home.moment(), "error", None, "other", "{}")])  # fmt: skip
    lines = call("logs", job, "--level", "warning").stdout.splitlines()
    assert len(lines) == 1 and "broke  at=3" in lines[0]
    assert len(call("logs", "--limit", "2").stdout.splitlines()) == 2
