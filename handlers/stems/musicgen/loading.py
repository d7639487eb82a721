"""From a model's files to one that is ready to play, kept warm for as long as its files stay the same. Heavy: torch."""

from __future__ import annotations

import gc
import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch

from handlers.contract import Context, Invalid
from handlers.stems.models.manifest import Model
from handlers.stems.models.weights import files_of, shelves
from handlers.stems.musicgen.checkpoint import MusicGen, load_musicgen
from handlers.stems.musicgen.decoder import Decoder
from handlers.stems.musicgen.library import T5Conditioner
from handlers.stems.musicgen.memory import out_of_memory, wait_for
from handlers.stems.musicgen.network import obstacle
from handlers.stems.musicgen.overheard import overheard
from handlers.stems.musicgen.patience import patiently
from handlers.stems.musicgen.plan import Plan

WARM = "musicgen"
"""Where in the worker's cache the model is kept that played last."""
READ_BYTES = 1 << 24
PROMPTS = 64
"""How many prompts' embeddings are remembered; one of a hundred words takes a megabyte."""


@dataclass
class Loaded:
    """A model that is ready to play."""

    musicgen: MusicGen
    made_from: tuple[tuple[str, int, int, int], ...]
    """Path, inode, size and time of change of every file it was made from."""
    sha256: dict[str, str]
    """Of those that hold weights, by their place below ``models/``."""
    device: str
    held_as: str
    """What the layers of the language model are held in, as torch names it."""
    warnings: tuple[str, ...]
    """What was said while it was loaded; every stem's log repeats it."""
    decoder: Decoder | None = None
    """The fast loop over it, as it was last asked for."""


def state_file(model: Model, context: Context) -> Path:
    """The file of the language model itself; it must be there."""
    return _find_files(model, context)[1][0]


def load(model: Model, context: Context, plan: Plan) -> Loaded:
    """Load a model from its local folders, or take the one that is still warm.

    Parameters
    ----------
    model
        Its entry in ``models.yaml``.
    context
        Of the run; the worker's cache keeps what is loaded.
    plan
        Where to, and in which precision.

    Raises
    ------
    Invalid
        When a file is missing, damaged or not part of such a model; names it.
    OutOfMemory
        When it does not fit.
    """
    models, paths = _find_files(model, context)
    folder = models / model.weights[0].folder
    state = tuple((str(path), *_state(path)) for path in paths)
    warm = context.models.get(WARM)
    if isinstance(warm, Loaded) and (warm.made_from, warm.device, warm.held_as) == (state, plan.device, plan.held_as):
        return warm
    if warm is not None:  # Its memory is needed by the one that follows.
        del warm, context.models[WARM]
        gc.collect()
        if plan.device == "cuda":
            torch.cuda.empty_cache()
    _make_room(plan, context)
    context.progress("loading", 0)
    sha256 = {str(path.relative_to(models)): _hash(path, context) for path in paths if path.suffix != ".json"}
    _compare(sha256, model, models, context)
    context.log("loading weights", folder=str(folder), device=plan.device)
    with overheard() as warnings:
        musicgen = patiently(lambda: load_musicgen(folder, models, plan.device, plan.held_as), context.check_cancelled)
    for conditioner in musicgen.lm.condition_provider.conditioners.values():
        if isinstance(conditioner, T5Conditioner):
            RememberedWords(conditioner)
    loaded = Loaded(musicgen, state, sha256, plan.device, plan.held_as, tuple(warnings))
    context.models[WARM] = loaded
    return loaded


def _compare(sha256: dict[str, str], model: Model, models: Path, context: Context) -> None:
    """Refuse a file that is not the one that was fetched."""
    places = shelves(context.config_dir)
    for weights in model.weights:
        for place in (f"{weights.folder}/{name}" for name in (*weights.files, *weights.one_of)):
            expected = places.expected(weights, Path(place).name)
            if expected and sha256.get(place, expected) != expected:
                raise Invalid(
                    f"{models / place} is damaged: its SHA-256 is {sha256[place]} and must be {expected}; "
                    "`./drophammer models fetch KEY` fetches it again, then retry the job"
                )


def _make_room(plan: Plan, context: Context) -> None:
    """Wait for the memory that the model will take; too little of it is answered by a narrower batch."""
    need = plan.need.of(plan.width)
    if wait_for(need, plan.device, context):
        return
    if plan.width > 1:
        raise out_of_memory(context, plan.width, f"{need / 1e9:.1f} GB of memory did not become free")
    context.warn(f"{need / 1e9:.1f} GB of memory, as estimated, did not become free; it is tried all the same")


def _find_files(model: Model, context: Context) -> tuple[Path, list[Path]]:
    """A folder where the model's weights have their names of ``models/``, and all their files, its own first."""
    known = shelves(context.config_dir)
    if missing := known.missing(model):
        names = ", ".join(weights.name for weights in missing)
        raise Invalid(f"{names}: not here; `drophammer check` on the job prints the command that fetches it")
    models = known.assemble(model, context.cache_dir)
    return models, [path for weights in known.needed(model) for path in files_of(weights, models / weights.folder)]


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


def find_decoder(loaded: Loaded, plan: Plan, context: Context) -> Decoder:
    """The fast loop over a loaded model, kept with it as long as the same is asked for."""
    asked = (plan.precision, plan.width)
    if loaded.decoder is None or (loaded.decoder.precision, loaded.decoder.width) != asked:
        loaded.decoder = None
        if reason := obstacle(loaded.musicgen.lm):
            raise Invalid(f"the fast decoder cannot play this model: {reason}; write `decoder: reference`")
        musicgen = loaded.musicgen
        loaded.decoder = patiently(
            lambda: Decoder(
                musicgen.lm,
                width=plan.width,
                precision=plan.precision,
                device=plan.device,
                max_steps=int(musicgen.max_duration * musicgen.frame_rate),
            ),
            context.check_cancelled,
        )
    return loaded.decoder


class RememberedWords:
    """T5 in a conditioner: it reads each prompt once, and not in every window and for every stem."""

    def __init__(self, conditioner: T5Conditioner) -> None:
        self._read = conditioner.forward
        self._heard: dict[tuple[object, ...], tuple[torch.Tensor, torch.Tensor]] = {}
        conditioner.forward = self

    def __call__(self, inputs: dict[str, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        """Take tokens and their mask; give what audiocraft's own conditioner gives."""
        key = tuple((name, tuple(tensor.shape), tensor.cpu().numpy().tobytes()) for name, tensor in inputs.items())
        if key not in self._heard:
            if len(self._heard) == PROMPTS:
                del self._heard[next(iter(self._heard))]
            self._heard[key] = self._read(inputs)
        return self._heard[key]
