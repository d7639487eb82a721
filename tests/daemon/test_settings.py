"""The configuration: what is refused says which file, which key, which value and what would be right."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from daemon.settings import SettingsError, load
from daemon.settings_model import within_hours


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    return tmp_path


def configure(home: Path, text: str) -> None:
    (home / "config" / "drophammer.yaml").write_text(text)


def test_without_a_file_of_ones_own_the_defaults_hold(home: Path) -> None:
    settings = load(home)
    assert settings.paths.outbox == home / "outbox" and settings.lanes.gpu.workers == 1


def test_a_key_of_a_section_changes_only_that_key(home: Path) -> None:
    configure(home, "lanes: {cpu: {workers: 5}}")
    lanes = load(home).lanes
    assert (lanes.cpu.workers, lanes.cpu.timeout, lanes.gpu.timeout) == (5, 3600.0, 4 * 3600.0)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("retires: 3", ["drophammer.yaml", "unknown key `retires`", "did you mean `retries`"]),
        ("lanes: {cpu: {wrokers: 3}}", ["`lanes.cpu.wrokers`", "`lanes.cpu.workers`"]),
        ("lanes: 5", ["`lanes` must be a mapping", "5"]),
        ("retries: many", ["drophammer.yaml", "retries", "many"]),
        ("settle: 10 parsecs", ["settle", "write seconds (90)", "10 parsecs"]),
        ("min_free: 5GB", ["min_free", "GiB", "5GB"]),
        ("lanes: {gpu: {workers: 2}}", ["lanes", "must be 1"]),
        ("lanes: {gpu: {hours: '25:00-08:00'}}", ["lanes.gpu.hours", "25:00-08:00"]),
        ("lanes: {gpu: {hours: '08:00-08:00'}}", ["lanes.gpu.hours", "empty", "null"]),
        ("group: no-such-group", ["group", "no such group", "no-such-group"]),
        ("on_done: [[]]", ["on_done.0", "[]"]),
        ("umask: 002", ["umask", "string", "2"]),
        ("backoff: .inf", ["backoff", "inf"]),
        ("inboxes: []", ["`inboxes` must list at least one folder"]),
        ("outbox: 5", ["`outbox` must be a folder's path", "5"]),
        ("- a list", ["drophammer.yaml", "key: value", "list"]),
        ("a: [", ["drophammer.yaml", "cannot be read", "line "]),
    ],
)
def test_what_is_wrong_is_said_with_file_key_and_value(home: Path, text: str, said: list[str]) -> None:
    configure(home, text)
    with pytest.raises(SettingsError) as caught:
        load(home)
    assert [word for word in said if word not in str(caught.value)] == []


def test_all_wrong_values_are_said_at_once(home: Path) -> None:
    configure(home, "retries: many\nbackoff: never\n")
    with pytest.raises(SettingsError, match=r"retries(.|\n)*backoff"):
        load(home)


def test_folders_behind_a_link_are_meant_where_they_are(home: Path) -> None:
    real = home / "disk"
    real.mkdir()
    (home / "link").symlink_to(real)
    configure(home, "{inboxes: [link/in], outbox: link/out, deliver: {daw: link/daw}}")
    settings = load(home)
    assert (settings.paths.inboxes[0], settings.paths.outbox) == (real / "in", real / "out")
    assert settings.deliver["daw"] == real / "daw"


@pytest.mark.parametrize(
    ("window", "clock", "inside"),
    [
        ("22:00-08:00", "23:00", True),
        ("22:00-08:00", "07:59", True),
        ("22:00-08:00", "08:00", False),
        ("22:00-08:00", "12:00", False),
        ("09:00-17:30", "17:29", True),
        ("09:00-17:30", "17:30", False),
        (None, "12:00", True),
    ],
)
def test_hours_may_pass_midnight(window: str | None, clock: str, inside: bool) -> None:
    assert within_hours(window, datetime.strptime(clock, "%H:%M")) is inside
