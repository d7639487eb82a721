"""One booted machine for all tests that need one, and installations in it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import CHECKOUT, eventually
from tests.systemd.machine import Machine, Unavailable

PERSON = "pia"
ENDED = ("done", "failed", "cancelled")


@pytest.fixture(scope="session")
def machine() -> Iterator[Machine]:
    """A real systemd with one ordinary person on it, who can read the checkout and the interpreter."""
    try:
        machine = Machine()
    except Unavailable as error:
        pytest.skip(str(error))
    try:
        machine.run("useradd", "--create-home", PERSON, check=True)
        for folder in (CHECKOUT, Path(sys.base_prefix)):
            machine.run("chmod", "o+x", *map(str, folder.parents), check=True)
        yield machine
    finally:
        machine.close()


class Installed:
    """An installation inside the machine, with a service of the system or of the person."""

    def __init__(self, machine: Machine, home: str, *, system: bool) -> None:
        self.machine, self.home, self.system = machine, home, system
        self.inbox, self.outbox = f"{home}/inbox", f"{home}/outbox"
        machine.run("mkdir", "-p", f"{home}/config", check=True)
        machine.run("chown", "-R", PERSON, home, check=True)
        self.configure()

    def configure(self, **settings: Any) -> None:
        self.write(
            f"{self.home}/config/drophammer.yaml",
            yaml.safe_dump({"handlers": ["tests.probes:HANDLER"], "min_free": 0, **settings}),
        )

    def write(self, path: str, text: str, user: str | None = PERSON) -> None:
        """Write a file whole, as `mv` places one."""
        self.machine.run(
            "sh", "-c", 'cat >"$1.part" && mv "$1.part" "$1"', "sh", path, user=user, text=text, check=True
        )

    def drophammer(self, *arguments: str, root: bool = False) -> Any:
        environment = [f"DROPHAMMER_HOME={self.home}", f"PYTHONPATH={CHECKOUT}", "COLUMNS=200"]
        return self.machine.run(
            "env", *environment, sys.executable, "-m", "daemon", *arguments, user=None if root else PERSON
        )

    def install(self) -> str:
        """Install and start the service through the installer, and return what it printed."""
        options = ("--system", "--user", PERSON) if self.system else ()
        done = self.drophammer("service", "install", "--now", *options, root=self.system)
        assert done.returncode == 0, done.stdout + done.stderr + self.log()
        return done.stdout

    def systemctl(self, *arguments: str, check: bool = True) -> Any:
        own = () if self.system else ("--user",)
        return self.machine.run("systemctl", *own, *arguments, user=None if self.system else PERSON, check=check)

    def shown(self, *names: str) -> dict[str, str]:
        """Properties of the unit, as systemd gives them."""
        lines = self.systemctl("show", "drophammer", *(f"--property={name}" for name in names)).stdout.splitlines()
        return dict(line.split("=", 1) for line in lines)

    def pid(self) -> int:
        return int(self.shown("MainPID")["MainPID"])

    def add_to_unit(self, text: str) -> None:
        """Add lines to its [Service], as `systemctl edit` does, and start it anew with them."""
        folder = "/etc/systemd/system" if self.system else f"/home/{PERSON}/.config/systemd/user"
        self.machine.run("mkdir", "-p", f"{folder}/drophammer.service.d", check=True)
        self.write(
            f"{folder}/drophammer.service.d/test.conf", f"[Service]\n{text}\n", user=None if self.system else PERSON
        )
        self.systemctl("daemon-reload")
        self.systemctl("restart", "drophammer")

    def log(self) -> str:
        return self.machine.run("journalctl", "--no-pager", "--lines=200", "--output=cat").stdout

    def drop(self, name: str, document: dict[str, Any]) -> None:
        # Written beside the inbox, not into it: a rename inside one filesystem, as a file manager does it.
        self.write(f"{self.home}/{name}.yaml", yaml.safe_dump(document))
        self.machine.run("mv", f"{self.home}/{name}.yaml", f"{self.inbox}/{name}.yaml", user=PERSON, check=True)

    def job(self, name: str) -> dict[str, Any] | None:
        done = self.drophammer("show", name, "--json")
        return json.loads(done.stdout) if done.returncode == 0 else None

    def is_running(self, name: str) -> dict[str, Any]:
        return eventually(lambda: (job := self.job(name)) and job["state"] == "running" and job, f"{name} runs")

    def ended(self, name: str) -> dict[str, Any]:
        """Wait until a job has ended, and return it."""
        return eventually(
            lambda: (job := self.job(name)) and job["state"] in ENDED and job, f"{name} ends\n{self.log()}"
        )

    def lines(self, path: str) -> list[str]:
        return self.machine.run("cat", path).stdout.splitlines()


@pytest.fixture(scope="session")
def system_service(machine: Machine) -> Installed:
    """A system service in a home, at a path that needs every kind of escaping."""
    installed = Installed(machine, f'/home/{PERSON}/drop hammer 100%h $x "q" \\n', system=True)
    installed.install()
    return installed


@pytest.fixture(scope="session")
def user_service(machine: Machine) -> Installed:
    """A service of the person's own, outside any home."""
    number = machine.run("id", "-u", PERSON, check=True).stdout.strip()
    machine.run("loginctl", "enable-linger", PERSON, check=True)
    eventually(
        lambda: machine.run("systemctl", "is-active", f"user@{number}").returncode == 0, "the person's systemd runs"
    )
    machine.run(
        "sh",
        "-c",
        f"cd /home/{PERSON} && mkdir -m 700 .ssh && echo secret >.ssh/id && chown -R {PERSON} .ssh",
        check=True,
    )
    installed = Installed(machine, "/srv/music house", system=False)
    installed.install()
    return installed


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever uses the machine boots a systemd, and carries the mark that says so."""
    for item in items:
        if "machine" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.systemd)
