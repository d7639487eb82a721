"""The single examinations behind `doctor`. Each yields findings and never raises for what it is there to find."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from daemon.cli import gpu, terminal
from daemon.cli.jobview import open_ledger

if TYPE_CHECKING:
    from daemon.settings_model import Settings

OK, WARN, FAIL = "ok", "warn", "FAIL"
NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "ceph", "glusterfs", "afs", "ncpfs")
FOLDERS_COUNTED = 100_000
CODEC_ASK_S = 60.0
CODECS = {"WAV": "WAV", "FLAC": "FLAC", "MP3": "MP3", "OGG": "OGG (Vorbis)", "AIFF": "AIFF"}
PYTHON = (3, 11)
LEVELS = {"ok": OK, "warning": WARN, "missing": WARN, "error": FAIL}
"""Of what handlers find, in the doctor's words."""


@dataclass(frozen=True)
class Found:
    """One line of the doctor."""

    level: str
    what: str
    says: str
    remedy: str = ""


def examine() -> Iterator[Found]:
    """Everything, in the order in which it should be mended."""
    from daemon.settings import SettingsError, load

    yield from _python()
    yield from _platform()
    yield from _foreign_package()
    try:
        settings = load()
    except SettingsError as error:
        yield Found(
            FAIL, "configuration", str(error), "correct config/drophammer.yaml; config/defaults.yaml lists every key"
        )
        return
    yield Found(OK, "configuration", "valid")
    yield from _folders(settings)
    yield from _filesystems(settings)
    yield from _inotify(settings)
    yield from _disk(settings)
    yield from _outbox_growth(settings)
    yield from _handlers(settings)
    yield from _said_by_handlers(settings)
    yield from _codecs()
    yield from _gpu()
    yield from _schedules(settings)
    yield from _daemon(settings)


def _python() -> Iterator[Found]:
    version = platform.python_version()
    if sys.version_info < PYTHON:
        yield Found(FAIL, "Python", version, "install Python 3.11 or newer, then: make setup")
    else:
        yield Found(OK, "Python", f"{version} in {sys.prefix}")


def _platform() -> Iterator[Found]:
    if sys.platform == "linux":
        yield Found(OK, "system", f"Linux {platform.release()}")
    else:
        missing = "no inotify (folders are polled), no read leases (files are taken after `settle`), no death signal for workers, no systemd"
        yield Found(
            FAIL, "system", f"{platform.system()}: {missing}", "Linux is supported; run it there, or in a container"
        )


def _foreign_package() -> Iterator[Found]:
    from daemon.settings import CHECKOUT

    spec = importlib.util.find_spec("daemon")
    origin = Path(spec.origin or "") if spec else Path()
    if not origin.is_relative_to(CHECKOUT):
        yield Found(FAIL, "package daemon", f"comes from {origin}", "pip uninstall python-daemon in this environment")
        return
    others = [
        entry
        for entry in sys.path
        if entry and Path(entry, "daemon", "__init__.py").exists() and Path(entry).resolve() != CHECKOUT
    ]
    if others:
        yield Found(
            WARN,
            "package daemon",
            f"another one lies in {', '.join(others)}",
            "pip uninstall python-daemon in this environment",
        )
    else:
        yield Found(OK, "package daemon", "ours")


def _folders(settings: Settings) -> Iterator[Found]:
    paths = settings.paths
    named = [*(("inbox", inbox) for inbox in paths.inboxes), ("outbox", paths.outbox), ("state", paths.state)]
    named += [("roots", root) for root in settings.roots] + [
        (f"deliver {name}", folder) for name, folder in settings.deliver.items()
    ]
    for name, folder in named:
        if not folder.is_dir():
            made = name in ("state", "outbox") and os.access(folder.parent, os.W_OK)
            yield Found(
                OK if made else FAIL,
                name,
                f"{folder} is not there{' yet; the daemon makes it' if made else ''}",
                "" if made else f"mkdir -p {folder}",
            )
        elif name != "roots" and not os.access(folder, os.W_OK | os.X_OK):
            yield Found(
                FAIL,
                name,
                f"{folder} cannot be written by {os.environ.get('USER', os.geteuid())}",
                f"chown or chmod {folder}",
            )
        elif not os.access(folder, os.R_OK | os.X_OK):
            yield Found(FAIL, name, f"{folder} cannot be read", f"chmod {folder}")
        else:
            yield Found(OK, name, str(folder))
    if paths.staging.is_dir() and paths.outbox.stat().st_dev != paths.staging.stat().st_dev:
        yield Found(
            FAIL,
            "staging",
            f"{paths.staging} is another filesystem than {paths.outbox}: publishing is a rename",
            "remove that mount or link",
        )
    if settings.group is not None:
        import grp

        try:
            grp.getgrnam(settings.group)
        except KeyError:
            yield Found(
                FAIL, "group", f"there is no group {settings.group!r}", "correct `group` in config/drophammer.yaml"
            )


