"""systemd units for this installation: the templates in `systemd/`, filled in with the configured folders.

Pure: settings and paths in, text out. What a path may hold (spaces, percent signs, quotes, backslashes) is escaped the way
systemd.syntax(7) and systemd.service(5) want it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from daemon.settings import CHECKOUT
from daemon.settings_model import Settings

NAME = "drophammer.service"
TEMPLATES = {"system": CHECKOUT / "systemd" / NAME, "user": CHECKOUT / "systemd" / "user" / NAME}
HOMES = tuple(map(Path, ("/home", "/root", "/run/user")))
"""What ProtectHome= hides."""
TEMPORARY = tuple(map(Path, ("/tmp", "/var/tmp")))
"""What PrivateTmp= replaces."""
STOP_MARGIN_S = 30
"""Beyond `drain`, for ending workers and the last flush; the daemon asks for the same."""
SECRETS = (
    ".ssh", ".gnupg", ".password-store", ".local/share/keyrings", ".netrc", ".aws", ".kube", ".docker", ".config/gh",
    ".mozilla", ".thunderbird", ".config/google-chrome", ".config/chromium",
)  # fmt: skip


class UnitError(Exception):
    """No unit can be written; the message says why and what to do."""


@dataclass(frozen=True)
class Plan:
    """What a unit is made for.

    Parameters
    ----------
    kind
        ``system`` or ``user``.
    user
        Who a system unit runs as; a user unit needs none.
    python
        The interpreter of the daemon's environment, not resolved: a virtual environment is known by its own link.
    namespaces
        Whether a user unit may be given namespaces of its own (see :func:`forbids_namespaces`).
    """

    kind: str
    settings: Settings
    python: Path
    user: str = ""
    namespaces: bool = True

    def render(self) -> str:
        """The unit's text."""
        values = {
            "HOME_TEXT": _text(self.settings.paths.home),
            "HOME": home_line(self.settings),
            "DOCUMENTATION": (CHECKOUT / "docs" / "service.md").as_uri().replace("%", "%%"),
            "USER": self.user,
            "PYTHON": _program(self.python),
            # Compiled code goes where it may be written; a fatal signal, the watchdog's too, leaves every thread's traceback.
            "ENVIRONMENT": " ".join(quote(f"{key}={value}") for key, value in self._environment().items()),
            "UMASK": f"{int(self.settings.umask, 8):04o}",
            "STOP_S": f"{math.ceil(self.settings.drain) + STOP_MARGIN_S}",
            "FOLDERS": self._system_folders(),
            "NETWORK": self._network(),
            "USERS": _USERS if self.settings.group is None else _USERS_WITH_GROUP,
            "CHOWN": _NO_CHOWN if self.settings.group is None else _CHOWN,
            "NAMESPACES": self._namespaces(),
        }
        return re.sub(r"@([A-Z_]+)@", lambda match: values[match[1]], TEMPLATES[self.kind].read_text(encoding="utf-8"))

    def _environment(self) -> dict[str, object]:
        cache = self.settings.paths.cache
        values: dict[str, object] = {
            "PYTHONPATH": CHECKOUT, "PYTHONUNBUFFERED": 1, "PYTHONFAULTHANDLER": 1, "NUMBA_CACHE_DIR": cache / "numba",
        }  # fmt: skip
        if self.kind == "system":
            values["XDG_CACHE_HOME"] = cache  # Its user's own ~/.cache is hidden from it.
        return values

    def _system_folders(self) -> str:
        hidden = (*HOMES, *TEMPORARY)
        writable, code, roots = writable_folders(self.settings), code_folders(self), self.settings.roots
        seen = [folder for folder in _with_targets((*writable, *code, *roots)) if is_below(folder, HOMES)]
        lines = [
            "# /home, /root and /run/user are empty for it, but for its code, its interpreter and the folders that you configured.",
            "ProtectHome=tmpfs",
        ] if seen else ["# Nothing of it lies in anyone's home, so it sees no home.", "ProtectHome=yes"]  # fmt: skip
        # A leading minus: what is missing at the start (a drive that is away) is passed over; the daemon says so and parks.
        for folder in outermost(folder for folder in _with_targets((*code, *roots)) if is_below(folder, hidden)):
            lines.append(f"BindReadOnlyPaths={quote(f'-{folder}')}")
        for folder in _with_targets(writable):
            lines.append(f"{'BindPaths' if is_below(folder, hidden) else 'ReadWritePaths'}={quote(f'-{folder}')}")
        return "\n".join(lines)

    def _namespaces(self) -> str:
        if self.settings.group is not None:
            return f"# None: `group: {self.settings.group}` gives files to a group that a user's namespace cannot name."
        if not self.namespaces:
            return "# None: this machine's kernel does not let users make namespaces. `./drophammer service install --system` protects fully."
        lines = [*_NAMESPACES.splitlines(), f"InaccessiblePaths={' '.join(f'-%h/{name}' for name in SECRETS)}"]
        code = [
            folder
            for folder in _with_targets((*code_folders(self), *self.settings.roots))
            if is_below(folder, TEMPORARY)
        ]
        lines += [f"BindReadOnlyPaths={quote(f'-{folder}')}" for folder in outermost(code)]
        for folder in _with_targets(writable_folders(self.settings)):
            lines.append(f"{'BindPaths' if is_below(folder, TEMPORARY) else 'ReadWritePaths'}={quote(f'-{folder}')}")
        if not self._runs_commands():
            lines.append("PrivateNetwork=yes")
        return "\n".join(lines)

    def _runs_commands(self) -> bool:
        return bool(self.settings.on_done or self.settings.on_failed)

    def _network(self) -> str:
        if self._runs_commands():
            return _NETWORK_FOR_COMMANDS
        return _NO_NETWORK + ("\nPrivateNetwork=yes\nIPAddressDeny=any" if self.kind == "system" else "")


