"""Schedules as pure functions: expressions against the calendar, what is due, and the file's every error."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest

from daemon.documents.problems import DocumentError
from daemon.schedule import Firing, Schedule, due, next_due, read, text_of
from daemon.schedule.cron import Cron, translate_weekdays
from daemon.schedule.due import LISTED_AT_MOST
from daemon.settings import CHECKOUT, SettingsError

SATURDAY = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)


def moments(expression: str, start: str, count: int, timezone: str = "UTC") -> list[str]:
    """The next due times after `start` (UTC), in UTC, written as month-day hour:minute."""
    begin = datetime.fromisoformat(start).replace(tzinfo=UTC)
    found = Cron(expression, timezone).between(begin, begin + timedelta(days=800))
    return [moment.strftime("%m-%d %H:%M") for moment in islice(found, count)]


# --- weekdays: cron counts from Sunday ---


@pytest.mark.parametrize(("field", "names"), [
    ("0", "sun"), ("7", "sun"), ("1", "mon"), ("6", "sat"), ("1-5", "mon,tue,wed,thu,fri"), ("0,6", "sun,sat"), ("6-7", "sun,sat"),
    ("*", "*"), ("0-7", "*"), ("*/2", "sun,tue,thu,sat"), ("1-5/2", "mon,wed,fri"), ("mon-fri", "mon,tue,wed,thu,fri"), ("SUN", "sun"),
    ("fri-mon", "sun,mon,fri,sat"), ("1,3,fri", "mon,wed,fri"), ("0-6/3", "sun,wed,sat"),
])  # fmt: skip
def test_weekday_numbers_become_names(field: str, names: str) -> None:
    assert translate_weekdays(field) == names


@pytest.mark.parametrize("field", ["8", "-1", "1-", "mo", "monday", "xyz", "5/2", "*/0", "*/8", "1--3", "", "1,,2", "1-5/", "2nd fri"])
def test_weekdays_that_cannot_be_read_are_refused(field: str) -> None:
    with pytest.raises(ValueError, match="weekday"):
        translate_weekdays(field)


@pytest.mark.parametrize(("expression", "expected"), [
    ("0 3 * * 0", ["11-22 03:00", "11-29 03:00"]),  # Sundays, not the Mondays of APScheduler's own counting
    ("0 3 * * 7", ["11-22 03:00", "11-29 03:00"]),
    ("0 3 * * 1-5", ["11-23 03:00", "11-24 03:00", "11-25 03:00", "11-26 03:00", "11-27 03:00", "11-30 03:00"]),
    ("30 9,18 * * sat", ["11-21 18:30", "11-28 09:30"]),
    ("*/20 12 * * *", ["11-21 12:20", "11-21 12:40", "11-22 12:00"]),
    ("0 0 1 jan *", ["01-01 00:00"]),
    ("0 0 29 2 *", ["02-29 00:00"]),
    ("@weekly", ["11-22 00:00", "11-29 00:00"]),
    ("@daily", ["11-22 00:00"]),
    ("0 0 last * *", ["11-30 00:00", "12-31 00:00", "01-31 00:00", "02-28 00:00"]),
    # Day and weekday both restricted: either counts. 1 December 2026 is a Tuesday.
    ("0 0 1 * 1", ["11-23 00:00", "11-30 00:00", "12-01 00:00", "12-07 00:00"]),
    # One that begins with a star does not restrict: both must match, as in Vixie's cron.
    ("0 0 */10 * 2", ["12-01 00:00"]),
])  # fmt: skip
def test_expressions_against_the_calendar(expression: str, expected: list[str]) -> None:
    assert moments(expression, "2026-11-21T12:00", len(expected)) == expected


@pytest.mark.parametrize(("expression", "words"), [
    ("0 3 * *", "has 4 fields"), ("0 3 * * * *", "has 6 fields"), ("", "has 0 fields"), ("60 3 * * *", "maximum"), ("0 24 * * *", "maximum"),
    ("0 3 30 2 *", "never comes"), ("@reboot", "@daily"), ("0 3 * foo *", "month"), ("0 3 * * 8", "weekday"), ("x 3 * * *", "minute"),
])  # fmt: skip
def test_expressions_that_cannot_be_meant_are_refused(expression: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Cron(expression, "UTC").check()


# --- summer time: Europe/Berlin goes from 02:00 to 03:00 on 29 March 2026 (01:00 UTC), back on 25 October (01:00 UTC) ---

BERLIN = "Europe/Berlin"


def test_a_time_that_spring_leaves_out_comes_an_hour_later_by_the_clock() -> None:
    assert moments("30 2 * * *", "2026-03-28T00:00", 4, BERLIN) == ["03-28 01:30", "03-29 01:30", "03-30 00:30", "03-31 00:30"]


def test_an_hourly_schedule_neither_stumbles_nor_doubles_in_spring() -> None:
    assert moments("30 * * * *", "2026-03-28T23:00", 4, BERLIN) == ["03-28 23:30", "03-29 00:30", "03-29 01:30", "03-29 02:30"]


def test_a_time_that_autumn_repeats_comes_once() -> None:
    assert moments("30 2 * * *", "2026-10-24T00:00", 4, BERLIN) == ["10-24 00:30", "10-25 00:30", "10-26 01:30", "10-27 01:30"]
    assert moments("*/30 2 * * *", "2026-10-24T12:00", 3, BERLIN) == ["10-25 00:00", "10-25 00:30", "10-26 01:00"]


def test_an_hourly_schedule_counts_both_hours_in_autumn() -> None:
    assert moments("30 * * * *", "2026-10-24T23:00", 5, BERLIN) == ["10-24 23:30", "10-25 00:30", "10-25 01:30", "10-25 02:30", "10-25 03:30"]


def test_every_minute_of_a_year_comes_once_and_in_order() -> None:
    """October has 744 hours by the clock, and this one lasts 745."""
    start, end = datetime(2026, 9, 30, 22, 0, tzinfo=UTC), datetime(2026, 10, 31, 23, 0, tzinfo=UTC)
    found = list(Cron("*/15 * * * *", BERLIN).between(start, end))
    assert found == [start + timedelta(minutes=15 * i) for i in range(1, 745 * 4 + 1)]


def test_zones_that_skip_a_day_or_shift_by_half_an_hour() -> None:
    # Samoa left out 30 December 2011, going from UTC-10 to UTC+14: noon of that day is noon of the 31st.
    assert moments("0 12 * * *", "2011-12-29T00:00", 3, "Pacific/Apia") == ["12-29 22:00", "12-30 22:00", "12-31 22:00"]
    # Lord Howe goes back from UTC+11 to UTC+10:30 on 5 April 2026 at 02:00.
    assert moments("45 1 * * *", "2026-04-03T20:00", 2, "Australia/Lord_Howe") == ["04-04 14:45", "04-05 15:15"]


def test_a_zone_that_is_not_known_is_refused() -> None:
    for name in ("Europe/Berln", "../etc/passwd", "Europe", ""):
        with pytest.raises(ValueError, match="time zone"):
            Cron("@daily", name).check()


# --- what is due ---


def hourly(**keys: object) -> Schedule:
    return Schedule("hourly", Cron("0 * * * *", "UTC"), "jobs/demo.yaml", **keys)  # type: ignore[arg-type]


def outcomes(firings: list[Firing]) -> list[tuple[str, str]]:
    return [(firing.due_at.strftime("%H:%M"), firing.outcome) for firing in firings]


def test_nothing_is_due_for_a_schedule_seen_for_the_first_time() -> None:
    assert due([hourly()], {}, SATURDAY) == []


def test_a_due_time_fires_once_it_has_come_and_not_again() -> None:
    last = {"hourly": SATURDAY}
    assert due([hourly()], last, SATURDAY + timedelta(minutes=59, seconds=59.9)) == []
    fired = due([hourly()], last, SATURDAY + timedelta(minutes=60))
    assert outcomes(fired) == [("13:00", "fire")]
    assert due([hourly()], {"hourly": fired[0].due_at}, SATURDAY + timedelta(minutes=61)) == []


def test_after_a_pause_the_newest_in_grace_fires_and_the_rest_is_accounted_for() -> None:
    now = SATURDAY + timedelta(hours=5, minutes=10)
    found = due([hourly(misfire_grace_s=7200)], {"hourly": SATURDAY}, now)
    assert outcomes(found) == [("13:00", "missed"), ("14:00", "missed"), ("15:00", "missed"), ("16:00", "coalesced"), ("17:00", "fire")]


def test_without_coalescing_everything_in_grace_fires() -> None:
    now = SATURDAY + timedelta(hours=2, minutes=10)
    found = due([hourly(misfire_grace_s=86400, coalesce=False)], {"hourly": SATURDAY}, now)
    assert outcomes(found) == [("13:00", "fire"), ("14:00", "fire")]


def test_the_grace_ends_sharply() -> None:
    last = {"hourly": SATURDAY}
    due_at = SATURDAY + timedelta(hours=1)
    assert outcomes(due([hourly(misfire_grace_s=60)], last, due_at + timedelta(seconds=60))) == [("13:00", "fire")]
    assert outcomes(due([hourly(misfire_grace_s=60)], last, due_at + timedelta(seconds=60.001))) == [("13:00", "missed")]


def test_a_clock_put_back_fires_nothing() -> None:
    assert due([hourly()], {"hourly": SATURDAY}, SATURDAY - timedelta(days=400)) == []


def test_a_clock_put_forward_by_years_is_answered_briefly() -> None:
    each_minute = Schedule("m", Cron("* * * * *", "UTC"), "x", misfire_grace_s=300)
    now = SATURDAY + timedelta(days=3000)
    found = due([each_minute], {"m": SATURDAY}, now)
    assert len(found) == LISTED_AT_MOST + 1 + 6
    assert [firing.outcome for firing in found[-6:]] == ["coalesced"] * 5 + ["fire"]
    assert found[-1].due_at == now
    assert found[-7].due_at == now - timedelta(minutes=6)  # the last one missed, so that the next look starts behind it
    assert found[-7].note and "not listed" in found[-7].note
    assert due([each_minute], {"m": now}, now + timedelta(seconds=30)) == []


def test_a_disabled_schedule_is_never_due() -> None:
    assert due([hourly(enabled=False)], {"hourly": SATURDAY}, SATURDAY + timedelta(days=1)) == []
    assert next_due(hourly(enabled=False), SATURDAY) is None


def test_several_schedules_come_in_order_of_their_due_times() -> None:
    half = Schedule("half", Cron("30 * * * *", "UTC"), "x", misfire_grace_s=9000, coalesce=False)
    found = due([hourly(misfire_grace_s=9000, coalesce=False), half], {"hourly": SATURDAY, "half": SATURDAY}, SATURDAY + timedelta(hours=2))
    assert [firing.due_at.strftime("%H:%M") for firing in found] == ["12:30", "13:00", "13:30", "14:00"]


def test_the_next_due_time_is_after_now_even_when_now_is_one() -> None:
    assert next_due(hourly(), SATURDAY) == SATURDAY + timedelta(hours=1)


# --- the file ---


def write(tmp_path: Path, text: str) -> Path:
    (tmp_path / "schedules.yaml").write_text(text)
    return tmp_path / "schedules.yaml"


def test_without_a_file_or_with_comments_only_there_are_no_schedules(tmp_path: Path) -> None:
    assert read(tmp_path / "schedules.yaml") == ()
    assert read(write(tmp_path, "# nothing\n\n  # yet\n---\n")) == ()
    assert read(CHECKOUT / "config" / "schedules.yaml") == ()


def test_the_shipped_examples_work_when_the_marks_are_taken_away(tmp_path: Path) -> None:
    lines = (CHECKOUT / "config" / "schedules.yaml").read_text().splitlines()
    examples = [line[2:] for line in lines[lines.index("# nightly-set:") :] if line.startswith("# ") and not line.startswith("# A ")]
    nightly, weekly = read(write(tmp_path, "\n".join(examples)))
    assert (nightly.name, nightly.job, nightly.new_seed, nightly.misfire_grace_s) == ("nightly-set", "jobs/demo.yaml", True, 8 * 3600)
    assert (weekly.overlap, weekly.cron.timezone) == ("queue", BERLIN)
    assert b"seed" not in {line.split(b":")[0] for line in text_of(nightly, CHECKOUT / "config").splitlines()}


def test_defaults_are_as_the_shipped_file_says(tmp_path: Path) -> None:
    (schedule,) = read(write(tmp_path, 'a: {cron: "@daily", job: {do: beats}}'))
    assert schedule == Schedule("a", Cron("@daily"), {"do": "beats"}, False, 3600.0, True, "skip", True)


def test_every_error_of_the_file_is_reported_at_once_with_line_and_schedule(tmp_path: Path) -> None:
    text = """
