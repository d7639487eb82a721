"""Bringing weights here: what is needed and how large, then every file, resumed where it was cut off, verified. Light.

What already lies in ``models/``, in a configured folder or in the hub's cache is checked and used in place. A file is
downloaded into a `.part` beside its place, named after the content that it must come to, so that only the same content
is ever continued; it gets its own name when its hash is right.
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from handlers.contract import Invalid, Transient
from handlers.stems.models.digest import git_sha1_of, sha256_of
from handlers.stems.models.hub import Hub, HubFile, Repository
from handlers.stems.models.manifest import Manifest, Model, Weights
from handlers.stems.models.meter import Meter, size
from handlers.stems.models.records import FileRecord, Record, write_record
from handlers.stems.models.weights import CODEC, POINTER_LIMIT_BYTES, Shelves, codec_pointer, files_of, look_at

ROOM_LEFT_BYTES = 200_000_000
"""What stays free on the disk."""
TRIES = 2
"""How often a file is fetched that arrives with another content than it should."""

Say = Callable[[str], None]


@dataclass
class Delivery:
    """What has to come of one repository, into one folder below ``models/``."""

    weights: Weights
    repository: Repository
    folder: Path
    fetched: list[HubFile] = field(default_factory=list)
    linked: dict[str, Path] = field(default_factory=dict)
    """Files that the hub's cache holds, by name: a link is enough."""

    def part(self, file: HubFile) -> Path:
        """Where a file grows until it is whole."""
        return self.folder / f".{file.name}.{file.etag[:16]}.part"

    @property
    def size(self) -> int:
        """Bytes of all files to be fetched."""
        return sum(file.size for file in self.fetched)

    @property
    def begun(self) -> int:
        """Bytes of them that an earlier attempt left here."""
        parts = ((self.part(file), file.size) for file in self.fetched)
        return sum(min(part.stat().st_size, whole) for part, whole in parts if part.exists())


@dataclass
class Plan:
    """All that some models need, by the names of the folders; shared weights once."""

    deliveries: dict[str, Delivery] = field(default_factory=dict)
    here: dict[str, tuple[Weights, Path]] = field(default_factory=dict)
    """What is on this machine already, and where."""

    @property
    def size(self) -> int:
        """Bytes of all files to be fetched."""
        return sum(delivery.size for delivery in self.deliveries.values())

    @property
    def begun(self) -> int:
        """Bytes of them that an earlier attempt left here."""
        return sum(delivery.begun for delivery in self.deliveries.values())


def make_plan(keys: list[str], manifest: Manifest, places: Shelves, say: Say) -> Plan:
    """Find out what some models need. What is here is compared with its hashes; the hub is asked for the rest only.

    Raises
    ------
    Invalid
        When a model needs what no repository has, or the hub holds another file than ``models.yaml`` names.
    Transient
        When the hub cannot be reached.
    """
    plan, hub = Plan(), None
    for key in keys:
        model = manifest.models[key]
        if model.not_played:
            raise Invalid(f"{key!r} cannot be played: {model.not_played}; nothing was fetched")
        for weights in model.weights:
            if weights.folder in plan.here or weights.folder in plan.deliveries or not _needs(model, weights, plan):
                continue
            place = places.find(weights)
            wrong = find_wrong(weights, place, places) if place else []
            for fault in wrong:
                say(fault)
            if place and not wrong:
                plan.here[weights.folder] = weights, place
            elif weights.local:
                raise Invalid(f"{key!r}: {weights.local} must hold {', '.join(weights.files)}, whole; put them there")
            else:
                hub = hub or Hub()
                plan.deliveries[weights.folder] = _look_up(weights, hub, places)
        _check_codec(key, model, plan)
    return plan


def _needs(model: Model, weights: Weights, plan: Plan) -> bool:
    """Whether a model needs some of its weights; those that come first in ``models.yaml`` are planned already."""
    if not weights.if_pointed_to:
        return True
    own = model.weights[0].folder
    if own in plan.here:
        named = codec_pointer(plan.here[own][1] / CODEC)
        return named is not None and Path(named).name == weights.folder
    # What so small a file names is known when it is here; see _check_codec.
    return plan.deliveries[own].repository.files[CODEC].size <= POINTER_LIMIT_BYTES


