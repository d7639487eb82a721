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
SHOWN_APART = frozenset({"prompt", "seed", "sections", "tracks", "licence", "duration_s", "energy_db", "kept_from"})
MOST_SLICES = 64
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
        """What it is, in a word or two: ``FLAC``, ``grid JSON``, ``MIDI``."""
        if self.label in ("midi", self.suffix[1:]):
            return self.label.upper()
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
    energy_db: tuple[float, ...] = ()
    """The level of each slice of it, from its beginning to its end."""
    kept_from: str = ""
    """The earlier job and its item, where it was taken over and not made."""
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
    def parts(self) -> tuple[File, ...]:
        """Its layers that a browser plays."""
        return tuple(file for file in self.files if file.media_type and file.kind == "part")

    @property
    def energy(self) -> File | None:
        """A picture of its loudness over time, or the one of everything."""
        images = (file for file in self.files if file.label == "energy" and file.suffix in (".png", ".svg", ".jpg"))
        return next(images, self.picture)

    @property
    def length(self) -> str:
        """How long it is, as a person reads it."""
        return "" if self.duration_s is None else self.clock(self.duration_s)

    def clock(self, time_s: float) -> str:
        """A place in it; short recordings are read to the tenth of a second."""
        return clock(time_s, tenths=self.duration_s is not None and self.duration_s < SHORT_S)

    def measured(self, key: str) -> str:
        """A fact with its unit; where nobody asked for a tempo, the one that was measured."""
        if key == "tempo_bpm" and not any(entry.key == key for entry in self.measurements):
            key = "tempo_measured_bpm"
        return next((entry.text for entry in self.measurements if entry.key == key), "")


@dataclass(frozen=True)
class Step:
    """One step with what it made."""

    name: str
    """`beds`; `seed-7/beds` in a job of several seeds."""
    seed: int | None
    """Which of several seeds made it."""
    handler: str
    entry: Mapping[str, Any]
    """The manifest's own words, for the tables."""
    items: tuple[Item, ...]
    warnings: tuple[str, ...]

    @property
    def folder(self) -> str:
        """What stands before its name where there are several seeds: `seed-7/`."""
        return f"seed-{self.seed}/" if self.seed is not None else ""

    @property
    def anchor(self) -> str:
        return anchor(self.name)

    def run_name(self, run: int) -> str:
        """Which run it was: its number, and what it was for where the step goes over many things."""
        runs = self.entry.get("runs") or ()
        return next((f"{run} ({one_line(entry['of'])})" for entry in runs[run - 1 : run]), str(run))

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
        if self.seeds:
            return None
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
    def seeds(self) -> tuple[int, ...]:
        """Of several; empty for a job of one."""
        return tuple(self.job.get("seeds") or ())

    @property
    def one_seed(self) -> bool:
        """Whether there is one seed to be named, which had a part in what was made."""
        return self.seeded and not self.seeds

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
    text = None if job.get("seeds") else find_seed(job["document"])
    return Page(job, manifest["host"], version, _with_sources(steps), text, place)


def anchor(label: str) -> str:
    """An element's id for a label: every other character becomes its number, so unlike labels never meet."""
    return "i-" + "".join(sign if sign.isascii() and sign.isalnum() else "-" if sign in "/-" else f"_{ord(sign):x}" for sign in label)


def _step(entry: Mapping[str, Any], procedural: bool) -> Step:
    items = tuple(_item(item, procedural) for item in entry["items"])
    warnings = tuple(map(visible, entry["warnings"]))
    return Step(one_line(entry["name"]), entry.get("seed"), one_line(entry["handler"]), entry, items, warnings)


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
        # The instrument is steered by a prompt of the job, and says what it understood; a style speaks to it by settings.
        prompt_read=facts.get("model") != "procedural" or "understood" in facts,
        seed=value_of("seed", facts["seed"]) if facts.get("seed") is not None else "",
        licence=one_line(facts.get("licence") or ""),
        measurements=_measurements(facts),
        sections=tuple(_marks(facts.get("sections"))),
        tracks=tuple(_marks(facts.get("tracks"))),
        procedural=bool(facts.get("procedural")) or (procedural and facts.get("model") == "procedural"),
        source=one_line(facts["source"]) if isinstance(facts.get("source"), str) else "",
        energy_db=_energy(facts.get("energy_db")),
        kept_from=one_line(facts.get("kept_from") or ""),
    )
    return replace(item, heard=item.audio)


def _measurements(facts: Mapping[str, Any]) -> tuple[Measurement, ...]:
    keys = [key for key in FIRST if key in facts] + [key for key in facts if key not in FIRST and key not in SHOWN_APART]
    return tuple(Measurement(key, name_of(key), _text(key, facts[key])) for key in keys)


def _text(key: str, value: Any) -> str:
    return _verdict(value) if key == "gate" and isinstance(value, dict) else value_of(key, value)


def _verdict(gate: Mapping[str, Any]) -> str:
    """What the checks before delivery said: `passed`, or what failed; and how many takes it took."""
    failed = gate.get("failed") if isinstance(gate.get("failed"), list) else []
    said = "passed" if gate.get("passed") is True else f"failed: {', '.join(map(one_line, failed)) or 'unknown'}"
    takes = gate.get("takes")
    return f"{said}, {takes} takes" if isinstance(takes, int) and takes > 1 else said


def _energy(values: Any) -> tuple[float, ...]:
    if not isinstance(values, list) or not 2 <= len(values) <= MOST_SLICES:
        return ()
    numbers = [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]
    return tuple(numbers) if len(numbers) == len(values) and all(-1000 < value < 1000 for value in numbers) else ()


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
    named = item.source if item.source in read else read.pop() if len(read) == 1 else ""
    source = items.get(step.folder + named)
    if item.audio or source is None:
        return item
    return replace(item, heard=source.audio, duration_s=item.duration_s or source.duration_s)
