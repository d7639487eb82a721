"""A hub on this machine: it tells of files and serves them as the real one does, and fails on request."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

COMMIT = "c0ffee" + "0" * 34
SMALL_BYTES = 1000
"""Smaller files are kept by git itself and have no SHA-256."""
CUT_AT = 0.4


@dataclass
class FakeHub:
    """Repositories by name, their files by name; what happens to the next requests; what was asked for."""

    repositories: dict[str, dict[str, bytes]] = field(default_factory=dict)
    faults: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    """By file name, for its next requests: `cut` ends after 40 % of the file, `wrong` changes its last byte, `busy`
    refuses, `whole` knows no ranges."""
    asked: list[tuple[str, int]] = field(default_factory=list)
    """Files that were asked for, with the byte that was begun at."""
    url: str = ""

    def times(self, name: str) -> int:
        """How often a file was asked for."""
        return sum(asked == name for asked, _ in self.asked)


@contextmanager
def serve(hub: FakeHub) -> Iterator[FakeHub]:
    """Serve until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.do_GET()

        def do_GET(self) -> None:
            if wanted := re.fullmatch(r"/(.+)/resolve/(\w+)/([^/]+)", self.path):
                self._resolve(*wanted.groups())
            elif wanted := re.fullmatch(r"/elsewhere/(.+)/([^/]+)", self.path):
                self._send(wanted[1], wanted[2], {})
            else:
                self._answer(404, {"Content-Length": "0"})

        def _resolve(self, repository: str, revision: str, name: str) -> None:
            if repository not in hub.repositories or revision not in ("main", COMMIT):
                self._answer(404, {"X-Error-Code": "RepoNotFound", "Content-Length": "0"})
                return
            if name not in hub.repositories[repository]:
                self._answer(404, {"X-Error-Code": "EntryNotFound", "Content-Length": "0"})
                return
            content = hub.repositories[repository][name]
            if len(content) < SMALL_BYTES:
                git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
                self._send(repository, name, {"X-Repo-Commit": COMMIT, "ETag": f'"{git}"'})
                return
            # Large files are kept on another host, as the real hub does.
            elsewhere = hub.url.replace("127.0.0.1", "localhost")
            headers = {"Location": f"{elsewhere}/elsewhere/{repository}/{name}", "Content-Length": "0"}
            linked = {"X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Linked-Size": str(len(content))}
            self._answer(302, {**headers, **linked, "X-Repo-Commit": COMMIT})

        def _send(self, repository: str, name: str, headers: dict[str, str]) -> None:
            content = hub.repositories[repository][name]
            if self.command == "HEAD":
                self._answer(200, {**headers, "Content-Length": str(len(content))})
                return
            asked = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
            start = int(asked[1]) if asked else 0
            hub.asked.append((name, start))
            fault = hub.faults[name].pop(0) if hub.faults[name] else ""
            if fault == "busy":
                self._answer(503, {"Content-Length": "0"})
                return
            if fault == "whole":
                asked, start = None, 0
            if fault == "wrong":
                content = content[:-1] + bytes([content[-1] ^ 1])
            headers = {**headers, "Content-Length": str(len(content) - start)}
            if asked:
                headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
            self._answer(206 if asked else 200, headers)
            self.wfile.write(content[start : int(CUT_AT * len(content))] if fault == "cut" else content[start:])
            self.close_connection = fault == "cut"

        def _answer(self, status: int, headers: dict[str, str]) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *words: object) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()