def _check_codec(key: str, model: Model, plan: Plan) -> None:
    own = model.weights[0].folder if model.weights else ""
    place = plan.here[own][1] if own in plan.here else plan.deliveries[own].folder if own in plan.deliveries else None
    named = codec_pointer(place / CODEC) if place else None
    if named and Path(named).name not in {weights.folder for weights in model.weights}:
        raise Invalid(f"{key!r} names the codec {named!r}; list it under its `weights:` in config/models.yaml")


def _look_up(weights: Weights, hub: Hub, places: Shelves) -> Delivery:
    record = places.record(weights)
    revision = weights.revision or (record.revision if record else "")
    repository = hub.look_up(weights.repository, [*weights.files, *weights.one_of], revision)
    names = [*weights.files, *[name for name in weights.one_of if name in repository.files][:1]]
    absent = [name for name in weights.files if name not in repository.files]
    if weights.one_of and len(names) == len(weights.files):
        absent.append(" or ".join(weights.one_of))
    if absent:
        raise Invalid(f"{weights.repository} has no {', '.join(absent)}; correct config/models.yaml")
    delivery = Delivery(weights, repository, places.own / weights.folder)
    for name in names:
        file, stated = repository.files[name], weights.files.get(name)
        if stated and file.sha256 and stated != file.sha256:
            raise Invalid(
                f"{weights.repository}: the hub's {name} has the SHA-256 {file.sha256}, and config/models.yaml says "
                f"{stated}; correct it there, or name the revision that has it"
            )
        path = delivery.folder / name
        if path.is_file() and not compare(path, file, weights):
            continue
        if blob := _cached_blob(weights, file, places):
            delivery.linked[name] = blob
        else:
            delivery.fetched.append(file)
    return delivery


def _cached_blob(weights: Weights, file: HubFile, places: Shelves) -> Path | None:
    for name in (weights.repository, *weights.cached_as) if places.hub else ():
        assert places.hub is not None
        blob = places.hub / f"models--{name.replace('/', '--')}" / "blobs" / file.etag
        if blob.is_file() and not compare(blob, file, weights):
            return blob
    return None


def compare(path: Path, file: HubFile, weights: Weights, seen: Callable[[int], None] = lambda count: None) -> str:
    """What is wrong with a file, by the hub's size and hash and by ``models.yaml``; empty: nothing."""
    found = path.stat().st_size
    if found != file.size:
        return f"has {found} bytes and must have {file.size}"
    stated = file.sha256 or weights.files.get(file.name, "")
    if stated and (digest := sha256_of(path, seen)) != stated:
        return f"has the SHA-256 {digest} and must have {stated}"
    if not file.sha256 and file.git_sha1 and (digest := git_sha1_of(path, seen)) != file.git_sha1:
        return f"has git's SHA-1 {digest} and must have {file.git_sha1}"
    return ""


def find_wrong(weights: Weights, place: Path, places: Shelves) -> list[str]:
    """What is wrong with weights that are here: at a glance, and by every hash that is known of them."""
    wrong, paths = [], files_of(weights, place)
    with Meter("checking", sum(path.stat().st_size for path in paths)) as meter:
        done = 0
        for path in paths:
            meter.start(done)
            expected = known_sha256(weights, path, places)
            if fault := look_at(path):
                wrong.append(f"{path} {fault}")
            elif expected and (digest := sha256_of(path, meter.seen)) != expected:
                wrong.append(f"{path} is damaged: its SHA-256 is {digest} and must be {expected}")
            done += path.stat().st_size
    return wrong


def known_sha256(weights: Weights, path: Path, places: Shelves) -> str:
    """What a file must hash to: by ``models.yaml``, by what was recorded, or by its name in the hub's cache."""
    blob = path.resolve() if path.is_symlink() else path
    cached = blob.name if blob.parent.name == "blobs" and len(blob.name) == 64 else ""
    return places.expected(weights, path.name) or cached