def filesystem_of(path: Path, mounts: str) -> str:
    """The type of the filesystem that holds `path`, by the text of /proc/mounts."""
    best, kind = "", "unknown"
    for line in mounts.splitlines():
        fields = line.split()
        if len(fields) < 3:
            continue
        place = fields[1].encode().decode("unicode_escape")
        inside = str(path) == place or str(path).startswith(place.rstrip("/") + "/")
        # Not less: of two mounts at one place the later one is seen.
        if inside and len(place) >= len(best):
            best, kind = place, fields[2]
    return kind


def _filesystems(settings: Settings) -> Iterator[Found]:
    try:
        mounts = Path("/proc/mounts").read_text()
    except OSError:
        yield Found(WARN, "filesystems", "/proc/mounts cannot be read")
        return
    state = filesystem_of(settings.paths.state.resolve(), mounts)
    if state in NETWORK:
        yield Found(
            FAIL, "state", f"lies on {state}: locks and the ledger need a local disk", "set `state:` to a local folder"
        )
    else:
        yield Found(OK, "state", f"on {state}")
    for inbox in settings.paths.inboxes:
        kind = filesystem_of(inbox.resolve(), mounts)
        if kind in NETWORK:
            yield Found(
                WARN,
                "inbox",
                f"{inbox} lies on {kind}, which sends no events: it is polled",
                "expected on a share; `watch: poll` makes it explicit",
            )


def _inotify(settings: Settings) -> Iterator[Found]:
    limits = {}
    for name in ("max_user_watches", "max_user_instances", "max_queued_events"):
        try:
            limits[name] = int(Path("/proc/sys/fs/inotify", name).read_text())
        except (OSError, ValueError):
            yield Found(
                WARN, "inotify", f"{name} cannot be read: folders are polled", "Linux with inotify gives events at once"
            )
            return
    folders = 0
    for inbox in settings.paths.inboxes:
        for _ in os.walk(inbox):
            folders += 1
            if folders > FOLDERS_COUNTED:
                break
    says = f"{folders} folders to watch, {limits['max_user_watches']} watches, {limits['max_user_instances']} instances allowed"
    if folders > limits["max_user_watches"] // 2:
        yield Found(WARN, "inotify", says, f"sudo sysctl fs.inotify.max_user_watches={max(65_536, 4 * folders)}")
    elif limits["max_user_instances"] < 16:
        yield Found(WARN, "inotify", says, "sudo sysctl fs.inotify.max_user_instances=256")
    else:
        yield Found(OK, "inotify", says)


def _disk(settings: Settings) -> Iterator[Found]:
    for name, folder in (("disk of outbox", settings.paths.outbox), ("disk of state", settings.paths.state)):
        while not folder.exists():
            folder = folder.parent
        usage = shutil.disk_usage(folder)
        says = f"{terminal.size(usage.free)} of {terminal.size(usage.total)} free"
        if usage.free < settings.min_free:
            yield Found(
                FAIL,
                name,
                f"{says}: below min_free ({terminal.size(settings.min_free)}), so no step is started",
                "make room, or lower min_free",
            )
        elif usage.free < 4 * settings.min_free:
            yield Found(WARN, name, says, "make room soon")
        else:
            yield Found(OK, name, says)


