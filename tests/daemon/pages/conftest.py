"""Finished jobs' folders, made up: a manifest and the files it names, real WAV and PNG files written here."""

from __future__ import annotations

import copy
import math
import struct
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

SAMPLE_RATE = 8000

DOCUMENT = """\
# The industrial set, on the built-in instrument.
name: industrial-set
seed: 7
steps:
  beds:        {do: stems, style: industrial/bed, duration: 2, count: 3}
  transitions: {do: stems, style: industrial/transition, duration: 1, count: 1}
  mix:
    do: mix
    order: [beds/1, transitions/1, beds/2]
    formats: [flac, {mp3: {kbps: 192}}]
  grid: {do: beats, input: mix}
"""

Made = tuple[Path, dict[str, Any]]


def write_wav(path: Path, duration_s: float, frequency_hz: float = 110.0) -> None:
    samples = (int(9000 * math.sin(2 * math.pi * frequency_hz * n / SAMPLE_RATE)) for n in range(round(duration_s * SAMPLE_RATE)))
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(b"".join(struct.pack("<h", sample) for sample in samples))


def step_entry(name: str, handler: str, items: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "handler": handler,
        "handler_version": "1",
        "params": {},
        "state": "done",
        "lane": "cpu",
        "started_at": "2026-11-21T02:03:16.000Z",
        "finished_at": "2026-11-21T02:03:20.500Z",
        "took_s": 4.5,
        "cpu_s": 4.2,
        "peak_memory_bytes": 182_000_000,
        "versions": {"python": "3.11.7", "numpy": "2.1.0"},
        "attempts": [
            {
                "run": 1,
                "number": 1,
                "outcome": "done",
                "meaning": None,
                "message": None,
                "started_at": "2026-11-21T02:03:16.000Z",
                "ended_at": "2026-11-21T02:03:20.500Z",
            }
        ],
        "warnings": [],
        "inputs": [],
        "items": items,
        **more,
    }


def manifest_of(steps: list[dict[str, Any]], **job: Any) -> dict[str, Any]:
    return {
        "manifest_version": 1,
        "drophammer": "0.1.0",
        "job": {
            "id": "20261121-020315-industrial-set-0042",
            "name": "industrial-set",
            "state": "done",
            "reason": None,
            "seed": 7,
            "procedural": False,
            "failures": 0,
            "origin": "inbox",
            "accepted_at": "2026-11-21T02:03:15.250Z",
            "started_at": "2026-11-21T02:03:16.000Z",
            "finished_at": "2026-11-21T02:03:30.250Z",
            "from_job": None,
            "document": DOCUMENT,
            **job,
        },
        "host": {"hostname": "anvil", "platform": "Linux 6.1 x86_64", "python": "3.11.7", "cpu": "Some CPU, 8 threads", "gpu": None},
        "steps": steps,
    }


