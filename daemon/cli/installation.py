"""Where a unit goes, who may put it there, and what systemd is told: the work behind `./drophammer service`."""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from daemon.cli.failure import CommandError
from daemon.settings import CHECKOUT
from daemon.settings_model import Settings
from daemon.units import (
    HOMES,
    NAME,
    TEMPORARY,
    Plan,
    UnitError,
    forbids_namespaces,
    home_line,
    is_below,
    writable_folders,
)

SYSTEM_UNITS = Path("/etc/systemd/system")
BOOTED = Path("/run/systemd/system")
"""There when systemd runs the machine (sd_booted(3))."""
LINGER = Path("/var/lib/systemd/linger")
WRITE, ENTER = 0o2, 0o1
SHOWN = (
    "ActiveState",
    "SubState",
    "UnitFileState",
    "MainPID",
    "ActiveEnterTimestamp",
    "StatusText",
    "NRestarts",
    "Result",
)


@dataclass
class Installation:
    """One service: its unit, the unit's file, and whose it is."""

    plan: Plan
    file: Path
    user: str

    @classmethod
    def of(cls, settings: Settings, python: Path, *, system: bool, user: str | None, any_user: bool) -> Installation:
        """The service that the options mean.

        Parameters
        ----------
        any_user
            Nothing will be written, so root as its user is no error.
        """
        if system:
            name = user or _name_of(settings.paths.home.stat().st_uid)
            try:
                pwd.getpwnam(name)
            except KeyError:
                raise CommandError(f"--user {name}: there is no such user here") from None
            if name == "root" and user is None and not any_user:
                raise CommandError(
                    f"{settings.paths.home} belongs to root: say whose rights the service shall have, with --user NAME"
                )
            return cls(Plan("system", settings, python, name), SYSTEM_UNITS / NAME, name)
        if os.geteuid() == 0 and not any_user:
            raise CommandError(
                "you are root: install your own service without sudo, or the machine's with --system --user NAME"
            )
        folder = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
        return cls(Plan("user", settings, python), folder / "systemd" / "user" / NAME, _name_of(os.getuid()))

    @property
    def system(self) -> bool:
        return self.plan.kind == "system"

    @property
    def settings(self) -> Settings:
        return self.plan.settings

    def text(self) -> str:
        try:
            return self.plan.render()
        except UnitError as error:
            raise CommandError(str(error)) from None

    def systemctl(self, *arguments: str) -> list[str]:
        return ["systemctl", *([] if self.system else ["--user"]), *arguments]

    def commands(self, *, now: bool) -> list[list[str]]:
        """What is run once the unit is written."""
        commands = [self.systemctl("daemon-reload"), self.systemctl("enable", NAME)]
        return [*commands, self.systemctl("restart", NAME)] if now else commands

    def lingers(self) -> bool:
        """Whether the user's services run from boot on, logged in or not."""
        return (LINGER / self.user).exists()

    # --- changing ---

    def install(self, *, now: bool) -> list[str]:
        """Write the unit, enable it and, if asked, (re)start it. Returns what the person should know.

        Raises
        ------
        CommandError
            Before anything is written: no systemd, no right, another installation's unit, folders it could not write.
        """
        self._require_systemd()
        if self.system and os.geteuid() != 0:
            raise CommandError(f"{self.file} is root's: sudo {CHECKOUT / 'drophammer'} service install --system")
        self._refuse_other_installation()
        if now and self._state()["ActiveState"] not in ("active", "reloading", "activating"):
            self._refuse_running_daemon()
        remarks = self._try_namespaces()
        text = self.text()
        self._make_folders()
        self.check_rights()
        self.file.parent.mkdir(parents=True, exist_ok=True)
        part = self.file.with_name(f".{NAME}.part")
        part.write_text(text, encoding="utf-8")
        part.chmod(0o644)
        part.replace(self.file)
        for command in self.commands(now=now):
            _run(command, hint=f"its log: {'journalctl' if self.system else 'journalctl --user'} -u drophammer -n 20")
        return remarks

    def uninstall(self) -> bool:
        """Stop and disable the service and remove its unit; False when there was none."""
        if not self.file.exists():
            return False
        if self.system and os.geteuid() != 0:
            raise CommandError(f"{self.file} is root's: sudo {CHECKOUT / 'drophammer'} service uninstall --system")
        self._require_systemd()
        self._refuse_other_installation()
        _run(self.systemctl("disable", "--now", NAME), hint="stop it first")
        self.file.unlink()
        _run(self.systemctl("daemon-reload"), hint="")
        return True

    def status(self) -> dict[str, Any]:
        """What is known of the service; ``state`` is systemd's word (active, inactive, failed ...)."""
        installed = self.file.exists()
        facts: dict[str, Any] = {"service": self.plan.kind, "unit": str(self.file), "installed": installed}
        if installed:
            facts["belongs_to"] = self.foreign()
            facts["up_to_date"] = self._is_current(self.file.read_text(encoding="utf-8"))
        self._require_systemd()
        shown = self._state()
        facts |= {
            "state": shown["ActiveState"], "detail": shown["SubState"], "starts_at_boot": shown["UnitFileState"] == "enabled",
            "pid": int(shown["MainPID"]) or None, "since": shown["ActiveEnterTimestamp"], "now": shown["StatusText"],
            "restarts": int(shown["NRestarts"]), "result": shown["Result"],
        }  # fmt: skip
        if not self.system:
            facts["lingers"] = self.lingers()
        return facts

    # --- looking first ---

    def _is_current(self, text: str) -> bool:
        """Whether the unit says what would be written now. Whose rights it runs with, and what the kernel allowed, is taken from it."""
        user = next((line.removeprefix("User=") for line in text.splitlines() if line.startswith("User=")), "")
        plans = [replace(self.plan, user=user, namespaces=namespaces) for namespaces in (True, False)]
        return any(plan.render() == text for plan in plans)

    def _state(self) -> dict[str, str]:
        done = _run(self.systemctl("show", NAME, *(f"--property={name}" for name in SHOWN)), hint="")
        return (
            dict.fromkeys(SHOWN, "")
            | {"MainPID": "0", "NRestarts": "0"}
            | dict(line.split("=", 1) for line in done.splitlines())
        )

    def _require_systemd(self) -> None:
        if not BOOTED.is_dir() or shutil.which("systemctl") is None:
            raise CommandError(
                "systemd does not run this machine, so there is no service to talk to. Instead, let what starts programs here keep\n"
                f"  {CHECKOUT / 'drophammer'} run\n"
                "running: it stays in the foreground, logs to stdout, SIGTERM stops it gently and SIGHUP makes it read its configuration again"
            )
        if (
            not self.system
            and subprocess.run(self.systemctl("show-environment"), capture_output=True, check=False).returncode != 0
        ):
            raise CommandError(
                f"systemd's session of {self.user} cannot be reached from here (su and sudo do not open one). Log in as {self.user}, or run\n"
                f"  sudo loginctl enable-linger {self.user}\n  export XDG_RUNTIME_DIR=/run/user/{os.getuid()}\nor install the machine's service with --system"
            )

    def foreign(self) -> str | None:
        """The other installation that the unit's file belongs to, as the unit names it; None when it is ours or not there."""
        lines = self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else []
        if not lines or f"Environment={home_line(self.settings)}" in lines:
            return None
        return next(
            (line.removeprefix("Environment=") for line in lines if "DROPHAMMER_HOME=" in line),
            "a unit not written by this command",
        )

    def _refuse_other_installation(self) -> None:
        if other := self.foreign():
            raise CommandError(f"{self.file} belongs to another installation ({other}); uninstall it there first")

    def _refuse_running_daemon(self) -> None:
        from daemon.control import ControlError, ask

        try:
            pid = ask(self.settings.paths, {"do": "ping"})["pid"]
        except ControlError:
            return
        raise CommandError(
            f"a daemon that is not the service runs this installation already, as process {pid}; end it first: kill {pid}"
        )

    def _try_namespaces(self) -> list[str]:
        """Find out whether a user's unit may have namespaces here, by starting one that has."""
        if self.system:
            return []
        if forbids_namespaces(self.settings):
            return [
                f"`group: {self.settings.group}` keeps the unit from hiding and protecting folders; --system can do both"
            ]
        trial = [
            "systemd-run",
            "--user",
            "--wait",
            "--collect",
            "--quiet",
            "-pPrivateUsers=yes",
            "-pProtectSystem=strict",
            "-pPrivateNetwork=yes",
        ]
        if subprocess.run([*trial, "true"], capture_output=True, check=False).returncode == 0:
            return []
        self.plan = replace(self.plan, namespaces=False)
        return [
            "the kernel lets no user make namespaces here, so the unit cannot keep the daemon out of your other files; --system can"
        ]

    def _make_folders(self) -> None:
        owner = pwd.getpwnam(self.user)
        for folder in writable_folders(self.settings):
            missing = [path for path in (folder, *folder.parents) if not path.exists()]
            for path in reversed(missing):
                path.mkdir()
                if self.system:
                    os.chown(path, owner.pw_uid, owner.pw_gid)

    def check_rights(self) -> None:
        """Say now what would otherwise be a failure at the first job."""
        owner = pwd.getpwnam(self.user)
        groups = {owner.pw_gid, *os.getgrouplist(self.user, owner.pw_gid)}
        problems = []
        for folder in writable_folders(self.settings):
            hidden = self.system and is_below(
                folder, (*HOMES, *TEMPORARY)
            )  # Reached by a mount, not by way of its parents.
            closed = [
                path for path in ([] if hidden else folder.parents) if not _may(path, ENTER, owner.pw_uid, groups)
            ]
            entries = [folder, *(folder.iterdir() if folder == self.settings.paths.state else ())]
            problems += [f"  {path}: {self.user} may not pass" for path in closed]
            problems += [
                f"  {path}: {self.user} may not write"
                for path in entries
                if not _may(path, WRITE, owner.pw_uid, groups)
            ]
        if self.settings.group is not None and self.settings.group not in {
            name for name, gid in _groups().items() if gid in groups
        }:
            problems.append(
                f"  group: {self.user} does not belong to {self.settings.group}, so it may not give files to it"
            )
        if problems:
            raise CommandError("\n".join([f"the service would run as {self.user}, and that would fail:", *dict.fromkeys(problems),
                                          "give them over (sudo chown -R ...) or choose another --user"]))  # fmt: skip


def _may(path: Path, right: int, uid: int, groups: set[int]) -> bool:
    """Whether a user has a right to a file, going by its mode."""
    info = path.lstat()
    if uid == 0 or path.is_symlink():
        return True
    shift = 6 if info.st_uid == uid else 3 if info.st_gid in groups else 0
    return bool(info.st_mode >> shift & right)


def _groups() -> dict[str, int]:
    return {entry.gr_name: entry.gr_gid for entry in grp.getgrall()}


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _run(command: list[str], *, hint: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip()
        raise CommandError("\n".join(filter(None, [f"{' '.join(command)} ended with {done.returncode}:", said, hint])))
    return done.stdout
