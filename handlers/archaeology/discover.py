"""The `discover` handler: walks folders, reads what every recording says of itself, writes the catalogue.

Stated behaviour: a file that cannot be read is listed beside the catalogue with its reason and never stops the run;
where there is no recording at all, the step fails and says where it looked and what it passed over. Heavy libraries
are imported when a file has to be read: with nothing new on the disk none is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from handlers.archaeology.memory import Memory
from handlers.archaeology.params import DiscoverParams
from handlers.archaeology.walk import Found, Walk, walk
from handlers.audio.delivery import catalogue
from handlers.audio.delivery.slugs import distinct_slugs
from handlers.contract import Context, Invalid

NAMED = 20
"""Broken files named in the result; all are in the list beside it."""
MEGABYTE = 1_000_000


def run(params: DiscoverParams, context: Context) -> None:
    """Deliver the catalogue as item 1, with its rows and the list of broken files beside it."""
    if 1 in context.completed:
        return
    roots = [context.folders[folder] for folder in params.root]

    def pulse(folders: int) -> None:
        context.check_cancelled()
        context.progress("loading", folders, None, "folders")

    seen = walk(roots, pulse)
    memory = Memory(context.cache_dir, roots)
    rows, read = [], 0
    broken = list(seen.broken)
    for number, file in enumerate(seen.found, 1):
        context.check_cancelled()
        entry = memory.recall(file)
        fresh = fill(entry, file, params, context, memory)
        read += fresh
        if "reason" in entry:
            broken.append((file.rel_path, entry["reason"]))
        else:
            rows.append(_row(len(rows), file, entry, params))
        if params.verbose:
            context.log(f"{file.rel_path}: {entry.get('reason', 'read' if fresh else 'unchanged')}")
        context.progress("working", number, len(seen.found), "files")
    memory.save()
    if not rows:
        raise Invalid(_nothing(roots, seen, broken))
    for row, slug in zip(rows, distinct_slugs([row["rel_path"] for row in rows]), strict=True):
        row["slug"] = slug
    _deliver(params, context, rows, broken, _facts(roots, seen, rows, broken, read))


def fill(entry: dict[str, Any], file: Found, params: DiscoverParams, context: Context, memory: Memory) -> bool:
    """Read of a file what is asked for and not known yet; whether anything was."""
    hashes = entry.setdefault("hashes", {})
    missing = "reason" not in entry and "facts" not in entry
    unsure = params.verify and not entry.get("verified")
    if not missing and not unsure and params.hash in hashes:
        return False
    from handlers.archaeology import recording

    try:
        if params.hash not in hashes:
            hashes[params.hash] = recording.hash_content(file.path, file.size_bytes, params.hash)
        if missing:
            entry["facts"] = recording.describe(file.path)
        if unsure and "reason" not in entry:
            recording.verify(file.path, context.check_cancelled)
    except Invalid as error:
        entry["reason"] = str(error)
    except OSError as error:  # Of the disk or the permissions, not of the content: it may be gone the next time.
        entry["reason"] = f"cannot be read: {error.strerror}"
        memory.forget(file)
    entry["verified"] = bool(entry.get("verified")) or params.verify
    return True


def _row(number: int, file: Found, entry: Mapping[str, Any], params: DiscoverParams) -> dict[str, Any]:
    facts = entry["facts"]
    return {
        "id": f"audio_{number:04d}",
        "rel_path": file.rel_path,
        "duration_sec": facts["duration_sec"],
        "sample_rate": facts["sample_rate"],
        "channels": facts["channels"],
        "file_size_mb": round(file.size_bytes / MEGABYTE, 1),
        "codec": facts["codec"],
        "bit_depth": facts["bit_depth"],
        "content_hash": entry["hashes"][params.hash],
        "slug": "",
        "path": file.path,
    }


def _facts(
    roots: list[Path], seen: Walk, rows: list[dict[str, Any]], broken: list[tuple[str, str]], read: int
) -> dict[str, Any]:
    return {
        "roots": [str(root) for root in roots],
        "files": len(rows),
        "hours": round(sum(row["duration_sec"] for row in rows) / 3600, 3),
        "size_mb": round(sum(row["file_size_mb"] for row in rows), 1),
        "codecs": dict(Counter(row["codec"] for row in rows).most_common()),
        "broken": len(broken),
        "broken_first": [{"rel_path": path, "reason": reason} for path, reason in broken[:NAMED]],
        "unsupported": dict(sorted(seen.unsupported.items())),
        "skipped": dict(sorted(seen.skipped.items())),
        "links": seen.links,
        "junk": seen.junk,
        "folders": seen.folders,
        "read": read,
        "unchanged": len(seen.found) - read,
    }


def _deliver(
    params: DiscoverParams, context: Context, rows: list[dict[str, Any]], broken: list[tuple[str, str]],
    facts: dict[str, Any],
) -> None:  # fmt: skip
    name = params.name("audio_catalog")
    stem = Path(name).stem
    path = context.workdir / name
    catalogue.write(path, rows, format=params.form, title=f"{len(rows)} recordings")
    listing = context.workdir / f"{stem}_rows.jsonl"
    catalogue.write_rows(listing, rows)
    context.emit(1, listing, "sidecar", label="rows", published=listing.name)
    # An empty list too: one of an earlier run, left beside a catalogue that scripts write anew, would name the mended.
    listing = context.workdir / f"{stem}_broken.csv"
    catalogue.write_table(listing, ("rel_path", "reason"), broken)
    context.emit(1, listing, "sidecar", label="broken", published=listing.name)
    if broken:
        examples = "; ".join(f"{rel_path}: {reason}" for rel_path, reason in broken[:3])
        context.warn(f"{len(broken)} could not be used ({examples}{'; ...' if len(broken) > 3 else ''})")
    context.log("catalogued", **facts)
    context.emit(1, path, published=name, **facts)


def _nothing(roots: list[Path], seen: Walk, broken: list[tuple[str, str]]) -> str:
    """Where it was looked, and what was passed over."""
    parts = [f"no audio found in {', '.join(map(str, roots))}: looked at {seen.files} files in {seen.folders} folders"]
    if seen.skipped:
        parts.append("skipped " + _counted(seen.skipped))
    if seen.unsupported:
        parts.append(f"{_counted(seen.unsupported)} cannot be read here; convert them to .flac or .wav")
    if seen.links:
        parts.append(f"{seen.links} links were not followed; name what they lead to in `root`")
    if seen.junk:
        parts.append(f"{seen.junk} hidden files left alone")
    if broken:
        shown = "; ".join(f"{rel_path}: {reason}" for rel_path, reason in broken[:NAMED])
        parts.append(f"{len(broken)} could not be used: {shown}")
    return "; ".join(parts)


def _counted(counter: Counter[str]) -> str:
    return ", ".join(f"{name} ({count})" for name, count in sorted(counter.items()))