_USERS = """\
# Its own user is the only one it knows; whatever belongs to others shows as nobody's.
PrivateUsers=yes"""
_USERS_WITH_GROUP = """\
# Not PrivateUsers=yes: `group:` in the configuration gives files to a group, which must exist in its world."""
_NO_CHOWN = "# That leaves changing owners out too; with `group:` in the configuration, @chown is let in here."
_CHOWN = """\
# `group:` in the configuration gives finished work to a group. Without capabilities, only to one its user belongs to.
SystemCallFilter=@chown"""
_NO_NETWORK = """\
# None: the daemon listens on state/control.sock alone and fetches nothing. With `on_done` or `on_failed` in the
# configuration it would be open, since a note to a phone needs it: install again after adding one.
RestrictAddressFamilies=AF_UNIX"""
_NETWORK_FOR_COMMANDS = """\
# Open, because `on_done` or `on_failed` in the configuration run commands of yours, such as a note to a phone.
# The daemon itself listens on state/control.sock alone and fetches nothing.
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK"""
_NAMESPACES = """\
PrivateUsers=yes
CapabilityBoundingSet=
ProtectSystem=strict
# Read-only, not hidden: systemd's own socket lies below /run/user, and models below ~/.cache.
ProtectHome=read-only
PrivateTmp=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes"""


def forbids_namespaces(settings: Settings) -> bool:
    """Whether the configuration itself keeps a user unit from having namespaces."""
    return settings.group is not None


def home_line(settings: Settings) -> str:
    """The value that names the installation in a unit; two installations differ in it."""
    return quote(f"DROPHAMMER_HOME={settings.paths.home}")


def writable_folders(settings: Settings) -> tuple[Path, ...]:
    """Every folder the daemon writes: inboxes, outbox, state, and where copies are delivered."""
    paths = settings.paths
    return (*paths.inboxes, paths.outbox, paths.state, *settings.deliver.values())


def code_folders(plan: Plan) -> tuple[Path, ...]:
    """What is read to run at all: the checkout, the installation, and the environments of daemon and lanes."""
    lanes = plan.settings.lanes
    pythons = [plan.python, *(Path(lane.python).expanduser() for lane in (lanes.gpu, lanes.cpu) if lane.python)]
    return (CHECKOUT, plan.settings.paths.home, *(prefix for python in pythons for prefix in prefixes(python)))


def prefixes(python: Path) -> list[Path]:
    """The folders an interpreter needs: its own environment, and the one behind each link on the way to the real file."""
    found: list[Path] = []
    for _ in range(40):  # As many links as the kernel would follow.
        found.append(python.parent.parent)
        if not python.is_symlink():
            break
        python = Path(python.parent, python.readlink())
    found.append(python.resolve().parent.parent)
    return list(dict.fromkeys(Path(re.sub(r"/[^/]+/\.\.(?=/|$)", "", str(folder))) for folder in found))


def is_below(path: Path, places: Iterable[Path]) -> bool:
    return any(path.is_relative_to(place) for place in places)


def outermost(folders: Iterable[Path]) -> list[Path]:
    """The folders that lie in none of the others."""
    chosen: list[Path] = []
    for folder in sorted(set(folders)):
        if not is_below(folder, chosen):
            chosen.append(folder)
    return chosen


def _with_targets(folders: Iterable[Path]) -> list[Path]:
    """Each folder and, where it is reached through a link, what it really is; no folder twice."""
    return list(dict.fromkeys(path for folder in folders for path in (folder, folder.resolve())))


# --- How systemd reads words ---


def quote(word: str) -> str:
    """One word of a unit file that systemd reads back as `word`."""
    escaped = _text(word)
    if re.fullmatch(r"[\w./,+=~%-]+", escaped, re.ASCII):
        return escaped
    return '"' + escaped.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _text(value: object) -> str:
    """Free text of a unit file: specifiers are switched off."""
    text = str(value)
    if any(ord(character) < 32 or ord(character) == 127 for character in text):
        raise UnitError(f"{text!r} holds a control character, which no unit file can say; rename the folder")
    return text.replace("%", "%%")


def _program(path: Path) -> str:
    # With a leading colon nothing of the line is taken for a variable.
    return (":" if "$" in str(path) else "") + quote(str(path))
