"""What systemd is told: ready, status, alive, reloading, stopping. Silent when nobody listens.

The protocol is sd_notify(3): datagrams of ``KEY=value`` lines to the socket named by ``$NOTIFY_SOCKET``.
"""

from __future__ import annotations

import os
import socket


class Notify:
    """The way to the service manager, if there is one."""

    def __init__(self, environment: dict[str, str] | None = None) -> None:
        environment = dict(os.environ) if environment is None else environment
        address = environment.get("NOTIFY_SOCKET", "")
        self.address = "\0" + address[1:] if address.startswith("@") else address
        watched = (
            environment.get("WATCHDOG_USEC", "")
            if environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
            else ""
        )
        self.watchdog_s = int(watched) / 1e6 if watched.isdigit() else None
        """How long we may be silent, in seconds; None: nobody watches."""
        self._status = ""

    def send(self, **keys: object) -> None:
        """Send ``KEY=value`` lines in one datagram. A manager that is gone is no reason to stop working."""
        if not self.address:
            return
        message = "\n".join(f"{key}={value}" for key, value in keys.items())
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as connection:
                connection.connect(self.address)
                connection.send(message.encode(errors="replace"))
        except OSError:
            pass

    def status(self, text: str) -> None:
        """Say in one line what is going on; repeated only when it changes."""
        if text != self._status:
            self._status = text
            self.send(STATUS=text.replace("\n", " "))
