"""One thread that listens to all workers: their messages, their output, and their end.

It parses, thins out and posts; it decides nothing. A worker's end is posted after everything it said.
"""

from __future__ import annotations

import json
import os
import queue
import selectors
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, get_args

from daemon.events import Event, WorkerDied, WorkerSpoke
from daemon.ledger import sound_text
from handlers.contract import Kind

MAX_LINE = 1 << 20
NUMBER, TEXT, NOTHING = (int, float), (str,), (type(None),)
SHAPES: dict[str, dict[str, tuple[type, ...]]] = {
    "ready": {},
    "progress": {"phase": TEXT, "done": NUMBER, "total": NUMBER + NOTHING, "unit": TEXT + NOTHING},
    "log": {"level": TEXT, "message": TEXT, "facts": (dict,)},
    "item": {
        "item": (int,), "kind": TEXT, "label": TEXT, "file": TEXT, "size_bytes": (int,), "sha256": TEXT, "facts": (dict,),
    },
    "done": {"warnings": (list,), "inputs": (list,), "versions": (dict,), "cpu_s": NUMBER, "peak_memory_bytes": (int,)},
    "failed": {"meaning": TEXT, "message": TEXT, "traceback": TEXT + NOTHING, "warnings": (list,), "inputs": (list,)},
}  # fmt: skip
"""What the main thread may rely on in a message. Anything else is garbage: it costs the worker, not the daemon."""
READ_SIZE = 1 << 16
PROGRESS_INTERVAL_S = 0.2
LINES_PER_S = 200
"""More log lines than this from one worker in one second are counted and not kept: output may be endless."""
LAST_READS = 32
"""After a worker's end its pipes hold no more than this many reads of its own; a child of it may write without end."""


@dataclass
class Voice:
    """What is known of one worker's pipes."""

    lane: str
    worker: int
    process: int
    messages: int
    output: int
    buffers: dict[int, bytearray] = field(default_factory=dict)
    progress_at: float = 0.0
    phase: str | None = None
    second: int = 0
    lines: int = 0
    dropped: int = 0
    garbled: bool = False


class Ears:
    """Listens to the descriptors of every worker until it is told to stop."""

    def __init__(self, post: Callable[[Event], None], clock: Callable[[], float] = time.monotonic) -> None:
        self.post = post
        self.clock = clock
        self.selector = selectors.DefaultSelector()
        self.arrivals: queue.SimpleQueue[Voice] = queue.SimpleQueue()
        self.wake_read, self.wake_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.selector.register(self.wake_read, selectors.EVENT_READ, None)
        threading.Thread(target=self._listen, name="ears", daemon=True).start()

    def attend(self, lane: str, worker: int, pid: int, messages: int, output: int) -> None:
        """Listen to a new worker. Takes over both descriptors, and must be called before the worker is reaped."""
        for descriptor in (messages, output):
            os.set_blocking(descriptor, False)
        self.arrivals.put(Voice(lane, worker, os.pidfd_open(pid), messages, output))
        os.write(self.wake_write, b"!")

    def _listen(self) -> None:
        while True:
            for key, _ in self.selector.select():
                if key.data is None:
                    self._admit()
                elif key.fd in key.data.buffers:
                    self._read(key.data, key.fd)
                elif key.fd == key.data.process:
                    self._bury(key.data)

    def _admit(self) -> None:
        os.read(self.wake_read, 4096)
        while not self.arrivals.empty():
            voice = self.arrivals.get()
            for descriptor in (voice.messages, voice.output):
                voice.buffers[descriptor] = bytearray()
                self.selector.register(descriptor, selectors.EVENT_READ, voice)
            self.selector.register(voice.process, selectors.EVENT_READ, voice)

    def _read(self, voice: Voice, descriptor: int) -> bool:
        """Read once; False when there is nothing more to read now."""
        try:
            data = os.read(descriptor, READ_SIZE)
        except BlockingIOError:
            return False
        if not data:
            self._close(voice, descriptor)
            return False
        buffer = voice.buffers[descriptor]
        buffer += data
        *lines, rest = buffer.split(b"\n")
        voice.buffers[descriptor] = bytearray(rest)
        for line in lines:
            self._line(voice, descriptor, bytes(line))
        if len(rest) > MAX_LINE:
            voice.buffers[descriptor] = bytearray()
            self._line(voice, descriptor, bytes(rest))
        return True

    def _line(self, voice: Voice, descriptor: int, line: bytes) -> None:
        if descriptor == voice.output:
            if line.strip():
                self._log(voice, {"say": "output", "message": line[:4000].decode(errors="replace")})
            return
        if voice.garbled:
            return
        message = read_message(line)
        if message is None:
            voice.garbled = True
            self._post(voice, {"say": "garbled", "message": f"{len(line)} bytes that are no message: {line[:80]!r}"})
        elif message["say"] == "progress":
            self._progress(voice, message)
        elif message["say"] == "log":
            self._log(voice, message)
        else:
            self._post(voice, message)

    def _progress(self, voice: Voice, message: dict[str, Any]) -> None:
        now = self.clock()
        if message.get("phase") != voice.phase or now - voice.progress_at >= PROGRESS_INTERVAL_S:
            voice.phase, voice.progress_at = message.get("phase"), now
            self._post(voice, message)

    def _log(self, voice: Voice, message: dict[str, Any]) -> None:
        second = int(self.clock())
        if second != voice.second:
            if voice.dropped:
                self._post(voice, {"say": "output", "message": f"... {voice.dropped} more lines were not kept"})
            voice.second, voice.lines, voice.dropped = second, 0, 0
        voice.lines += 1
        if voice.lines <= LINES_PER_S:
            self._post(voice, message)
        else:
            voice.dropped += 1

    def _post(self, voice: Voice, message: dict[str, Any]) -> None:
        self.post(WorkerSpoke(voice.lane, voice.worker, message))

    def _bury(self, voice: Voice) -> None:
        """The process has ended: read what is left on its pipes, then say so. Orphans may hold them open, so no EOF is awaited."""
        for descriptor in list(voice.buffers):
            for _ in range(LAST_READS):
                if not self._read(voice, descriptor):
                    break
            if descriptor in voice.buffers:
                self._close(voice, descriptor)
        self.selector.unregister(voice.process)
        os.close(voice.process)
        self.post(WorkerDied(voice.lane, voice.worker))

    def _close(self, voice: Voice, descriptor: int) -> None:
        self.selector.unregister(descriptor)
        os.close(descriptor)
        del voice.buffers[descriptor]


def read_message(line: bytes) -> dict[str, Any] | None:
    """One line of the protocol; None when it is none."""
    try:
        message = json.loads(line, parse_constant=_refuse) if len(line) <= MAX_LINE else None
    except (ValueError, RecursionError):
        return None
    shape = SHAPES.get(str(message.get("say"))) if isinstance(message, dict) else None
    if shape is None or not all(_fits(message.get(key), kinds) for key, kinds in shape.items()):
        return None
    if message["say"] == "item" and (
        message["kind"] not in get_args(Kind) or "/" in message["file"] + message["label"]
    ):
        return None
    # A handler's words may name a file whose name is no text; the ledger, pages and terminals hold text only.
    sound = {key: sound_text(value) if isinstance(value, str) else value for key, value in message.items()}
    if "warnings" in sound:
        sound["warnings"] = [sound_text(str(warning)) for warning in sound["warnings"]]
    return sound


def _fits(value: Any, kinds: tuple[type, ...]) -> bool:
    """Of the right type, and a number that a column of the ledger can hold."""
    return isinstance(value, kinds) and (not isinstance(value, int) or abs(value) < 1 << 63)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
