"""The control socket: one JSON object a line, each way.

The server's threads only turn requests into events; the answer is sent when the main thread's transaction is committed.
Only the user the daemon runs as (and root) may speak: the socket's mode says so, and the peer's credentials are checked.
"""

from __future__ import annotations

import json
import os
import queue
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from daemon.events import Command, Event

if TYPE_CHECKING:
    from daemon.settings import Paths

MAX_LINE = 1 << 20
CLIENT_TIMEOUT_S = 60.0
ACCEPT_PAUSE_S = 0.1
CLIENTS = 32
"""Served at once; the others wait in the socket's queue."""


class ControlError(Exception):
    """The daemon could not be asked, or refused; the message says which."""


def ask(paths: Paths, request: dict[str, Any], timeout_s: float = 10.0) -> dict[str, Any]:
    """Send one request to the running daemon and return its answer.

    Raises
    ------
    ControlError
        When no daemon runs, it does not answer in time, or it refuses.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(timeout_s)
        try:
            with _short_address(paths) as address:
                connection.connect(address)
            connection.sendall(json.dumps(request).encode() + b"\n")
            with connection.makefile("rb") as stream:
                line = stream.readline(16 * MAX_LINE)
        except (FileNotFoundError, ConnectionRefusedError):
            raise ControlError(f"no daemon is running for {paths.home} (start one: ./drophammer run)") from None
        except PermissionError:
            raise ControlError(f"{paths.socket}: the daemon belongs to another user") from None
        except TimeoutError:
            raise ControlError(f"the daemon did not answer within {timeout_s:g} s") from None
        except OSError as error:
            raise ControlError(f"the daemon went away while it was asked: {error.strerror}") from None
    if not line.endswith(b"\n"):
        raise ControlError("the daemon closed the connection without an answer")
    answer = json.loads(line)
    if not answer.get("ok"):
        raise ControlError(answer.get("error", "refused"))
    return answer


class _short_address:
    """A socket's path that fits into the kernel's 108 bytes, however deep the folder lies."""

    def __init__(self, paths: Paths) -> None:
        self.path = paths.socket
        self.folder: int | None = None

    def __enter__(self) -> str:
        if len(os.fsencode(self.path)) < 100:
            return str(self.path)
        self.folder = os.open(self.path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        return f"/proc/self/fd/{self.folder}/{self.path.name}"

    def __exit__(self, *_: object) -> None:
        if self.folder is not None:
            os.close(self.folder)


class Control:
    """The server: accepts, reads requests, posts them as :class:`~daemon.events.Command`."""

    def __init__(self, paths: Paths, post: Callable[[Event], None]) -> None:
        self.paths = paths
        self.post = post
        self.listener: socket.socket | None = None
        self.stopped = False
        self.places = threading.BoundedSemaphore(CLIENTS)

    def start(self) -> None:
        """Listen. The caller holds the daemon's lock, so a socket file that lies there is a dead one's."""
        self.paths.socket.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with _short_address(self.paths) as address:
            self.listener.bind(address)
        os.chmod(self.paths.socket, 0o600)
        self.listener.listen(64)
        threading.Thread(target=self._accept, name="control", daemon=True).start()

    def stop(self) -> None:
        self.stopped = True
        if self.listener is not None:
            self.paths.socket.unlink(missing_ok=True)
            self.listener.close()

    def _accept(self) -> None:
        while not self.stopped:
            self.places.acquire()
            try:
                connection, _ = self.listener.accept()
            except OSError:  # No descriptor is free, or the asker has gone again.
                self.places.release()
                time.sleep(ACCEPT_PAUSE_S)
                continue
            threading.Thread(target=self._serve, args=(connection,), name="control client", daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        try:
            self._talk(connection)
        finally:
            self.places.release()

    def _talk(self, connection: socket.socket) -> None:
        with connection:
            connection.settimeout(CLIENT_TIMEOUT_S)
            _, user, _ = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
            if user not in (0, os.geteuid()):
                _send(connection, {"ok": False, "error": "this daemon belongs to another user"})
                return
            try:
                with connection.makefile("rb") as stream:
                    while line := stream.readline(MAX_LINE):
                        self._answer(connection, line)
                        if not line.endswith(b"\n"):
                            return
            except OSError:
                return

    def _answer(self, connection: socket.socket, line: bytes) -> None:
        try:
            request = json.loads(line)
        except (ValueError, RecursionError):
            request = None
        if not isinstance(request, dict):
            _send(connection, {"ok": False, "error": "a request is one JSON object on one line"})
            return
        # The answer is sent from here and not from the loop: a client that does not read must not hold the loop up.
        answers: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()
        self.post(Command(request, answers.put))
        try:
            _send(connection, answers.get(timeout=CLIENT_TIMEOUT_S))
        except queue.Empty:
            _send(connection, {"ok": False, "error": "the daemon is busy and did not answer in time"})


def _send(connection: socket.socket, answer: dict[str, Any]) -> None:
    try:
        connection.sendall(json.dumps(answer, default=str).encode() + b"\n")
    except OSError:
        pass  # The asker has gone; nobody waits for this answer.
