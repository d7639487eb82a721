"""The manifest, parsed once into what a page shows. Facts are a handler's own words: any shape, and nothing trusted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePath
from typing import Any

from daemon.pages.formats import clock, name_of, one_line, value_of, visible
from daemon.pages.markup import link_to
from daemon.pages.repeat import SeededText, find_seed

# What browsers play, and under which name.
PLAYABLE = {
    ".wav": "audio/wav", ".flac": "audio/flac", ".mp3": "audio/mpeg", ".ogg": "audio/ogg", ".oga": "audio/ogg", ".opus": "audio/ogg",
    ".m4a": "audio/mp4", ".aac": "audio/aac",
}  # fmt: skip
SHOWN_APART = frozenset({"prompt", "seed", "sections", "tracks", "licence", "duration_s"})
KINDS = ("primary", "rendition", "part", "sidecar")
SHORT_S = 20.0
LONGEST_S = 1e9
FIRST = ("tempo_bpm", "key", "integrated_lufs", "true_peak_dbtp")


@dataclass(frozen=True)
class File:
    """One published file."""

    name: str
    kind: str
    label: str
    size_bytes: int | None

    @property
    def href(self) -> str:
        return link_to(self.name)

    @property
    def suffix(self) -> str:
        return PurePath(self.name).suffix.lower()

    @property
    def media_type(self) -> str | None:
        return PLAYABLE.get(self.suffix)

    @property
    def caption(self) -> str:
        """What it is, in a word or two: ``FLAC``, ``grid JSON``."""
        return one_line(f"{self.label} {self.suffix[1:].upper()}") or "file"


@dataclass(frozen=True)
class Mark:
    """A named place in a recording; without a time it is only a name."""

    label: str
    start_s: float | None = None
    end_s: float | None = None


@dataclass(frozen=True)
class Measurement:
    """One fact with its name and unit, ready to be shown."""

    key: str
    name: str
    text: str


@dataclass(frozen=True)
class Item:
    """One item of a step: what can be heard, seen and fetched of it."""

    label: str
    anchor: str
    files: tuple[File, ...]
    duration_s: float | None
    prompt: str
    prompt_read: bool
    """False where the built-in instrument played: it goes by the style's settings and only records the words."""
    seed: str
    licence: str
    measurements: tuple[Measurement, ...]
    sections: tuple[Mark, ...]
    tracks: tuple[Mark, ...]
    procedural: bool
    source: str
    """For an analysis, the label of what it is of, where its handler says so."""
    heard: tuple[File, ...] = ()
    """What its picture's time runs along with: its own audio, or, for an analysis, the recording it is of."""

    @property
    def primary(self) -> File | None:
        return next((file for file in self.files if file.kind == "primary"), None)

    @property
    def audio(self) -> tuple[File, ...]:
        """Its own sound in every form a browser plays, the primary first."""
        return tuple(file for file in self.files if file.media_type and file.kind in ("primary", "rendition"))

    @property
    def picture(self) -> File | None:
        return next((file for file in self.files if file.label == "picture" and file.suffix == ".png"), None)

    @property
    def length(self) -> str:
        """How long it is, as a person reads it."""
        return "" if self.duration_s is None else self.clock(self.duration_s)

    def clock(self, time_s: float) -> str:
        """A place in it; short recordings are read to the tenth of a second."""
        return clock(time_s, tenths=self.duration_s is not None and self.duration_s < SHORT_S)

    def measured(self, key: str) -> str:
        return next((entry.text for entry in self.measurements if entry.key == key), "")


@dataclass(frozen=True)
class Step:
    """One step with what it made."""

    name: str
    handler: str
    entry: Mapping[str, Any]
    """The manifest's own words, for the tables."""
    items: tuple[Item, ...]
    warnings: tuple[str, ...]

    @property
    def anchor(self) -> str:
        return anchor(self.name)

    @property
    def prompt(self) -> str:
        """The one prompt of all its items, where they share one."""
        prompts = {item.prompt for item in self.items}
        return prompts.pop() if len(prompts) == 1 and len(self.items) > 1 else ""

    @property
    def audible(self) -> bool:
        return any(item.audio for item in self.items)


