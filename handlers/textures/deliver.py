"""From textures in memory to finished items: converted, written, drawn, named, emitted with facts.

One item is held back until the next one comes: when a source is finished, its picture, its index and the list of what
was dropped travel with the last item. An attempt that dies before has not emitted that item, so the next one makes
them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from handlers.audio.picture import clock
from handlers.audio.thumbnails import Envelope, draw_overview, draw_thumbnail
from handlers.contract import Context
from handlers.textures.names import CODES, FOLDERS, WORDS, place_of, short_of
from handlers.textures.packs import Target, convert, save
from handlers.textures.params import Kind

PICTURES = "pictures"
"""A folder of their own: a sampler's browser shows sounds only."""
SPANS_SHOWN = 200
"""Of a cloud's grains this many places stand in the manifest; the picture shows what they cover."""


@dataclass(frozen=True)
class Origin:
    """The recording that is mined, as all its textures name it."""

    label: str
    title: str
    slug: str
    sample_rate: int
    channels: int
    duration_s: float
    sha256: str = ""
    row: dict[str, Any] = field(default_factory=dict)
    """Its row of a catalogue."""


@dataclass
class Delivery:
    """Delivers the textures of one recording in one profile."""

    context: Context
    origin: Origin
    target: Target
    peak_dbtp: float
    profile: str
    folder: str
    """The profile's name where several are made, else empty."""
    pictures: bool
    delivered: list[dict[str, Any]] = field(default_factory=list)
    """Facts of all items so far, those of earlier attempts included."""
    dropped: list[dict[str, Any]] = field(default_factory=list)
    _held: tuple[int, Path, dict[str, Any]] | None = None

    @property
    def _base(self) -> Path:
        return Path("by_source", self.origin.slug, self.folder)

    def drop(self, kind: Kind, number: int, variant: str, reason: str) -> None:
        """Put on record why a texture is not there."""
        name = f"{WORDS[kind]}{number:02d}"
        self.dropped.append({"name": name, "kind": WORDS[kind], "variant": variant, "reason": reason})
        self.context.log(f"{self.origin.label}: {name} is dropped: {reason}", source=self.origin.label)

    def add(
        self, item: int, kind: Kind, number: int, variant: str, audio: Any, loop: bool, facts: dict[str, Any]
    ) -> None:
        """Write a texture and hold it; what was held before is emitted.

        Parameters
        ----------
        item
            Its number among all items of the run.
        kind, number, variant
            What it is, its number among its kind, and its sort ("" for none).
        audio, loop
            float32 ``(channels, samples)`` at the source's rate, and whether it is one.
        facts
            What is known of its making: `how`, `source_spans`, `measures`, ...
        """
        self._release()
        context, origin = self.context, self.origin
        rate = self.target.rate_for(origin.sample_rate)
        audio = convert(audio, origin.sample_rate, self.target, loop=loop, peak_dbtp=self.peak_dbtp)
        path = context.workdir / f"{item}{self.target.suffix}"
        place = place_of(
            origin.slug, kind, number, variant, self.target.suffix, pack=self.target.pack, profile=self.folder
        )
        spans = [[round(start_s, 4), round(end_s, 4)] for start_s, end_s in facts.pop("source_spans")]
        where = f"{clock(spans[0][0], tenths=True)} to {clock(spans[0][1], tenths=True)}"
        tags = {
            "title": Path(place).stem,
            "comment": f"{WORDS[kind]} from {origin.title} {where}",
            "software": "Drophammer",
        }
        save(path, audio, rate, self.target, loop=loop, peak_dbtp=self.peak_dbtp, tags=tags)
        if self.pictures:
            image = context.workdir / f"{item}-picture.png"
            draw_thumbnail(image, audio, rate)
            published = str(self._base / PICTURES / f"{Path(place).stem}.png")
            context.emit(item, image, "sidecar", label="picture", published=published)
        row = {key: origin.row[key] for key in ("id", "rel_path") if key in origin.row}
        self._held = (
            item,
            path,
            {
                "texture": WORDS[kind],
                "number": number,
                "variant": variant,
                "source": origin.label,
                "track_slug": origin.slug,
                **({"source_row": row} if row else {}),
                "profile": self.profile,
                "pack": self.target.pack,
                "duration_s": round(audio.shape[1] / rate, 6),
                "frames": audio.shape[1],
                "sample_rate": rate,
                "channels": audio.shape[0],
                "loop": loop,
                "source_spans": spans[:SPANS_SHOWN],
                "start_s": spans[0][0],
                "end_s": spans[0][1],
                **facts,
                "published": place,
            },
        )

    def finish(self, envelope: Envelope | None) -> None:
        """Emit the last item with what belongs to the recording as a whole; nothing where nothing was made."""
        if self._held is None:
            return
        item, _, facts = self._held
        facts["last_of_source"] = True
        all_facts = [*self.delivered, facts]
        if self.pictures and envelope is not None:
            path = self.context.workdir / f"{item}-source.png"
            draw_overview(path, envelope, self.origin.sample_rate, _lanes(all_facts), self.origin.title)
            published = str(self._base / PICTURES / f"{short_of(self.origin.slug)}_source.png")
            self.context.emit(item, path, "sidecar", label="source", published=published)
        self._write(item, "mining", str(self._base / "mining.json"), self._mining(all_facts))
        if self.target.pack == "game":
            self._write(item, "index", str(self._base / "index.json"), self._index(all_facts))
        self._release()

    def _release(self) -> None:
        if self._held is not None:
            item, path, facts = self._held
            self.context.emit(item, path, **facts)
            self.delivered.append(facts)
            self._held = None

    def _write(self, item: int, label: str, published: str, document: dict[str, Any]) -> None:
        path = self.context.workdir / f"{item}-{label}.json"
        path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
        self.context.emit(item, path, "sidecar", label=label, published=published)

    def _mining(self, all_facts: list[dict[str, Any]]) -> dict[str, Any]:
        origin = self.origin
        return {
            "source": origin.label, "track_slug": origin.slug, "sha256": origin.sha256, "duration_s": origin.duration_s,
            "sample_rate": origin.sample_rate, "channels": origin.channels, "profile": self.profile,
            "pack": self.target.pack, "textures": sorted(all_facts, key=_order), "dropped": self.dropped,
        }  # fmt: skip

    def _index(self, all_facts: list[dict[str, Any]]) -> dict[str, Any]:
        """What a game loads: files relative to the index, loops as the first frame played and the first that is not."""
        sounds = []
        for facts in sorted(all_facts, key=_order):
            entry = {"file": str(Path(facts["published"]).relative_to(self._base)), "texture": facts["texture"]}
            entry |= {key: facts[key] for key in ("variant", "duration_s", "frames", "sample_rate", "channels", "loop")}
            sounds.append(entry | ({"loop_start": 0, "loop_end": facts["frames"]} if facts["loop"] else {}))
        return {"version": 1, "source": self.origin.label, "profile": self.profile, "sounds": sounds}


def _order(facts: dict[str, Any]) -> tuple[int, int]:
    return list(WORDS.values()).index(facts["texture"]), facts["number"]


def _lanes(all_facts: list[dict[str, Any]]) -> dict[str, list[tuple[float, float]]]:
    """Spans of the recording by the folder of their kind."""
    lanes: dict[str, list[tuple[float, float]]] = {folder: [] for folder in dict.fromkeys(FOLDERS.values())}
    for facts in all_facts:
        kind = next(kind for kind in CODES if WORDS[kind] == facts["texture"])
        if not facts.get("from_drums"):
            lanes[FOLDERS[kind]] += [(start_s, end_s) for start_s, end_s in facts["source_spans"]]
    return lanes