def _outbox_growth(settings: Settings) -> Iterator[Found]:
    connection = open_ledger(settings.paths)
    if connection is None:
        yield Found(OK, "outbox", "nothing published yet")
        return
    query = (
        "SELECT count(DISTINCT jobs.id), coalesce(sum(size_bytes), 0) FROM jobs LEFT JOIN artifacts ON artifacts.job_id = jobs.id"
        " WHERE jobs.folder IS NOT NULL AND jobs.finished_at >= ?"
    )
    week = (datetime.now(UTC) - timedelta(days=7)).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    jobs, size = connection.execute(query, ("",)).fetchone()
    new_jobs, new_size = connection.execute(query, (week,)).fetchone()
    says = f"{jobs} jobs, {terminal.size(size)} published; last 7 days: {new_jobs} jobs, {terminal.size(new_size)}"
    if settings.paths.outbox.is_dir() and new_size:
        weeks = shutil.disk_usage(settings.paths.outbox).free / new_size
        says += f"; at that pace full in {weeks:.0f} weeks" if weeks < 520 else ""
        if weeks < 4:
            yield Found(WARN, "outbox", says, "old results are yours to delete: remove folders from the outbox")
            return
    yield Found(OK, "outbox", says)


def _handlers(settings: Settings) -> Iterator[Found]:
    from handlers.registry import load_registry

    registry = load_registry(settings.handlers)
    yield Found(OK if registry else FAIL, "handlers", ", ".join(registry) or "none loaded")
    for source, reason in registry.problems:
        yield Found(FAIL, "handler", f"{source}: {reason}", "mend or remove it; all others work")


def _said_by_handlers(settings: Settings) -> Iterator[Found]:
    """What handlers say of themselves: models, libraries."""
    from daemon.documents.outlook import HandlerFault, ask
    from handlers.contract import World
    from handlers.registry import load_registry

    world = World(settings.paths.config, settings.paths.state)
    for handler in load_registry(settings.handlers).values():
        if handler.examine is None:
            continue
        try:
            findings = ask(handler.examine, handler, world)
        except HandlerFault as error:
            yield Found(FAIL, handler.name, str(error), "mend or remove it; all others work")
            continue
        for finding in findings:
            yield Found(LEVELS[finding.kind], finding.key, finding.message, finding.remedy)


def _codecs() -> Iterator[Found]:
    # In another process: the libraries are heavy, and a broken one must not end the doctor.
    script = "import json, soundfile; print(json.dumps([soundfile.__libsndfile_version__, sorted(soundfile.available_formats())]))"
    try:
        answer = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, timeout=CODEC_ASK_S, check=False
        )
    except subprocess.TimeoutExpired:
        yield Found(FAIL, "codecs", f"soundfile did not answer within {CODEC_ASK_S:g} s", "make setup")
        return
    if answer.returncode != 0:
        yield Found(
            FAIL, "codecs", answer.stderr.strip().rpartition("\n")[2] or "soundfile does not load", "make setup"
        )
        return
    version, formats = json.loads(answer.stdout)
    missing = [name for key, name in CODECS.items() if key not in formats]
    if missing:
        yield Found(
            WARN,
            "codecs",
            f"libsndfile {version} cannot write {', '.join(missing)}",
            "libsndfile 1.1 or newer writes MP3: make setup",
        )
    else:
        yield Found(OK, "codecs", f"libsndfile {version}: {', '.join(CODECS.values())}")


def _gpu() -> Iterator[Found]:
    names = gpu.names()
    if not names:
        yield Found(OK, "GPU", "none found: the built-in instrument does not need one")
        return
    yield Found(OK, "GPU", "; ".join(gpu.memory() or names))


def _schedules(settings: Settings) -> Iterator[Found]:
    from daemon import schedule
    from daemon.documents import DocumentError
    from daemon.settings import SettingsError

    try:
        found = schedule.read(settings.paths.config / "schedules.yaml")
    except (DocumentError, SettingsError, ValueError, OSError) as error:
        yield Found(FAIL, "schedules", str(error), "correct config/schedules.yaml")
        return
    yield Found(OK, "schedules", f"{len(found)} ({sum(entry.enabled for entry in found)} enabled)")


def _daemon(settings: Settings) -> Iterator[Found]:
    from daemon.control import ControlError, ask

    answer: dict[str, Any]
    try:
        answer = ask(settings.paths, {"do": "status"})
    except ControlError as error:
        yield Found(WARN, "daemon", str(error), "./drophammer run, or for good: ./drophammer service install")
        return
    if answer.get("obstacle"):
        yield Found(FAIL, "daemon", f"process {answer['pid']}, parked: {answer['obstacle']}", "see the message")
    else:
        yield Found(OK, "daemon", f"process {answer['pid']}, version {answer['version']}")
