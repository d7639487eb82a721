"""What `doctor` finds about the places where files lie: folders, filesystems, watches, disks. Nothing is raised."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from daemon.cli import terminal
from daemon.cli.jobview import open_ledger

if TYPE_CHECKING:
    from daemon.settings_model import Settings

OK, WARN, FAIL = "ok", "warn", "FAIL"
NETWORK = ("nfs", "nfs4", "cifs", "smb3", "smbfs", "fuse.sshfs", "9p", "ceph", "glusterfs", "afs", "ncpfs")
FOLDERS_COUNTED = 100_000


@dataclass(frozen=True)
class Found:
    """One line of the doctor."""

    level: str
    what: str
    says: str
    remedy: str = ""


def folders(settings: Settings) -> Iterator[Found]:
    """Whether every configured folder is there and can be used."""
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


def filesystems(settings: Settings) -> Iterator[Found]:
    """Whether the state lies on a local disk, and the inboxes where events come from."""
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


def inotify(settings: Settings) -> Iterator[Found]:
    """Whether the kernel watches as many folders as there are."""
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


def disk(settings: Settings) -> Iterator[Found]:
    """Whether there is room."""
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


def outbox_growth(settings: Settings) -> Iterator[Found]:
    """How fast the outbox fills."""
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