nightly:
  cron: "0 25 * * *"
  timezone: Europe/Berln
  job: 7
  overlapp: queue
  misfire_grace: soon
  coalesce: no
  overlap: skp
  enabled: 1
  seed: 5
weekly:
  cron: 5
empty:
nightly: {cron: "@daily", job: x}
"""
    with pytest.raises(SettingsError) as caught:
        read(write(tmp_path, text))
    message = str(caught.value)
    for words in (
        "schedules.yaml:\n", "line 3, nightly.cron:", "line 4, nightly.timezone: 'Europe/Berln'", "line 5, nightly.job:",
        "line 6, nightly.overlapp: unknown key; did you mean overlap?", "line 7, nightly.misfire_grace:", "line 8, nightly.coalesce:",
        "line 9, nightly.overlap: must be skip or queue, found 'skp'; did you mean skip?", "line 10, nightly.enabled:", "line 11, nightly.seed:",
        "line 12, weekly: `job:` is missing", "line 13, weekly.cron:", "line 14, empty: must be a mapping",
        "line 15, nightly: this key is already there, in line 2",
    ):  # fmt: skip
        assert words in message
    assert len(message.splitlines()) == 14


@pytest.mark.parametrize("text", ["[1, 2]", "a: &x {cron: '@daily', job: *x}", "{a: ]", "\0", "a: {cron: '@daily', job: {name: x}}"])
def test_what_is_no_file_of_schedules_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError, match="line 1"):
        read(write(tmp_path, text))


# --- the job's text ---


def test_a_job_file_is_taken_byte_for_byte(tmp_path: Path) -> None:
    (tmp_path / "jobs").mkdir()
    content = b"# mine\r\nseed: 7\r\ndo: beats\r\n"
    (tmp_path / "jobs" / "a.yaml").write_bytes(content)
    assert text_of(Schedule("a", Cron("@daily"), "jobs/a.yaml"), tmp_path) == content
    with pytest.raises(FileNotFoundError):
        text_of(Schedule("a", Cron("@daily"), "jobs/b.yaml"), tmp_path)


@pytest.mark.parametrize(("before", "after"), [
    ("name: x\nseed: 7  # lucky\ndo: beats\n", "name: x\n# seed: 7  # lucky  (its schedule draws a new one)\ndo: beats\n"),
    ("do: beats\nseed: 7", "do: beats\n# seed: 7  (its schedule draws a new one)\n"),
    ("do: beats\nsteps: {seed: {do: beats}}\n", "do: beats\nsteps: {seed: {do: beats}}\n"),
    ("{do: beats, seed: 7}", "do: beats\n"),
    ("do: beats\nseed:\n  7\n", "do: beats\n"),
])  # fmt: skip
def test_a_new_seed_takes_the_written_one_away_and_nothing_else(tmp_path: Path, before: str, after: str) -> None:
    (tmp_path / "a.yaml").write_text(before)
    assert text_of(Schedule("a", Cron("@daily"), "a.yaml", new_seed=True), tmp_path).decode() == after


def test_a_job_file_that_is_no_yaml_is_refused_when_its_seed_is_to_be_taken_away(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("do: [")
    with pytest.raises(DocumentError):
        text_of(Schedule("a", Cron("@daily"), "a.yaml", new_seed=True), tmp_path)


def test_a_job_written_out_reads_back_as_it_was_meant(tmp_path: Path) -> None:
    """`no`, `12:30`, `1e5` and `0o17` are words or numbers as YAML 1.2 has it, on the way in and on the way out."""
    source = """
