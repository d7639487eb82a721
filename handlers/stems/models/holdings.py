"""Weights that are here: compared with their hashes, removed, or brought in from a folder. No network. Light."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from handlers.contract import Invalid
from handlers.stems.models.fetch import Say, check_room, find_wrong, known_sha256, locked, record_as_found
from handlers.stems.models.manifest import Manifest, Model, Weights
from handlers.stems.models.meter import Meter, size
from handlers.stems.models.records import write_record
from handlers.stems.models.weights import (
    CODEC,
    STATE,
    Shelves,
    codec_pointer,
    files_of,
    is_whole,
    look_at,
    pickled_words,
)

COPY_BLOCK = 1 << 22


@dataclass(frozen=True)
class Verdict:
    """What verifying some weights gave."""

    weights: Weights
    place: Path
    wrong: tuple[str, ...]
    compared: bool
    """Whether every file had a hash to be compared with; where not, it has one now."""


def verify(keys: list[str], manifest: Manifest, places: Shelves) -> Iterator[Verdict]:
    """Compare every file of some models with its hash; shared ones once. What had no hash yet is recorded."""
    seen: set[str] = set()
    for key in keys:
        for weights in places.needed(manifest.models[key]):
            place = places.find(weights)
            if place is None or weights.folder in seen:
                continue
            seen.add(weights.folder)
            compared = all(known_sha256(weights, path, places) for path in files_of(weights, place))
            wrong = find_wrong(weights, place, places)
            if not wrong:
                with locked(places.own):
                    record_as_found(weights, place, places)
            yield Verdict(weights, place, tuple(wrong), compared)


def remove(key: str, manifest: Manifest, places: Shelves, say: Say) -> None:
    """Remove a model's files from ``models/``, but for what another model that is here needs, and what lies elsewhere.

    Raises
    ------
    Invalid
        When there is nothing of it here.
    """
    model, freed, found = manifest.models[key], 0, False
    with locked(places.own):
        for weights in places.needed(model):
            folder, place = places.own / weights.folder, places.find(weights)
            if not folder.exists():
                if place:
                    found = True
                    say(f"stays: {place}, which is not ours")
                elif places.record(weights):
                    found = True
                    write_record(places.own, weights.folder, None)
                    say(f"forgotten: what was recorded of {weights.name}")
                continue
            found = True
            if users := _other_users(weights, key, manifest, places):
                say(f"stays: {folder}, which {', '.join(users)} {'needs' if len(users) == 1 else 'need'}")
                continue
            freed += _remove_files(weights, folder, say)
            write_record(places.own, weights.folder, None)
            say(f"removed: {folder}")
    if not found:
        raise Invalid(f"nothing of {key!r} is here; `./drophammer models` shows what is")
    say(f"{size(freed)} freed")


def _other_users(weights: Weights, key: str, manifest: Manifest, places: Shelves) -> list[str]:
    others = {name: model for name, model in manifest.models.items() if name != key and model.weights}
    return [name for name, model in others.items() if places.find(model.weights[0]) and weights in places.needed(model)]


def _remove_files(weights: Weights, folder: Path, say: Say) -> int:
    if folder.is_symlink():
        folder.unlink()
        return 0
    names = {*weights.files, *weights.one_of}
    freed = 0
    for path in list(folder.iterdir()):
        if path.name in names or path.suffix == ".part":
            freed += 0 if path.is_symlink() else path.stat().st_size
            path.unlink()
    try:
        folder.rmdir()
    except OSError:
        say(f"stays: other files in {folder}")
    return freed


def bring_in(key: str, source: Path, manifest: Manifest, places: Shelves, say: Say) -> None:
    """Copy a model's files from a folder into ``models/``, where they are what they must be.

    Parameters
    ----------
    source
        Holds the files themselves, or folders named as in ``models/``, or a hub's cache.

    Raises
    ------
    Invalid
        When files are missing, damaged or of something else; names each. Nothing is copied then.
    """
    model = manifest.models[key]
    if not model.weights:
        raise Invalid(f"{key!r} needs no weights")
    if not source.is_dir():
        raise Invalid(f"{source} is no folder; name the one that holds {', '.join(model.weights[0].files)}")
    there = Shelves(places.own, (source,), source)
    found: list[tuple[Weights, Path]] = []
    absent: list[str] = []
    for weights in _wanted(model, source, there):
        here = places.find(weights)
        if here and not find_wrong(weights, here, places):
            say(f"{weights.name} is here already: {here}")
        elif place := _find_in(weights, source, there):
            found.append((weights, place))
        else:
            absent.append(f"{weights.folder}/ with {_names(weights)}")
    if absent:
        raise Invalid(f"{source} lacks {'; '.join(absent)}. Nothing was copied")
    faults = [fault for weights, place in found for fault in _unfit(weights, place, places)]
    if faults:
        raise Invalid(f"{'; '.join(faults)}. Nothing was copied")
    paths = {weights.folder: files_of(weights, place) for weights, place in found}
    total = sum(path.stat().st_size for group in paths.values() for path in group)
    check_room(places.own, total)
    say(f"copying {size(total)} to {places.own}")
    with locked(places.own):
        with Meter("copying", total) as meter:
            done = 0
            for folder, group in paths.items():
                (places.own / folder).mkdir(parents=True, exist_ok=True)
                for path in group:
                    meter.start(done)
                    _copy(path, places.own / folder / path.name, meter)
                    done += path.stat().st_size
        for weights, _ in found:
            record_as_found(weights, places.own / weights.folder, places)


def _wanted(model: Model, source: Path, there: Shelves) -> list[Weights]:
    """What the model needs, going by the codec's file in the source, or by the one that is here."""
    own = _find_in(model.weights[0], source, there) or there.find(model.weights[0])
    pointed_to = own and codec_pointer(own / CODEC)
    named = pointed_to and Path(pointed_to).name
    return [weights for weights in model.weights if not weights.if_pointed_to or weights.folder == named]


def _find_in(weights: Weights, source: Path, there: Shelves) -> Path | None:
    places = (source / weights.folder, source, *there.snapshots(weights))
    return next((place for place in places if is_whole(weights, place)), None)


def _unfit(weights: Weights, place: Path, places: Shelves) -> Iterator[str]:
    """Why files may not be taken for these weights: their hash where one is known, their form where none is."""
    yield from find_wrong(weights, place, places)
    for name, words in ((STATE, ("best_state", "xp.cfg")), (CODEC, ("best_state", "pretrained"))):
        path = place / name
        if path not in files_of(weights, place) or look_at(path):
            continue
        said = pickled_words(path)
        if not (all if name == STATE else any)(word in said for word in words):
            yield f"{path} is a file of torch, but not MusicGen's: it has no {' and '.join(words)}"


def _copy(source: Path, target: Path, meter: Meter) -> None:
    fresh = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with open(source, "rb") as reader, open(fresh, "wb") as writer:
            while block := reader.read(COPY_BLOCK):
                writer.write(block)
                meter.seen(writer.tell())
            writer.flush()
            os.fsync(writer.fileno())
        shutil.copystat(source, fresh)
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def _names(weights: Weights) -> str:
    names = ", ".join(weights.files)
    return f"{names} and {' or '.join(weights.one_of)}" if weights.one_of else names
