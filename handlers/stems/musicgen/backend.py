"""Stems played by MusicGen through audiocraft's own loop, one at a time, from weights in local folders.

Each stem has its own random stream, from (seed, step, number), and is made in a batch of its own: stem 3 of seed 7 is
the same alone, with others, and after a restart, on one device with one set of libraries. The network is never asked.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from handlers.audio import files, picture
from handlers.audio.loudness import measure
from handlers.audio.resample import resample
from handlers.contract import Context, Invalid, OutOfMemory
from handlers.stems.models.manifest import Model
from handlers.stems.models.weights import CODEC, STATE, codec_pointer, models_folder
from handlers.stems.musicgen.checkpoint import MusicGen, is_out_of_memory, load_musicgen
from handlers.stems.musicgen.device import choose_device
from handlers.stems.params import StemsParams
from handlers.stems.streams import stream
from handlers.stems.styles import Style

SAMPLE_RATE = 44_100
PEAK_DBFS = -1.0
"""Louder than this is turned down as a whole; nothing is turned up."""
STRIDE_S = 18.0
"""How far one window goes beyond the one before, where a piece is longer than a window: audiocraft's own default."""
DELAY_STEPS = 3
"""Steps beyond its frames that a window takes, for codebooks that run behind the first."""
WARM = "musicgen"
READ_BYTES = 1 << 24
_GENERATED = 0.9
"""Share of an item's time that generating takes."""


@dataclass(frozen=True)
class Loaded:
    """A model that is ready to play."""

    musicgen: MusicGen
    files: tuple[tuple[str, int, int, int], ...]
    """Path, inode, size and time of change of every file it was made from."""
    sha256: dict[str, str]
    """Of those that hold weights, by their place below ``models/``."""
    device: str
    precision: str


def run(params: StemsParams, style: Style, model: Model, context: Context) -> None:
    """Make `params.count` stems; items that an earlier attempt finished are skipped and change nothing for the rest."""
    wanted = [item for item in range(1, params.count + 1) if item not in context.completed]
    if not wanted:
        return
    loaded = _load(model, context)
    if params.duration > loaded.musicgen.max_duration:
        context.log(
            f"{params.duration:g} s is longer than the model's window of {loaded.musicgen.max_duration:g} s: "
            "later windows continue from the end of the one before"
        )
    for item in wanted:
        _make(item, params, style, model, loaded, context)
    context.progress("working", params.count, params.count, "stems")


def _load(model: Model, context: Context) -> Loaded:
    """The model, kept from an earlier run where its files are still the same."""
    models = models_folder(context.config_dir)
    folder = models / model.weights[0].folder
    paths = _weight_files(model, models)
    state = tuple((str(path), *_state(path)) for path in paths)
    warm = context.models.get(WARM)
    if isinstance(warm, Loaded) and warm.files == state:
        return warm
    context.models.pop(WARM, None)  # Its memory is needed by the one that follows.
    del warm
    device = choose_device()
    context.progress("loading", 0)
    sha256 = {str(path.relative_to(models)): _hash(path, context) for path in paths if path.suffix != ".json"}
    context.log("loading weights", folder=str(folder), device=device)
    musicgen = load_musicgen(folder, models, device)
    loaded = Loaded(musicgen, state, sha256, _name(device), "float16" if device == "cuda" else "float32")
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


def _name(device: str) -> str:
    return torch.cuda.get_device_name() if device == "cuda" else f"CPU, {torch.get_num_threads()} threads"


