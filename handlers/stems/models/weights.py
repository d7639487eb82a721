"""Which files of a model's weights are on this machine, where, and whether they look whole. Light: no torch.

The daemon asks this of every job that waits. Weights are used where they lie: in this installation's ``models/``, in a
folder that ``models.yaml`` names, or in the hub's cache. Nothing is copied from there.
"""

from __future__ import annotations

import json
import os
import pickletools
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from pickle import UnpicklingError

from handlers.stems.models.manifest import Model, Weights, read_manifest
from handlers.stems.models.records import Record, read_records
from handlers.stems.styles import until_changed

STATE, CODEC = "state_dict.bin", "compression_state_dict.bin"
"""The two files of a model's own folder: the language model, and the codec that turns its tokens into sound."""
LIBRARIES = ("torch", "audiocraft", "transformers", "omegaconf", "einops", "julius")
POINTER_LIMIT_BYTES = 1 << 16
"""A codec file that only names another folder is some hundred bytes long; the smallest real codec is far larger."""


def models_folder(config_dir: Path) -> Path:
    """Where weights lie: ``models/`` beside ``config/``."""
    return config_dir.parent / "models"


def missing_libraries() -> list[str]:
    """What `make setup-musicgen` installs and is not here; looked for on disk, not imported, and anew each time."""
    # Asked of the path alone: the daemon's process refuses to look for heavy libraries in the usual way.
    return [name for name in LIBRARIES if PathFinder.find_spec(name) is None]


@dataclass(frozen=True)
class Shelves:
    """Where weights are looked for, in this order."""

    own: Path
    """This installation's ``models/``, where they are fetched to."""
    others: tuple[Path, ...] = ()
    """Folders laid out like it, from ``folders:`` of ``models.yaml``."""
    hub: Path | None = None
    """The cache that the hub's own library keeps."""

    def find(self, weights: Weights) -> Path | None:
        """The folder that holds all files of some weights, or `None`."""
        if weights.local:
            places = [self._below_checkout(weights.local)]
        else:
            shelves = [*([] if self._is_other_revision(weights) else [self.own]), *self.others]
            places = [*(shelf / weights.folder for shelf in shelves), *self.snapshots(weights)]
        return next((place for place in places if is_whole(weights, place)), None)

    def needed(self, model: Model) -> list[Weights]:
        """The model's weights, in the order of ``models.yaml``.

        A codec in a folder of its own counts only where the model's codec file is here and names it.
        """
        own = self.find(model.weights[0]) if model.weights else None
        pointed_to = own and codec_pointer(own / CODEC)
        named = pointed_to and Path(pointed_to).name
        return [weights for weights in model.weights if not weights.if_pointed_to or weights.folder == named]

    def missing(self, model: Model) -> list[Weights]:
        """Those that are not on this machine."""
        return [weights for weights in self.needed(model) if self.find(weights) is None]

    def damaged(self, model: Model) -> list[str]:
        """What is wrong with files that are here, as far as a glance tells: sizes, ends, headers."""
        found = []
        for weights in self.needed(model):
            if place := self.find(weights):
                found += list(self.faults(weights, place))
        return found

    def faults(self, weights: Weights, place: Path) -> Iterator[str]:
        """What a glance tells of the files in one folder."""
        record = self.record(weights)
        for path in files_of(weights, place):
            known = record.files.get(path.name) if record else None
            size = path.stat().st_size
            if known and size != known.size:
                yield f"{path} has {size} bytes and had {known.size} when it came"
            elif fault := look_at(path):
                yield f"{path} {fault}"

    def record(self, weights: Weights) -> Record | None:
        """What was recorded of some weights, unless ``models.yaml`` wants another revision by now."""
        return None if self._is_other_revision(weights) else read_records(self.own).get(weights.folder)

    def expected(self, weights: Weights, name: str) -> str:
        """The SHA-256 that a file must have, by ``models.yaml`` or as recorded when it came; empty: not known."""
        record = self.record(weights)
        recorded = record.files.get(name) if record else None
        return weights.files.get(name) or (recorded.sha256 if recorded else "")

    def assemble(self, model: Model, cache_dir: Path) -> Path:
        """A folder in which the model's weights have the names of their folders in ``models/``.

        ``models/`` itself where all of them lie there; else one of links, below `cache_dir`.
        """
        places = {weights.folder: self.find(weights) for weights in self.needed(model)}
        if all(place in (None, self.own / folder) for folder, place in places.items()):
            return self.own
        view = cache_dir / "weights"
        view.mkdir(parents=True, exist_ok=True)
        for folder, place in places.items():
            link, fresh = view / folder, view / f".{folder}.{os.getpid()}"
            fresh.unlink(missing_ok=True)
            fresh.symlink_to((place or self.own / folder).absolute())
            fresh.replace(link)
        return view

    def _is_other_revision(self, weights: Weights) -> bool:
        record = read_records(self.own).get(weights.folder)
        return bool(weights.revision and record and record.revision not in ("", weights.revision))

    def snapshots(self, weights: Weights) -> Iterator[Path]:
        """Folders of the hub's cache that may hold it: the wanted revision, else what its newest one is known to be."""
        record = self.record(weights)
        revision = weights.revision or (record.revision if record else "")
        for name in (weights.repository, *weights.cached_as) if self.hub else ():
            repository = self.hub / f"models--{name.replace('/', '--')}"
            if revision:
                yield repository / "snapshots" / revision
                continue
            try:
                commit = (repository / "refs" / "main").read_text(encoding="ascii").strip()
            except (OSError, UnicodeDecodeError):
                continue
            yield repository / "snapshots" / commit

    def _below_checkout(self, local: str) -> Path:
        return self.own.parent / Path(local).expanduser()