@dataclass(frozen=True)
class Page:
    """A whole job."""

    job: Mapping[str, Any]
    host: Mapping[str, Any]
    version: str
    steps: tuple[Step, ...]
    text: SeededText | None
    """The job file with a hole for the seed; None when there is no telling where it would stand."""
    place: str
    """Its folder as seen from the checkout."""

    @property
    def name(self) -> str:
        return one_line(self.job["name"])

    @property
    def result(self) -> Step | None:
        """The step that people came for: the last one that can be heard."""
        return next((step for step in reversed(self.steps) if step.audible), None)

    @property
    def headliner(self) -> Item | None:
        """The one item whose measurements stand at the top: the result, or an analysis that is all there is."""
        if self.result:
            return self.result.items[0] if len(self.result.items) == 1 else None
        items = [item for step in self.steps for item in step.items]
        return items[0] if len(items) == 1 else None

    @property
    def seeded(self) -> bool:
        """Whether the seed had a part in what was made; where nothing was made there is no telling."""
        items = [item for step in self.steps for item in step.items]
        return not items or any(item.seed for item in items)

    @property
    def took_s(self) -> float | None:
        """From the first step's start to the last one's end."""
        try:
            start, end = (datetime.fromisoformat(self.job[name] or "") for name in ("started_at", "finished_at"))
        except ValueError:
            return None
        return (end - start).total_seconds()

    @property
    def licences(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(item.licence for step in self.steps for item in step.items if item.licence))

    @property
    def seed_drawn(self) -> bool:
        return self.text is not None and not self.text.named


def parse(manifest: Mapping[str, Any], outbox: str) -> Page:
    """Turn a manifest into what the pages show. `outbox`: the folder's name as a person types it in the checkout."""
    job = manifest["job"]
    steps = tuple(_step(entry, bool(job["procedural"])) for entry in manifest["steps"])
    place = f"{outbox}/{job['id']}" if job["state"] == "done" else f"{outbox}/failed/{job['id']}"
    version = one_line(manifest["drophammer"])
    return Page(job, manifest["host"], version, _with_sources(steps), find_seed(job["document"]), place)


def anchor(label: str) -> str:
    """An element's id for a label: every other character becomes its number, so unlike labels never meet."""
    return "i-" + "".join(sign if sign.isascii() and sign.isalnum() else "-" if sign in "/-" else f"_{ord(sign):x}" for sign in label)


def _step(entry: Mapping[str, Any], procedural: bool) -> Step:
    items = tuple(_item(item, procedural) for item in entry["items"])
    return Step(one_line(entry["name"]), one_line(entry["handler"]), entry, items, tuple(map(visible, entry["warnings"])))


def _item(entry: Mapping[str, Any], procedural: bool) -> Item:
    facts = entry["facts"] if isinstance(entry["facts"], dict) else {}
    files = [File(file["name"], file["kind"], file["label"], file["size_bytes"]) for file in entry["files"]]
    files.sort(key=lambda file: KINDS.index(file.kind) if file.kind in KINDS else len(KINDS))
    item = Item(
        label=one_line(entry["label"]),
        anchor=anchor(entry["label"]),
        files=tuple(files),
        duration_s=_time(facts.get("duration_s")),
        prompt=visible(facts.get("prompt") or "").strip(),
        prompt_read=facts.get("model") != "procedural",
        seed=value_of("seed", facts["seed"]) if facts.get("seed") is not None else "",
        licence=one_line(facts.get("licence") or ""),
        measurements=_measurements(facts),
        sections=tuple(_marks(facts.get("sections"))),
        tracks=tuple(_marks(facts.get("tracks"))),
        procedural=bool(facts.get("procedural")) or (procedural and facts.get("model") == "procedural"),
        source=one_line(facts["source"]) if isinstance(facts.get("source"), str) else "",
    )
    return replace(item, heard=item.audio)


def _measurements(facts: Mapping[str, Any]) -> tuple[Measurement, ...]:
    keys = [key for key in FIRST if key in facts] + [key for key in facts if key not in FIRST and key not in SHOWN_APART]
    return tuple(Measurement(key, name_of(key), value_of(key, facts[key])) for key in keys)


def _marks(values: Any) -> Iterator[Mark]:
    """Sections or tracks as their handler wrote them: objects with times, `[start, end, name]`, or bare names."""
    for value in values if isinstance(values, list) else ():
        if isinstance(value, dict):
            words = (value.get(key) for key in ("label", "title", "name", "item", "source", "input"))
            label = next((one_line(word) for word in words if isinstance(word, str) and word), "")
            yield Mark(label or "–", _time(value.get("start_s")), _time(value.get("end_s")))
        elif isinstance(value, list) and len(value) == 3:
            yield Mark(one_line(value[2]), _time(value[0]), _time(value[1]))
        else:
            yield Mark(one_line(value))


def _time(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= LONGEST_S:
        return None
    return float(value)


def _with_sources(steps: tuple[Step, ...]) -> tuple[Step, ...]:
    """Let an analysis be heard: with the recording of this job that it is of."""
    items = {item.label: item for step in steps for item in step.items}
    return tuple(replace(step, items=tuple(_with_source(item, step, items) for item in step.items)) for step in steps)


def _with_source(item: Item, step: Step, items: Mapping[str, Item]) -> Item:
    read = {one_line(entry["label"]) for entry in step.entry["inputs"]}
    source = items.get(item.source if item.source in read else read.pop() if len(read) == 1 else "")
    if item.audio or source is None:
        return item
    return replace(item, heard=source.audio, duration_s=item.duration_s or source.duration_s)
