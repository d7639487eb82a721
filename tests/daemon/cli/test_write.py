"""`submit`, `check`, `new`, `cancel`: what can be done with the daemon down, and what is said when it is needed."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from daemon import documents
from daemon.cli import submission
from daemon.cli.failure import CommandError
from daemon.cli.new import CROSSFADE_S, TRANSITION_S, plan_set, read_families, understand, write_job
from daemon.jobs import ID_PATTERN
from daemon.settings import CHECKOUT, load
from handlers.registry import load_registry

GOOD = "do: stems\nstyle: industrial/bed\nduration: 2\n"


@pytest.fixture(autouse=True)
def _configuration(home) -> None:
    shutil.copytree(CHECKOUT / "config", home.paths.config, dirs_exist_ok=True, ignore=shutil.ignore_patterns("drophammer.yaml"))


def test_submit_drops_the_file_whole_under_the_id_it_prints(home, call, tmp_path) -> None:
    (tmp_path / "Kick Study.yaml").write_text(GOOD)
    result = call("submit", str(tmp_path / "Kick Study.yaml"))
    job_id = result.stdout.strip()
    assert ID_PATTERN.fullmatch(job_id) and job_id.endswith("-kick-study-0001")
    assert "no daemon is running" in result.stderr
    assert os.listdir(home.paths.inboxes[0]) == [f"{job_id}.yaml"]
    assert (home.paths.inboxes[0] / f"{job_id}.yaml").read_text() == GOOD


def test_submit_reads_stdin(home, call) -> None:
    assert call("submit", "-", stdin=GOOD).exit_code == 0
    assert len(os.listdir(home.paths.inboxes[0])) == 1


def test_submit_refuses_all_when_one_is_broken_and_lists_every_problem(home, call, tmp_path) -> None:
    (tmp_path / "good.yaml").write_text(GOOD)
    (tmp_path / "bad.yaml").write_text("do: stems\nstyel: industrial/bed\ncuont: 3\n")
    result = call("submit", str(tmp_path / "good.yaml"), str(tmp_path / "bad.yaml"))
    assert result.exit_code == 1
    assert "styel" in result.stderr and "cuont" in result.stderr and "bad.yaml" in result.stderr
    assert os.listdir(home.paths.inboxes[0]) == []


def test_submit_numbers_go_on_after_the_ledger_and_the_inbox(home) -> None:
    home.job("old", number=41)
    first = submission.drop(home.paths, b"x", "set")
    second = submission.drop(home.paths, b"x", "set")
    assert (first[-4:], second[-4:]) == ("0042", "0043")


def test_submit_never_writes_over_a_file_of_the_same_id(home, monkeypatch) -> None:
    from datetime import UTC, datetime

    now = datetime(2026, 11, 21, 2, 3, 15, tzinfo=UTC)
    taken = home.paths.inboxes[0] / "20261121-020315-set-0001.yaml"
    taken.write_text("mine")
    # As if the other submission had come between the look at the inbox and the drop.
    monkeypatch.setattr(submission, "next_number", lambda paths: 1)
    assert submission.drop(home.paths, b"x", "set", now).endswith("-0002")
    assert taken.read_text() == "mine"


def test_submit_dry_run_drops_nothing(home, call) -> None:
    assert call("submit", "--dry-run", "-", stdin=GOOD).exit_code == 0
    assert os.listdir(home.paths.inboxes[0]) == []


def test_check_gives_lengths_and_no_time_without_evidence(call) -> None:
    (report,) = json.loads(call("check", str(CHECKOUT / "config/jobs/demo.yaml"), "--json").stdout)
    beds = report["steps"][0]
    assert (beds["items"], beds["duration_s"], beds["took_s"]) == (5, 60.0, None)
    assert "no runs yet on this machine" in call("check", str(CHECKOUT / "config/jobs/demo.yaml")).stdout


def test_check_estimates_time_from_this_machines_median(home, call) -> None:
    for number, took in enumerate((10, 20, 90), 1):
        job = home.job("old", number=number)
        run = home.step(job, "beds", params={"model": "procedural"}, started_at="2026-11-21T02:00:00.000Z", finished_at=f"2026-11-21T02:{took // 60:02d}:{took % 60:02d}.000Z")
        home.item(job, run, 1, f"a{number}.wav", duration_s=10.0)
    (report,) = json.loads(call("check", "-", "--json", stdin=GOOD).stdout)
    assert report["took_s"] == pytest.approx(4.0, abs=0.01), "median 2 s of work per second, 2 s of audio"


def test_check_warns_of_results_nobody_uses(call) -> None:
    job = "steps:\n  beds: {do: stems, style: industrial/bed, count: 3}\n  mix: {do: mix, order: [beds/1, beds/3]}\n"
    assert "no step uses beds/2" in call("check", "-", stdin=job).stdout


def test_check_reports_missing_inputs_with_the_nearest_name_and_models(home, call) -> None:
    (home.paths.inboxes[0] / "kicks.wav").write_bytes(b"RIFF")
    output = call("check", "-", stdin="do: beats\ninput: ./kick.wav\n").stdout
    assert "./kick.wav is not here" in output and "kicks.wav" in output
    assert "musicgen-small" in call("check", "-", stdin=GOOD + "model: musicgen-small\n").stdout


def test_check_ends_with_1_and_line_numbers_when_there_are_problems(call) -> None:
    result = call("check", "-", stdin="do: stems\nstyle: industrial/bed\nduraton: 3\n")
    assert result.exit_code == 1 and "line 3" in result.stdout and "duration" in result.stdout


def test_cancel_withdraws_a_job_that_was_not_taken(home, call) -> None:
    job_id = submission.drop(home.paths, GOOD.encode(), "set")
    assert "withdrawn" in call("cancel", job_id).stdout
    assert os.listdir(home.paths.inboxes[0]) == []


@pytest.mark.parametrize("command", [["cancel", "latest"], ["retry", "latest"], ["pause"], ["resume", "gpu"], ["reload"]])
def test_what_needs_the_daemon_says_so_in_one_line(home, call, command) -> None:
    home.job("set", "failed")
    result = call(*command)
    assert result.exit_code == 2
    assert result.stderr.startswith("drophammer: no daemon is running") and result.stderr.count("\n") == 1


def test_pause_refuses_an_unknown_lane(call) -> None:
    result = call("pause", "cgpu")
    assert result.exit_code == 2 and "cgpu" in result.stderr


# --- new ---


@pytest.fixture
def families(home) -> dict:
    return read_families(home.paths.config / "styles")


def test_new_reads_style_tempo_and_mood(families) -> None:
    wish = understand("industrial set, 128 bpm, dark", families)
    assert (wish.family, wish.tempo_bpm, wish.whole, wish.unknown) == ("industrial", 128.0, True, [])
    assert wish.key is not None and wish.key.endswith("minor")


def test_new_says_what_it_did_not_understand(families) -> None:
    assert understand("tekno set with cowbells", families).unknown == ["tekno (did you mean techno?)", "cowbells"]


def test_new_reads_counts_lengths_and_keys(families) -> None:
    wish = understand("3 ambient beds of 90s in F# minor", families)
    assert (wish.count, wish.length_s, wish.key, wish.whole, wish.family) == (3, 90.0, "F# minor", False, "ambient")
    assert wish.unknown == []


def test_new_fast_and_slow_take_the_ends_of_the_styles_range(families) -> None:
    low, high = families["techno"]["tempo"]
    assert understand("fast techno", families).tempo_bpm == high
    assert understand("slow techno", families).tempo_bpm == low


def test_new_refuses_an_impossible_tempo(families) -> None:
    with pytest.raises(CommandError, match="60 to 200"):
        understand("techno at 300 bpm", families)


@pytest.mark.parametrize("length_s", [15.0, 62.0, 200.0, 1200.0, 3600.0, 7200.0])
@pytest.mark.parametrize("transitions", [True, False])
def test_new_plans_a_set_of_exactly_the_length(length_s: float, transitions: bool) -> None:
    count, bed_s = plan_set(length_s, transitions=transitions)
    pieces = [bed_s] * count + [TRANSITION_S] * ((count - 1) if transitions else 0)
    assert sum(pieces) - CROSSFADE_S * (len(pieces) - 1) == pytest.approx(length_s, abs=0.05)


@pytest.mark.parametrize("words", ["industrial set, 128 bpm, dark", "darkwave stems", "bright techno set 20 minutes", "7 slow ambient beds 2 min", "15s set"])
def test_new_writes_a_file_that_the_reader_accepts(home, families, words) -> None:
    settings = load(home.paths.home)
    text = write_job(words, understand(words, families), families, "set", 7)
    assert documents.read(text.encode(), load_registry(), settings, default_name="x").seed == 7


def test_new_writes_over_nothing_and_neutralises_the_words(call, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert call("new", "industrial set\nsteps: {}\x1b[2J").exit_code == 0
    written = (tmp_path / "industrial-set.yaml").read_text()
    assert "\x1b" not in written and written.count("\nsteps:") == 1
    assert call("new", "industrial set").exit_code == 2


def test_check_counts_all_seeds_and_says_what_is_kept(home, call) -> None:
    report = json.loads(call("check", "--json", "-", stdin=GOOD + "count: 2\n").stdout)[0]
    many = json.loads(call("check", "--json", "-", stdin=GOOD + "count: 2\nseeds: [1, 2, 3]\n").stdout)[0]
    assert many["size_bytes"] == 3 * report["size_bytes"] and many["seeds"] == [1, 2, 3] and report["seeds"] == []
    shown = call("check", "-", stdin=GOOD + "count: 2\nseeds: [1, 2, 3]\nfrom: old\nkeep: {2: from/stems/2}\n").stdout
    assert "seeds 1, 2, 3; of each:" in shown and "2 x 2 s, 1 kept" in shown
    assert "missing: from: no finished job 'old' yet" in shown