def carry_out(plan: Plan, places: Shelves, say: Say) -> None:
    """Fetch, link, verify and record everything of a plan.

    Raises
    ------
    Invalid
        When a file arrives twice with another content, the disk has no room, or another fetch is under way.
    Transient
        When the hub cannot be reached, or breaks off; what arrived is kept.
    """
    check_room(places.own, plan.size - plan.begun)
    with locked(places.own), Meter("fetching", plan.size, plan.begun) as meter:
        for weights, place in plan.here.values():
            record_as_found(weights, place, places)
        hub, done = Hub() if plan.size else None, 0
        for delivery in plan.deliveries.values():
            delivery.folder.mkdir(parents=True, exist_ok=True)
            for name, blob in delivery.linked.items():
                _put(delivery.folder / name, lambda fresh, blob=blob: fresh.symlink_to(blob.absolute()))
            for file in delivery.fetched:
                assert hub is not None, "there is something to fetch"
                meter.start(done)
                _fetch(hub, delivery, file, meter, say)
                done += file.size
            record_as_found(delivery.weights, delivery.folder, places, delivery.repository)
            for left in delivery.folder.glob(".*.part"):
                left.unlink()


def _fetch(hub: Hub, delivery: Delivery, file: HubFile, meter: Meter, say: Say) -> None:
    part = delivery.part(file)
    for attempt in range(1, TRIES + 1):
        hub.download(delivery.repository, file, part, meter.seen)
        fault = compare(part, file, delivery.weights)
        if not fault:
            with open(part, "rb") as stream:
                os.fsync(stream.fileno())
            part.replace(delivery.folder / file.name)
            return
        part.unlink()
        if attempt < TRIES:
            say(f"{delivery.repository.name}: {file.name} arrived damaged: it {fault}. It is fetched anew")
    raise Invalid(
        f"{delivery.repository.name}: {file.name} arrived damaged {TRIES} times: it {fault}. Nothing of it was kept; "
        "try another network, or bring the files by hand: drophammer models import KEY FOLDER"
    )


def record_as_found(weights: Weights, place: Path, places: Shelves, origin: Repository | None = None) -> None:
    """Record revision, sizes and hashes of weights that are known to be whole.

    A hash that the hub, ``models.yaml`` or an earlier record names is not computed again.
    """
    known, files, paths = places.record(weights), {}, files_of(weights, place)
    named = {name: file.sha256 for name, file in origin.files.items()} if origin else {}
    with Meter("checking", sum(path.stat().st_size for path in paths)) as meter:
        for path in paths:
            digest = named.get(path.name) or known_sha256(weights, path, places) or sha256_of(path, meter.seen)
            files[path.name] = FileRecord(digest, path.stat().st_size)
    in_cache = place.name if place.parent.name == "snapshots" else ""
    revision = origin.commit if origin else in_cache or (known.revision if known else "")
    if (record := Record(weights.name, revision, files)) != known:
        write_record(places.own, weights.folder, record)


def check_room(folder: Path, needed: int) -> None:
    """Refuse to begin what does not fit on the disk.

    Raises
    ------
    Invalid
        Naming the folder, what is needed and what is free.
    """
    disk = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(disk).free
    if needed and needed + ROOM_LEFT_BYTES > free:
        raise Invalid(
            f"{size(needed)} are needed in {folder} (and {size(ROOM_LEFT_BYTES)} to spare), {size(free)} are free; "
            "make room, or put models/ on a larger disk and a link in its place"
        )


@contextmanager
def locked(models: Path) -> Iterator[None]:
    """Hold ``models/`` for oneself.

    Raises
    ------
    Transient
        When another command holds it.
    """
    models.mkdir(parents=True, exist_ok=True)
    with open(models / ".lock", "a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Transient(f"{models} is in use by another `drophammer models`; wait until it has ended") from None
        yield


def _put(path: Path, make: Callable[[Path], None]) -> None:
    """Make something under another name, then give it its own in one step."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    make(fresh)
    fresh.replace(path)