class Shelf:
    """Makes the files of items and their entries together."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("job.yaml", "manifest.json", "log.jsonl"):
            (folder / name).touch()

    def file(self, name: str, kind: str, label: str = "", duration_s: float = 0.5) -> dict[str, Any]:
        path = self.folder / name
        if path.suffix == ".wav":
            write_wav(path, duration_s)
        elif path.suffix == ".png":
            Image.new("RGB", (1600, 420), (40, 20, 60)).save(path)
        else:
            path.write_bytes(b"{}" if path.suffix == ".json" else b"\0" * 1234)
        return {"name": name, "kind": kind, "label": label, "size_bytes": path.stat().st_size, "sha256": "ab" * 32}

    def stem(self, step: str, number: int, duration_s: float, **facts: Any) -> dict[str, Any]:
        name = f"industrial-set_{step}_{number}"
        return {
            "item": number,
            "run": 1,
            "label": f"{step}/{number}",
            "facts": {
                "duration_s": duration_s,
                "tempo_bpm": 128.0,
                "key": "A minor",
                "prompt": "cold hangar, chains, distant machines",
                "seed": 4000 + number,
                "model": "procedural",
                "licence": "CC0-1.0",
                "integrated_lufs": -14.12,
                "true_peak_dbtp": -1.0,
                "sections": [{"start_s": 0.0, "end_s": 0.5, "label": "intro"}, {"start_s": 0.5, "end_s": duration_s, "label": "drop"}],
                **facts,
            },
            "files": [
                self.file(f"{name}.wav", "primary", duration_s=duration_s),
                self.file(f"{name}_picture.png", "sidecar", "picture"),
                self.file(f"{name}_grid.json", "sidecar", "grid"),
            ],
        }


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


@pytest.fixture
def demo(shelf: Shelf) -> Made:
    """A whole set: stems, transition, mix with renditions and a tracklist, beat grid."""
    beds = step_entry(
        "beds", "stems", [shelf.stem("beds", n, 2.0) for n in (1, 2, 3)], params={"style": "industrial/bed", "count": 3}, lane="gpu"
    )
    transitions = step_entry("transitions", "stems", [shelf.stem("transitions", 1, 1.0)], params={"count": 1}, lane="gpu")
    mix = {
        "item": 1,
        "run": 1,
        "label": "mix/1",
        "facts": {
            "duration_s": 5.0,
            "tempo_bpm": 128.0,
            "key": "A minor",
            "integrated_lufs": -14.02,
            "true_peak_dbtp": -1.2,
            "sample_rate": 44100,
            "tracks": [
                {"start_s": 0.0, "label": "beds/1"},
                {"start_s": 2.0, "label": "transitions/1"},
                {"start_s": 3.0, "label": "beds/2"},
            ],
        },
        "files": [
            shelf.file("industrial-set_mix_1.wav", "primary", duration_s=5.0),
            shelf.file("industrial-set_mix_1.flac", "rendition"),
            shelf.file("industrial-set_mix_1.mp3", "rendition", "192 kbit/s"),
            shelf.file("industrial-set_mix_1_picture.png", "sidecar", "picture"),
        ],
    }
    grid = {
        "item": 1,
        "run": 1,
        "label": "grid/1",
        "facts": {"tempo_bpm": 127.98, "beats": 10, "onsets": 1234, "downbeats": [0.0, 1.9]},
        "files": [
            shelf.file("industrial-set_grid_1.json", "primary"),
            shelf.file("industrial-set_grid_1_picture.png", "sidecar", "picture"),
        ],
    }
    read = [{"label": "mix/1", "path": "/staging/mix.wav", "sha256": "cd" * 32}]
    steps = [
        beds,
        transitions,
        step_entry("mix", "mix", [mix], params={"formats": ["flac"]}, warnings=["crossfade shortened to 0.5 s"]),
        step_entry("grid", "beats", [grid], inputs=read),
    ]
    return shelf.folder, manifest_of(steps)


@pytest.fixture
def empty(shelf: Shelf) -> Made:
    """A job that is done and made nothing."""
    return shelf.folder, manifest_of([step_entry("look", "noop", [])])


@pytest.fixture
def failed(shelf: Shelf) -> Made:
    """The mix fails after the beds were finished."""
    attempts = [
        {
            "run": 1,
            "number": number,
            "outcome": "failed",
            "meaning": "transient",
            "message": "no space left: 12 MiB free\nin /outbox",
            "started_at": None,
            "ended_at": None,
        }
        for number in (1, 2, 3)
    ]
    steps = [
        step_entry("beds", "stems", [shelf.stem("beds", 1, 1.0)]),
        step_entry("mix", "mix", [], state="failed", attempts=attempts, handler_version=None, cpu_s=None, peak_memory_bytes=None),
    ]
    return shelf.folder, manifest_of(steps, state="failed", reason="step mix: no space left: 12 MiB free in /outbox", failures=1)


@pytest.fixture
def crowd(shelf: Shelf) -> Made:
    """One step that made 105 items."""
    return shelf.folder, manifest_of([step_entry("beds", "stems", [shelf.stem("beds", number, 0.01) for number in range(1, 106)])])


HOSTILE = (
    "<script>alert(1)</script> \x1b[31mred\x07 | pipe `tick` ``two`` *bold* [a](http://evil.example) "
    + "\"q\" 's' & &amp; \u202e\n# heading\n- list"
)


@pytest.fixture
def hostile(shelf: Shelf) -> Made:
    """Every text that a person or a file name can bring says something else than it seems."""
    name = "a\"b'<img src=x onerror=alert(1)>?#&%:x.wav"
    item = {
        "item": 1,
        "run": 1,
        "label": HOSTILE,
        "facts": {
            "prompt": HOSTILE,
            "key": HOSTILE,
            "licence": HOSTILE,
            HOSTILE: HOSTILE,
            "sections": [HOSTILE, {"start_s": 1, "label": HOSTILE}, [0, 1, HOSTILE], 7],
            "tracks": {"not": "a list"},
            "duration_s": "long",
            "seed": HOSTILE,
            "model": {"a": [HOSTILE]},
        },
        "files": [
            shelf.file(name, "primary"),
            shelf.file("javascript:alert(1).png", "sidecar", "picture"),
            shelf.file("x.json", "sidecar", HOSTILE),
        ],
    }
    attempts = [{"run": 1, "number": 1, "outcome": "failed", "meaning": "bug", "message": HOSTILE, "started_at": "x", "ended_at": None}]
    step = step_entry(
        HOSTILE,
        HOSTILE,
        [item],
        params={HOSTILE: HOSTILE},
        warnings=[HOSTILE],
        attempts=attempts,
        started_at=HOSTILE,
        inputs=[{"label": HOSTILE, "path": HOSTILE, "sha256": HOSTILE}],
    )
    document = f"name: {HOSTILE!r}\nsteps: </pre><script>alert(2)</script>\n```\n"
    return shelf.folder, manifest_of(
        [step],
        name=HOSTILE,
        reason=HOSTILE,
        state="failed",
        procedural=True,
        document=document,
        failures=3,
        finished_at=HOSTILE,
        from_job=HOSTILE,
    )


@pytest.fixture
def changed() -> Callable[..., dict[str, Any]]:
    """A copy of a manifest with other facts about its job."""

    def change(manifest: dict[str, Any], **job: Any) -> dict[str, Any]:
        copied = copy.deepcopy(manifest)
        copied["job"].update(job)
        return copied

    return change
