"""What workers say, through real pipes: whole lines, thinned out, and a worker's end after its last word."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from daemon.ears import LINES_PER_S, MAX_LINE, Ears
from daemon.events import Event, WorkerDied, WorkerSpoke
from tests.conftest import eventually


class Speaker:
    """A process that does nothing, and both pipes in the test's hand."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.ears = Ears(self.events.append)
        self.process = subprocess.Popen(["sleep", "60"])
        messages, self.messages = os.pipe()
        output, self.output = os.pipe()
        self.ears.attend("cpu", 1, self.process.pid, messages, output)

    def say(self, data: bytes | dict[str, Any]) -> None:
        data = data if isinstance(data, bytes) else json.dumps(data).encode() + b"\n"
        while data:
            data = data[os.write(self.messages, data) :]

    def heard(self, say: str) -> list[dict[str, Any]]:
        return [event.message for event in self.events if isinstance(event, WorkerSpoke) and event.message["say"] == say]

    def die(self) -> None:
        self.process.kill()
        eventually(lambda: any(isinstance(event, WorkerDied) for event in self.events), "its end is heard")
        self.process.wait()


@pytest.fixture
def speaker() -> Iterator[Speaker]:
    speaker = Speaker()
    yield speaker
    speaker.process.kill()
    speaker.process.wait()
    os.close(speaker.messages)
    os.close(speaker.output)


def test_a_message_in_pieces_is_one_message(speaker: Speaker) -> None:
    for byte in b'{"say": "ready", "pid": 1}\n':
        speaker.say(bytes([byte]))
    eventually(lambda: speaker.heard("ready"), "it is heard")
    assert speaker.heard("ready") == [{"say": "ready", "pid": 1}] and not speaker.heard("garbled")


ITEM = {
    "say": "item", "attempt": 1, "item": 1, "kind": "primary", "label": "", "file": "1.wav", "size_bytes": 5,
    "sha256": "0" * 64, "facts": {},
}  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        b"this is no JSON\n",
        b"[" * 200_000 + b"\n",
        b"\xff\xfe\n",
        b'"ready"\n',
        b'{"say": 1}\n',
        b'{"say": "dance"}\n',
        b"x" * (MAX_LINE + 2),
        json.dumps({"say": "progress", "phase": "working", "done": "3", "total": "4"}).encode() + b"\n",
        json.dumps({"say": "progress", "phase": "working", "done": float("nan")}).encode() + b"\n",
        json.dumps({"say": "log", "message": "no facts"}).encode() + b"\n",
        json.dumps({"say": "failed", "meaning": "bug"}).encode() + b"\n",
        json.dumps({**ITEM, "kind": "preview"}).encode() + b"\n",
        json.dumps({**ITEM, "item": 10**20}).encode() + b"\n",
        json.dumps({**ITEM, "file": "../1.wav"}).encode() + b"\n",
    ],
    ids=lambda line: line[:60].decode(errors="replace"),
)
def test_what_is_no_message_is_reported_once_and_nothing_after_it_is_heard(speaker: Speaker, line: bytes) -> None:
    speaker.say(line)
    speaker.say(ITEM)
    speaker.die()
    assert len(speaker.heard("garbled")) == 1
    assert not speaker.heard("item")


def test_a_good_message_is_heard_as_it_was_said(speaker: Speaker) -> None:
    speaker.say(ITEM)
    speaker.die()
    assert speaker.heard("item") == [ITEM]


def test_a_worker_ends_after_its_last_word(speaker: Speaker) -> None:
    for number in range(2000):
        speaker.say({"say": "ready", "pid": number})
    speaker.die()
    assert [message["pid"] for message in speaker.heard("ready")] == list(range(2000))
    assert isinstance(speaker.events[-1], WorkerDied)


def test_half_a_line_at_the_end_is_no_message(speaker: Speaker) -> None:
    speaker.say(b'{"say": "ready", ')
    speaker.die()
    assert not speaker.heard("ready") and not speaker.heard("garbled")


def test_pipes_closed_before_the_end_are_not_the_end(speaker: Speaker) -> None:
    os.close(speaker.messages)
    speaker.messages = os.open("/dev/null", os.O_WRONLY)
    os.write(speaker.output, b"still here\n")
    eventually(lambda: speaker.heard("output"), "its output is heard")
    assert not any(isinstance(event, WorkerDied) for event in speaker.events)
    speaker.die()


def test_endless_output_is_thinned_out_and_said_so(speaker: Speaker) -> None:
    for _ in range(10 * LINES_PER_S):
        os.write(speaker.output, b"endless output\n")
    speaker.die()
    assert LINES_PER_S <= len(speaker.heard("output")) < 10 * LINES_PER_S


def test_output_without_an_end_of_line_is_cut_and_no_crash(speaker: Speaker) -> None:
    for _ in range(3 * 16):
        os.write(speaker.output, b"x" * 65536)
    os.write(speaker.output, b"\nafter\n")
    eventually(lambda: speaker.heard("output") and speaker.heard("output")[-1]["message"] == "after", "it goes on")
    assert all(len(message["message"]) <= 4000 for message in speaker.heard("output"))


def test_progress_is_thinned_out_but_a_new_phase_is_not(speaker: Speaker) -> None:
    for done in range(500):
        speaker.say({"say": "progress", "attempt": 1, "phase": "working", "done": done, "total": 500, "unit": ""})
    speaker.say({"say": "progress", "attempt": 1, "phase": "encoding", "done": 0, "total": 1, "unit": ""})
    speaker.die()
    heard = speaker.heard("progress")
    assert len(heard) < 250 and heard[-1]["phase"] == "encoding"
