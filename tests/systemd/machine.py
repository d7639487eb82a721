"""A machine to try units on: a real systemd, booted in about three seconds, over an overlay that vanishes afterwards.

Its processes, mounts and writes are its own; it sees this machine's files at their usual places. It needs root, overlayfs
and systemd; :class:`Unavailable` says what is missing.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
SYSTEMD = Path("/lib/systemd/systemd")
NAMESPACES = ("-m", "-p", "-u", "-i", "-r", "-w")
BOOT_S = 60.0


class Unavailable(Exception):
    """No machine can be booted here; the message says why."""


class Machine:
    """One booted systemd. :meth:`close` ends every process in it and throws its writes away."""

    def __init__(self) -> None:
        missing = [tool for tool in ("unshare", "nsenter", "pivot_root", "systemctl") if shutil.which(tool) is None]
        if os.geteuid() != 0 or not SYSTEMD.exists() or missing:
            raise Unavailable(f"needs root, systemd and util-linux; missing: {', '.join(missing) or 'root or systemd'}")
        self.scratch = Path(tempfile.mkdtemp(prefix="drophammer-machine-", dir="/dev/shm"))
        self.log = self.scratch / "boot.log"
        command = ["unshare", "--fork", "--pid", "--mount", "--uts", "--ipc", "--kill-child"]
        command += [str(Path(__file__).with_name("boot.sh")), str(self.scratch), str(CHECKOUT), sys.base_prefix]
        with open(self.log, "wb") as log:
            self.outer = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.first = 0
        try:
            self._wait_for_boot()
        except BaseException:
            self.close()
            raise

    def _wait_for_boot(self) -> None:
        until = time.monotonic() + BOOT_S
        while time.monotonic() < until:
            if self.outer.poll() is not None:
                raise Unavailable(f"systemd did not start here: {self.log.read_text(errors='replace')[-1000:]}")
            if not self.first:
                children = Path(f"/proc/{self.outer.pid}/task/{self.outer.pid}/children").read_text().split()
                if children and Path(f"/proc/{children[0]}/comm").read_text() == "systemd\n":
                    self.first = int(children[0])
            elif self.run("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"):
                return
            time.sleep(0.1)
        raise Unavailable(
            f"systemd did not come up within {BOOT_S:g} s: {self.log.read_text(errors='replace')[-1000:]}"
        )

    def run(
        self, *command: str, user: str | None = None, text: str = "", check: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root or as `user` with that user's session; `text` is its stdin. Returns what it said."""
        if user is not None:
            number = self.run("id", "-u", user, check=True).stdout.strip()
            session = [f"HOME=/home/{user}", f"USER={user}", f"XDG_RUNTIME_DIR=/run/user/{number}"]
            command = ("setpriv", f"--reuid={user}", f"--regid={user}", "--init-groups", "env", *session, *command)
        inside = ["nsenter", "-t", str(self.first), *NAMESPACES, "--"]
        done = subprocess.run(
            [*inside, *command], input=text, capture_output=True, text=True, errors="replace", check=False
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
        return done

    def close(self) -> None:
        if self.first:
            try:
                os.kill(self.first, signal.SIGKILL)
            except ProcessLookupError:
                pass
        else:
            self.outer.kill()
        self.outer.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)