def _make(item: int, params: StemsParams, style: Style, model: Model, loaded: Loaded, context: Context) -> None:
    prompt = params.prompt or style.character.prompt

    def pulse(done: float) -> None:
        context.check_cancelled()
        context.progress("working", item - 1 + _GENERATED * done, params.count, "stems")

    random_state = int(stream(context.seed, WARM, context.step, item).integers(2**63))
    audio = generate(loaded.musicgen, prompt, params.duration, random_state, pulse)
    pulse(1.0)
    if not np.isfinite(audio).all():
        raise Invalid(
            f"stem {item}: {params.model!r} made NaN or infinity; its weights, or {loaded.precision}, are to blame"
        )
    audio, gain_db = _deliverable(audio, loaded.musicgen.sample_rate, params.duration)
    loudness = measure(audio, SAMPLE_RATE).facts()
    image, wave = context.workdir / f"{item}.png", context.workdir / f"{item}.wav"
    picture.draw(image, audio, SAMPLE_RATE, title=f"{style.name}  {params.model}  seed {context.seed}/{item}")
    context.check_cancelled()
    tags = {
        "title": f"{context.job_name} {context.step} {item}",
        "comment": f"style {style.name}, model {params.model}, seed {context.seed}, step {context.step}, item {item}",
        "license": model.licence,
    }
    files.write(wave, audio, SAMPLE_RATE, subtype="PCM_24", tags=tags)
    context.emit(item, image, "sidecar", label="picture")
    context.emit(
        item,
        wave,
        duration_s=audio.shape[1] / SAMPLE_RATE,
        sample_rate=SAMPLE_RATE,
        channels=audio.shape[0],
        style=style.name,
        model=params.model,
        prompt=prompt,
        seed=context.seed,
        integrated_lufs=loudness["integrated_lufs"],
        true_peak_dbtp=loudness["true_peak_dbtp"],
        gain_db=round(gain_db, 2),
        licence=model.licence,
        weights_sha256=loaded.sha256,
        device=loaded.device,
        precision=loaded.precision,
    )
    context.progress("working", item, params.count, "stems")


def generate(
    musicgen: MusicGen, prompt: str, duration_s: float, random_state: int, pulse: Callable[[float], None]
) -> np.ndarray:
    """Play one piece.

    Parameters
    ----------
    musicgen
        The model.
    prompt
        What it should sound like, in words.
    duration_s
        At least so long; up to one frame of the codec longer. Beyond the model's window audiocraft continues in
        further windows.
    random_state
        0 .. 2**63 - 1: the same one gives the same piece.
    pulse
        Called at every step with how much is done, 0 .. 1; what it raises ends the work.

    Returns
    -------
    audio
        float32 ``(channels, samples)`` at the model's rate, full scale ±1 but not held to it.
    """
    window = int(musicgen.max_duration * musicgen.frame_rate)
    frames = math.ceil(duration_s * musicgen.frame_rate - 1e-6)
    steps = count_steps(frames, window, int(STRIDE_S * musicgen.frame_rate))
    made = 0

    def step(_done: int, _total: int) -> None:
        # Its own figures jump back with every window; steps are counted instead.
        nonlocal made
        made += 1
        pulse(min(made / steps, 1.0))

    # Half a frame more, so that no rounding of a product of seconds and frames loses one.
    musicgen.set_generation_params(duration=(frames + 0.5) / musicgen.frame_rate, extend_stride=STRIDE_S)
    musicgen.set_custom_progress_callback(step)
    torch.manual_seed(random_state)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            (audio,) = musicgen.generate([prompt], progress=True)
        return audio.float().cpu().numpy()
    except RuntimeError as error:
        if is_out_of_memory(error):
            raise OutOfMemory(f"{duration_s:g} s of {musicgen.name} do not fit into memory: {error}") from error
        raise
    finally:
        musicgen.set_custom_progress_callback(None)


def count_steps(frames: int, window: int, stride: int) -> int:
    """How many steps audiocraft takes for `frames` frames, in windows of `window` that advance by `stride`."""
    steps = offset = prompt = 0
    while offset + prompt < frames:
        length = min(frames - offset, window)
        steps += length - prompt + DELAY_STEPS
        prompt = max(length - stride, 0)
        offset += stride
    return steps


def _deliverable(audio: np.ndarray, sample_rate: int, duration_s: float) -> tuple[np.ndarray, float]:
    """Stereo at 44.1 kHz, of exact length, peaks held; with the gain in dB that took."""
    length = round(duration_s * SAMPLE_RATE)
    audio = resample(audio, sample_rate, SAMPLE_RATE)[:, :length]
    if audio.shape[1] < length:
        raise RuntimeError(f"MusicGen made {audio.shape[1]} samples at {SAMPLE_RATE} Hz where {length} were asked for")
    if audio.shape[0] == 1:
        audio = np.repeat(audio, 2, axis=0)
    ceiling, peak = 10 ** (PEAK_DBFS / 20), float(np.abs(audio).max())
    if peak <= ceiling:
        return audio, 0.0
    return audio * np.float32(ceiling / peak), 20 * math.log10(ceiling / peak)
