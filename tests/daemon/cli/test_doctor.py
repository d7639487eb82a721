"""`doctor`: what is wrong is named, with its remedy."""

from __future__ import annotations

import json
import shutil

import pytest

from daemon.cli.places import filesystem_of
from daemon.settings import CHECKOUT


@pytest.fixture(autouse=True)
def _configuration(home) -> None:
    shutil.copytree(CHECKOUT / "config", home.paths.config, dirs_exist_ok=True, ignore=shutil.ignore_patterns("drophammer.yaml"))


@pytest.fixture
def found(call):
    def run() -> tuple[int, dict[str, list[dict[str, str]]]]:
        result = call("doctor", "--json")
        lines: dict[str, list[dict[str, str]]] = {}
        for line in json.loads(result.stdout):
            lines.setdefault(line["what"], []).append(line)
        return result.exit_code, lines

    return run


def test_a_sound_installation_has_nothing_to_mend(found) -> None:
    code, lines = found()
    assert [line for group in lines.values() for line in group if line["level"] == "FAIL"] == []
    assert code == 0
    assert "MP3" in lines["codecs"][0]["says"]


def test_a_missing_inbox_fails_with_the_command_that_makes_it(home, found) -> None:
    home.paths.inboxes[0].rmdir()
    code, lines = found()
    assert code == 1 and lines["inbox"][0]["remedy"] == f"mkdir -p {home.paths.inboxes[0]}"


def test_a_broken_configuration_is_one_line(home, found) -> None:
    (home.paths.config / "drophammer.yaml").write_text("setle: 3s\n")
    code, lines = found()
    assert code == 1 and "settle" in lines["configuration"][0]["says"]


def test_a_handler_that_does_not_load_is_named(home, found) -> None:
    (home.paths.config / "drophammer.yaml").write_text('handlers: ["no_such_module:HANDLER"]\n')
    code, lines = found()
    assert code == 1 and "no_such_module" in lines["handler"][0]["says"]


def test_broken_schedules_fail(home, found) -> None:
    (home.paths.config / "schedules.yaml").write_text("nightly: {crom: '0 3 * * *'}\n")
    code, lines = found()
    assert code == 1 and "crom" in lines["schedules"][0]["says"]


def test_the_outboxs_growth_is_shown(home, found) -> None:
    job = home.job("set", folder="/there", finished_at="2020-01-01T00:00:00.000Z")
    home.item(job, home.step(job, "beds"), 1, "a.wav")
    assert "1 jobs, 1.0 kB published; last 7 days: 0 jobs" in found()[1]["outbox"][-1]["says"]


def test_the_filesystem_of_a_path_is_that_of_its_nearest_mount(tmp_path) -> None:
    mounts = "/dev/a / ext4 rw 0 0\nserver:/x /srv nfs4 rw 0 0\ntmpfs /srv/my\\040tmp tmpfs rw 0 0\n"
    from pathlib import Path

    assert [filesystem_of(Path(path), mounts) for path in ("/home", "/srv/state", "/srv/my tmp/x", "/srvx")] == ["ext4", "nfs4", "tmpfs", "ext4"]
