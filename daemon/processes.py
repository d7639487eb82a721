"""Processes as the kernel knows them: which one it is, how large its group, how it is ended."""

from __future__ import annotations

import os
import signal
from pathlib import Path


def kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks after boot; None when there is none. With the boot id it names a process for good."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None
    return int(fields[19])


def boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def group_memory(pid: int) -> int:
    """Resident bytes of a worker and its children (one level, read from /proc)."""
    page = os.sysconf("SC_PAGESIZE")
    total = 0
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for process in (str(pid), *children):
            total += int(Path(f"/proc/{process}/statm").read_bytes().split()[1]) * page
    except OSError:
        pass  # It ended while we looked.
    return total