a:
  cron: "@daily"
  job: {do: beats, seed: 3, a: no, b: 12:30, c: "1e5", d: 1e5, e: "0o17", f: 0o17, g: "", h: null, i: "null", j: [1.5, -2], k: "# x", l: günther}
"""
    (schedule,) = read(write(tmp_path, source))
    text = text_of(schedule, tmp_path).decode()
    indented = "\n".join("    " + line for line in text.splitlines())
    (again,) = read(write(tmp_path, f'a:\n  cron: "@daily"\n  job:\n{indented}\n'))
    assert again.job == schedule.job
    assert again.job["a"] == "no" and again.job["c"] == "1e5" and again.job["d"] == 1e5 and again.job["f"] == 15  # type: ignore[index]


def test_without_schedules_the_calculator_is_not_loaded() -> None:
    """It costs 15 MB of an idle daemon's memory."""
    script = "import sys; from pathlib import Path; from daemon.schedule import read; read(Path('config/schedules.yaml')); print('apscheduler' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


@pytest.mark.parametrize("job", ["{seeds: [1, 2], do: beats}", "jobs/two.yaml"])
def test_a_schedule_that_draws_a_seed_refuses_a_job_that_names_several(tmp_path: Path, job: str) -> None:
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "two.yaml").write_text("seeds: [1, 2]\ndo: beats\n")
    (tmp_path / "schedules.yaml").write_text(f'nightly: {{cron: "0 3 * * *", seed: new, job: {job}}}\n')
    (nightly,) = read(tmp_path / "schedules.yaml")
    with pytest.raises(DocumentError, match="its schedule says `seed: new`; keep one of the two"):
        text_of(nightly, tmp_path)
