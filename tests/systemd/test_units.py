"""The units as text: what is in them for which configuration, and what systemd's own tools say of them."""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from daemon.cli import installation
from daemon.cli.failure import CommandError
from daemon.cli.installation import Installation
from daemon.settings import CHECKOUT, load
from daemon.units import NAME, Plan, UnitError, outermost, prefixes, quote
from tests.conftest import House

EXPOSURE_LIMIT = 2.0
PYTHON = Path(sys.executable)
ANALYZE = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not here")
SOMEBODY = next(entry.pw_name for entry in pwd.getpwall() if entry.pw_uid not in (0, os.getuid(), 65534))
CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "default": {},
    "commands": {"on_done": [["true"]]},
    "group": {"group": "daemon"},
    "folders": {
        "inboxes": ["/srv/a b", "/home/x/100%"],
        "deliver": {"daw": "/home/x/samples"},
        "roots": ["/home/x/music", "/srv/tracks"],
    },
}


def render(house: House, kind: str, **settings: Any) -> str:
    house.configure(**settings)
    return Plan(kind, load(house.home), PYTHON, user=SOMEBODY).render()


def values(text: str, key: str) -> list[str]:
    return [line.partition("=")[2] for line in text.splitlines() if line.startswith(f"{key}=")]


def analyze(house: House, kind: str, text: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    file = house.home / NAME
    file.write_text(text)
    own = ["--user"] if kind == "user" else []
    environment = {**os.environ, "XDG_RUNTIME_DIR": str(house.home), "SYSTEMD_EMOJI": "0"}
    return subprocess.run(
        ["systemd-analyze", *own, *arguments, str(file)], env=environment, capture_output=True, text=True, check=False
    )


@ANALYZE
@pytest.mark.parametrize("kind", ["system", "user"])
@pytest.mark.parametrize("configuration", CONFIGURATIONS)
def test_units_are_valid_for_systemd_itself(house: House, kind: str, configuration: str) -> None:
    done = analyze(house, kind, render(house, kind, **CONFIGURATIONS[configuration]), "verify")
    assert done.returncode == 0 and NAME not in done.stdout + done.stderr, done.stderr


@ANALYZE
@pytest.mark.parametrize("kind", ["system", "user"])
@pytest.mark.parametrize("configuration", ["default", "folders"])
def test_units_are_little_exposed(house: House, kind: str, configuration: str) -> None:
    done = analyze(
        house, kind, render(house, kind, **CONFIGURATIONS[configuration]), "security", "--offline=yes", "--no-pager"
    )
    exposure = re.search(r"Overall exposure level for \S+: (\d+\.\d)", done.stdout)
    assert exposure is not None, done.stderr
    print(f"{kind}, {configuration}: exposure {exposure[1]}")
    assert float(exposure[1]) < EXPOSURE_LIMIT


@ANALYZE
def test_units_with_an_open_network_are_still_little_exposed(house: House) -> None:
    done = analyze(
        house,
        "system",
        render(house, "system", on_done=[["true"]], group="daemon"),
        "security",
        "--offline=yes",
        f"--threshold={EXPOSURE_LIMIT * 10:.0f}",
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", ["system", "user"])
def test_units_leave_no_placeholder_and_explain_every_exception(house: House, kind: str) -> None:
    text = render(house, kind)
    assert not re.search(r"@[A-Z_]+@", text)
    lines = text.splitlines()
    for exception in (
        "MemoryDenyWriteExecute=no",
        "SystemCallFilter=~@privileged",
        *(["ProcSubset=all", "DevicePolicy=closed"] if kind == "system" else []),
    ):
        above = lines[: lines.index(exception)][::-1]
        block = next(index for index, line in enumerate(above) if not line)
        assert any(line.startswith("# ") for line in above[:block]), exception


def test_units_let_the_configured_folders_be_written_and_roots_only_read(house: House) -> None:
    text = render(
        house,
        "system",
        inboxes=["/srv/in"],
        outbox="/mnt/out",
        state="/var/drop",
        deliver={"daw": "/home/x/samples"},
        roots=["/home/x/music"],
    )
    assert values(text, "ReadWritePaths") == ["-/srv/in", "-/mnt/out", "-/var/drop"]
    assert values(text, "BindPaths") == ["-/home/x/samples"]
    assert "-/home/x/music" in values(text, "BindReadOnlyPaths")
    assert values(text, "ProtectHome") == ["tmpfs"] and values(text, "ProtectSystem") == ["strict"]


def test_units_reach_folders_through_links(house: House, tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    (house.home / "outbox").symlink_to(tmp_path / "big")
    paths = values(render(house, "system"), "BindPaths")
    assert f"-{(tmp_path / 'big').resolve()}" in paths


@pytest.mark.parametrize("kind", ["system", "user"])
def test_units_open_the_network_only_for_commands_of_the_configuration(house: House, kind: str) -> None:
    closed, opened = render(house, kind), render(house, kind, on_failed=[["notify-send", "{name}"]])
    assert values(closed, "PrivateNetwork") == ["yes"] and values(closed, "RestrictAddressFamilies") == ["AF_UNIX"]
    assert values(opened, "PrivateNetwork") == [] and "AF_INET6" in values(opened, "RestrictAddressFamilies")[0]


def test_units_allow_giving_files_away_only_with_a_group(house: House) -> None:
    assert "@chown" not in values(render(house, "system"), "SystemCallFilter")
    with_group = render(house, "system", group="daemon")
    assert "@chown" in values(with_group, "SystemCallFilter") and values(with_group, "PrivateUsers") == []


def test_units_of_a_person_without_namespaces_ask_for_none(house: House) -> None:
    text = Plan("user", load(house.home), PYTHON, namespaces=False).render()
    for key in (
        "PrivateUsers",
        "ProtectSystem",
        "ReadWritePaths",
        "BindPaths",
        "PrivateNetwork",
        "CapabilityBoundingSet",
    ):
        assert values(text, key) == [], key
    assert values(text, "NoNewPrivileges") == ["yes"]


def test_units_wait_longer_for_a_stop_than_a_drain_takes(house: House) -> None:
    assert values(render(house, "system", drain="10m"), "TimeoutStopSec") == ["630"]


@pytest.mark.parametrize(("word", "written"), [
    ("/srv/music", "/srv/music"), ("/srv/my music", '"/srv/my music"'), ("/srv/100%", "/srv/100%%"), ('/a"b', '"/a\\"b"'), ("/a\\b", '"/a\\\\b"'),
    ("/a:b", '"/a:b"'),
])  # fmt: skip
def test_units_write_words_as_systemd_reads_them(word: str, written: str) -> None:
    assert quote(word) == written


def test_units_refuse_what_no_unit_file_can_say() -> None:
    with pytest.raises(UnitError, match="control character"):
        quote("/srv/two\nlines")


def test_units_find_every_folder_an_interpreter_needs(tmp_path: Path) -> None:
    real = tmp_path / "versions" / "3.11.7" / "bin" / "python3.11"
    alias, own = tmp_path / "versions" / "3.11", tmp_path / "venv" / "bin" / "python"
    for path in (real, own):
        path.parent.mkdir(parents=True)
    real.touch()
    alias.symlink_to("3.11.7")
    own.symlink_to(alias / "bin" / "python3.11")
    assert prefixes(own) == [tmp_path / "venv", alias, real.parent.parent]


def test_units_name_a_folder_within_another_once() -> None:
    assert outermost(map(Path, ("/a/b", "/a", "/ab", "/a/c/d"))) == [Path("/a"), Path("/ab")]


# --- the installer, where there is nothing to install into ---


def of(house: House, *, system: bool, user: str | None = None) -> Installation:
    return Installation.of(load(house.home), PYTHON, system=system, user=user, any_user=False)


def test_installer_without_systemd_says_what_to_do_instead(
    house: House, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(installation, "BOOTED", tmp_path / "not-there")
    monkeypatch.setattr(installation, "SYSTEM_UNITS", tmp_path / "units")
    with pytest.raises(CommandError, match=r"systemd does not run this machine(.|\n)*drophammer run"):
        of(house, system=True, user=SOMEBODY).install(now=False)
    assert not (tmp_path / "units").exists()


def test_installer_dry_run_shows_everything_and_writes_nothing(house: House, tmp_path: Path) -> None:
    environment = {**house.environment, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "xdg")}
    command = [
        sys.executable,
        "-m",
        "daemon",
        "service",
        "install",
        "--system",
        "--user",
        SOMEBODY,
        "--now",
        "--dry-run",
    ]
    done = subprocess.run(command, env=environment, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"User={SOMEBODY}" in done.stdout and "/etc/systemd/system/drophammer.service" in done.stdout
    assert [line for line in done.stdout.splitlines() if line.startswith("# would be run")] == [
        "# would be run: systemctl daemon-reload", "# would be run: systemctl enable drophammer.service",
        "# would be run: systemctl restart drophammer.service",
    ]  # fmt: skip
    assert not (house.home / "state").exists() and not (tmp_path / "xdg").exists()


def test_installer_names_folders_its_user_could_not_write(house: House) -> None:
    house.outbox.mkdir()
    house.state.mkdir()
    house.outbox.chmod(0o755)
    if pwd.getpwnam(SOMEBODY).pw_uid == house.outbox.stat().st_uid:
        pytest.skip("there is only one user here")
    with pytest.raises(CommandError, match=rf"would run as {SOMEBODY}(.|\n)*{house.outbox}: {SOMEBODY} may not write"):
        of(house, system=True, user=SOMEBODY).check_rights()


def test_installer_refuses_an_unknown_user(house: House) -> None:
    with pytest.raises(CommandError, match="no such user"):
        of(house, system=True, user="nobody-of-that-name")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root is refused")
def test_installer_gives_root_no_service_of_its_own(house: House) -> None:
    with pytest.raises(CommandError, match="you are root"):
        of(house, system=False)
    with pytest.raises(CommandError, match="--user NAME"):
        of(house, system=True)