def shelves(config_dir: Path) -> Shelves:
    """Where this installation looks for weights.

    Raises
    ------
    ModelsError
        When ``models.yaml`` is not well written.
    """
    folders = read_manifest(config_dir / "models.yaml").folders
    others = tuple(config_dir.parent / Path(folder).expanduser() for folder in folders)
    return Shelves(models_folder(config_dir), others, hub_cache())


def hub_cache() -> Path:
    """Where the hub's own library keeps what it fetched, by the variables that it documents."""
    if folder := os.environ.get("HF_HUB_CACHE"):
        return Path(folder).expanduser()
    if folder := os.environ.get("HF_HOME"):
        return Path(folder).expanduser() / "hub"
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "huggingface" / "hub"


def files_of(weights: Weights, place: Path) -> list[Path]:
    """The files that some weights consist of in this folder."""
    either = next((place / name for name in weights.one_of if (place / name).is_file()), None)
    return [*(place / name for name in weights.files), *([either] if either else [])]


def is_whole(weights: Weights, place: Path) -> bool:
    """Whether all files of some weights are in this folder."""
    paths = files_of(weights, place)
    return len(paths) == len(weights.files) + bool(weights.one_of) and all(path.is_file() for path in paths)


@until_changed
def look_at(path: Path) -> str:
    """What is wrong with a file of weights, going by its head and its end; empty: nothing seen."""
    try:
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        elif path.suffix == ".safetensors":
            with open(path, "rb") as file:
                length = int.from_bytes(file.read(8), "little")
                header = json.loads(file.read(min(length, 1 << 26)))
            ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
            if path.stat().st_size != 8 + length + max(ends):
                return "is cut off, or longer than its header says"
        elif path.suffix == ".bin":
            with open(path, "rb") as file:
                pickled = file.read(1) == b"\x80"  # torch's older format, which tells nothing at a glance.
            if not pickled and not zipfile.is_zipfile(path):
                return "is cut off, or no file of torch"
    except (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        return f"cannot be read ({type(error).__name__}: {str(error)[:80]})"
    return ""


def codec_pointer(path: Path) -> str | None:
    """The name that a codec file gives in place of a codec, such as ``facebook/encodec_32khz``.

    `None` where it is a codec, is not there, or cannot be read. The file's pickle is read as a list of instructions
    and not executed.
    """
    try:
        if path.stat().st_size > POINTER_LIMIT_BYTES:
            return None
        words = pickled_words(path)
        return words[words.index("pretrained") + 1]
    except (OSError, ValueError, IndexError, zipfile.BadZipFile, UnpicklingError):
        return None


def pickled_words(path: Path) -> list[str]:
    """Every string in the pickle of a file that torch saved, in order; nothing of it is executed."""
    with zipfile.ZipFile(path) as archive:
        (entry,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        return [word for _, word, _ in pickletools.genops(archive.read(entry)) if isinstance(word, str)]


def describe_size(weights: Weights) -> str:
    """One of a model's weights with its size, as far as it is known."""
    if weights.about_gb is None:
        return f"{weights.name} (size not known)"
    return f"{weights.name} (about {weights.about_gb:g} GB, computed)"
