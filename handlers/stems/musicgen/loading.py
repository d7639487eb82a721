"""From a model's files to one that is ready to play, kept warm for as long as its files stay the same. Heavy: torch."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from handlers.contract import Context, Invalid
from handlers.stems.models.manifest import Model
from handlers.stems.models.weights import CODEC, STATE, codec_pointer, models_folder
from handlers.stems.musicgen.checkpoint import MusicGen, load_musicgen
from handlers.stems.musicgen.patience import patiently

WARM = "musicgen"
"""Where in the worker's cache the model is kept that played last."""
READ_BYTES = 1 << 24


@dataclass
class Loaded:
    """A model that is ready to play."""

    musicgen: MusicGen
    made_from: tuple[tuple[str, int, int, int], ...]
    """Path, inode, size and time of change of every file it was made from."""
    sha256: dict[str, str]
    """Of those that hold weights, by their place below ``models/``."""
    device: str
    half: bool
    """Whether the language model's weights are in half precision."""
    made: dict[Any, Any] = field(default_factory=dict)
    """What was made from it and is worth keeping: decoders, conditions."""


def load(model: Model, context: Context, device: str, *, half: bool) -> Loaded:
    """Load a model from its local folders, or take the one that is still warm.

    Parameters
    ----------
    model
        Its entry in ``models.yaml``.
    context
        Of the run; the worker's cache keeps what is loaded.
    device
        ``cuda`` or ``cpu``.
    half
        Hold the language model's weights in float16, else float32.

    Raises
    ------
    Invalid
        When a file is missing, damaged or not part of such a model; names it.
    OutOfMemory
        When it does not fit.
    """
    models = models_folder(context.config_dir)
    folder = models / model.weights[0].folder
    paths = _weight_files(model, models)
    state = tuple((str(path), *_state(path)) for path in paths)
    warm = context.models.get(WARM)
    if isinstance(warm, Loaded) and (warm.made_from, warm.device, warm.half) == (state, device, half):
        return warm
    context.models.pop(WARM, None)  # Its memory is needed by the one that follows.
    del warm
    context.progress("loading", 0)
    sha256 = {str(path.relative_to(models)): _hash(path, context) for path in paths if path.suffix != ".json"}
    context.log("loading weights", folder=str(folder), device=device)
    musicgen = patiently(lambda: load_musicgen(folder, models, device, half=half), context.check_cancelled)
    loaded = Loaded(musicgen, state, sha256, device, half)
    context.models[WARM] = loaded
    return loaded


def _weight_files(model: Model, models: Path) -> list[Path]:
    own = models / model.weights[0].folder
    paths = [own / STATE, own / CODEC]
    if pointed_to := codec_pointer(own / CODEC):
        paths += _contents(models / Path(pointed_to).name)
    for weights in model.weights[1:]:
        if not weights.if_pointed_to:
            paths += _contents(models / weights.folder)
    for path in paths:
        if not path.is_file():
            raise Invalid(f"{path} is not here; `drophammer check` on the job prints the command that fetches it")
    return paths


def _contents(folder: Path) -> list[Path]:
    return sorted(path for path in folder.glob("*") if path.suffix in (".bin", ".json", ".safetensors", ".model"))


def _state(path: Path) -> tuple[int, int, int]:
    found = path.stat()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _hash(path: Path, context: Context) -> str:
    """SHA-256 of a file of weights, remembered for as long as the file stays as it is."""
    note = context.cache_dir / f"weights-{hashlib.sha256(str(path).encode()).hexdigest()[:16]}.json"
    state = list(_state(path))
    try:
        known = json.loads(note.read_text(encoding="utf-8"))
        if known["state"] == state:
            return str(known["sha256"])
    except (OSError, ValueError, KeyError, TypeError):
        pass  # Not hashed yet, or the cache is broken: hash it.
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(READ_BYTES):
            context.check_cancelled()
            digest.update(block)
    fresh = note.with_suffix(f".{os.getpid()}")
    fresh.write_text(json.dumps({"state": state, "sha256": digest.hexdigest()}), encoding="utf-8")
    fresh.replace(note)
    return digest.hexdigest()


def kept(loaded: Loaded, name: Any, make: Callable[[], Any]) -> Any:
    """What was made under this name, or is made now."""
    if name not in loaded.made:
        loaded.made[name] = make()
    return loaded.made[name]
