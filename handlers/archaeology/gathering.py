"""What a batch made, parsed once from runs into what `batch_results.json`, the summary and the page show. Light."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from handlers.audio.delivery.slugs import distinct_slugs
from handlers.contract import InputFile, Run

LANES = {"pads": ("pad",), "swells": ("swell", "drone"), "clouds": ("cloud",), "hiss": ("hiss", "flicker")}
"""Folders, and the kinds of texture in each."""
STATS = {"pads": ("pad",), "swells": ("swell", "drone"), "clouds": ("cloud",), "hiss_loops": ("hiss",), "hiss_flickers": ("flicker",)}  # fmt: skip
"""What `batch_results.json` counts."""
FINEST = 0.004
"""Regions closer than this share of the recording are shown as one: a cloud has hundreds of grains."""


@dataclass(frozen=True)
class Texture:
    """One texture, and where in its source it came from."""

    kind: str
    number: int
    variant: str
    how: str
    spans_s: tuple[tuple[float, float], ...]
    duration_s: float
    loop: bool
    profile: str
    audio: str
    """Its place in the published folder: a relative path with `/`."""
    picture: str
    """The same of its picture; empty where there is none."""

    @property
    def name(self) -> str:
        return f"{self.kind} {self.number}" + (f", {self.variant}" if self.variant else "")

    @property
    def lane(self) -> str:
        """The folder it belongs to."""
        return next((lane for lane, kinds in LANES.items() if self.kind in kinds), self.kind)

    def regions_s(self, duration_s: float) -> list[tuple[float, float]]:
        """Where it came from, regions that touch joined, for a source of so many seconds."""
        joined: list[tuple[float, float]] = []
        for start_s, end_s in sorted(self.spans_s):
            if joined and start_s - joined[-1][1] <= FINEST * duration_s:
                joined[-1] = (joined[-1][0], max(joined[-1][1], end_s))
            else:
                joined.append((start_s, end_s))
        return joined


@dataclass(frozen=True)
class Source:
    """One recording, and all that was made of it."""

    id: str
    rel_path: str
    slug: str
    ok: bool
    error: str
    duration_s: float | None
    took_s: float | None
    textures: tuple[Texture, ...]
    overviews: tuple[tuple[str, str], ...] = ()
    """Profile and published place of each picture of the whole recording."""
    dropped: tuple[tuple[str, str], ...] = ()
    """Name and reason of textures that did not hold."""
    stats: Mapping[str, int] = field(default_factory=dict)


def gather(runs: Sequence[Run]) -> list[Source]:
    """Parse the runs of a step, in their order."""
    rows = [dict(run.row) for run in runs]
    labels = [str(row.get("rel_path") or row.get("label") or f"source {place}") for place, row in enumerate(rows, 1)]
    slugs = distinct_slugs(labels)
    return [
        _source(run, row, label, slug) for run, row, label, slug in zip(runs, rows, labels, slugs, strict=True)
    ]  # fmt: skip


def as_runs(items: Sequence[InputFile]) -> list[Run]:
    """Items of a step without `for_each`, grouped by the recording they came from."""
    groups: dict[str, list[InputFile]] = {}
    for item in items:
        groups.setdefault(str(item.facts.get("source", item.label)), []).append(item)
    return [
        Run({"rel_path": name, "slug": group[0].facts.get("track_slug")}, True, items=tuple(group))
        for name, group in groups.items()
    ]


def _source(run: Run, row: Mapping[str, Any], label: str, slug: str) -> Source:
    textures, overviews, dropped = [], [], []
    duration_s = row.get("duration_sec")
    for item in run.items:
        facts = item.facts
        textures.append(_texture(item))
        if published := item.published_sidecars.get("source"):
            overviews.append((str(facts.get("profile", "")), published))
        if mining := item.sidecars.get("mining"):
            document = json.loads(mining.read_text(encoding="utf-8"))
            duration_s = document.get("duration_s", duration_s)
            dropped += [(f"{one['name']} {one['variant']}".strip(), one["reason"]) for one in document["dropped"]]
    textures.sort(key=lambda one: (one.profile, [*LANES, one.lane].index(one.lane), one.kind, one.number))
    counts = Counter(texture.kind for texture in textures)
    # The step that mined it says under which name its files lie; where it made nothing, the row does.
    own = [item.facts.get("track_slug") for item in run.items]
    return Source(
        id=str(row.get("id") or ""),
        rel_path=label,
        slug=str(next(filter(None, own), None) or row.get("slug") or slug),
        ok=run.ok,
        error=run.reason,
        duration_s=duration_s,
        took_s=run.took_s,
        textures=tuple(textures),
        overviews=tuple(overviews),
        dropped=tuple(dropped),
        stats={key: sum(counts[kind] for kind in kinds) for key, kinds in STATS.items()},
    )


def _texture(item: InputFile) -> Texture:
    facts = item.facts
    audio = item.published or str(facts.get("published") or item.path.name)
    return Texture(
        kind=str(facts.get("texture", "texture")),
        number=int(facts.get("number", 0)),
        variant=str(facts.get("variant") or ""),
        how=str(facts.get("how") or ""),
        spans_s=tuple((float(start_s), float(end_s)) for start_s, end_s in facts.get("source_spans", ())),
        duration_s=float(facts.get("duration_s", 0.0)),
        loop=bool(facts.get("loop")),
        profile=str(facts.get("profile") or ""),
        audio=str(PurePosixPath(audio)),
        picture=item.published_sidecars.get("picture", ""),
    )


def batch_results(sources: Sequence[Source], timestamp: str) -> dict[str, Any]:
    """What people's scripts read.

    Parameters
    ----------
    sources
        All, failed ones included.
    timestamp
        ISO 8601, UTC.
    """
    successful = sum(source.ok for source in sources)
    return {
        "timestamp": timestamp,
        "total": len(sources),
        "successful": successful,
        "failed": len(sources) - successful,
        "results": [
            {
                "id": source.id,
                "rel_path": source.rel_path,
                "track_slug": source.slug,
                "success": source.ok,
                "duration_sec": source.duration_s,
                "stats": {**source.stats, "error": source.error or None},
            }
            for source in sources
        ],
    }
