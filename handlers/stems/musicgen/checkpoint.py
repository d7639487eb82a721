"""A MusicGen checkpoint from local folders to a model that plays. Heavy: torch, transformers and audiocraft.

audiocraft's own classes are built and filled here; its loaders are not used, since they resolve names of other
repositories over the network. The format is theirs: two files, each a dictionary with ``best_state`` (tensors) and
``xp.cfg`` (YAML text), read by torch with ``weights_only``, so that no code in a file is ever executed.
"""

from __future__ import annotations

import json
import pickle
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from handlers.contract import Invalid, OutOfMemory
from handlers.stems.models.weights import CODEC, STATE, codec_pointer
from handlers.stems.musicgen.library import (
    CompressionModel,
    DictConfig,
    HFEncodecCompressionModel,
    HFEncodecModel,
    LMModel,
    MusicGen,
    OmegaConf,
    OmegaConfBaseException,
    SafetensorError,
    T5Conditioner,
    T5Tokenizer,
    TorchAutocast,
    builders,
    safe_open,
)
from handlers.stems.musicgen.melody import melody_conditioner

DAMAGED = (
    RuntimeError, KeyError, ValueError, TypeError, AttributeError, AssertionError, EOFError, OSError, pickle.UnpicklingError,
    OmegaConfBaseException, SafetensorError,
)  # fmt: skip
"""What torch, omegaconf and audiocraft raise for a file that is cut off, or holds something else."""


def load_musicgen(folder: Path, models: Path, device: str, held_as: str = "float32") -> MusicGen:
    """Load a model.

    Parameters
    ----------
    folder
        Holds ``state_dict.bin`` and ``compression_state_dict.bin``.
    models
        Where folders that those name are looked for by the last part of their name: T5, and a codec of its own.
    device
        ``cuda`` or ``cpu``.
    held_as
        What the layers of the language model are held in: ``float32``, ``float16`` as published, or ``bfloat16``.

    Raises
    ------
    Invalid
        When a file or folder is missing, damaged, or not what it should be; names it.
    OutOfMemory
        When the model does not fit.
    """
    with warnings.catch_warnings():
        for ages in (DeprecationWarning, FutureWarning):
            warnings.simplefilter("ignore", ages)
        lm = _load_lm(folder / STATE, models, device, held_as)
        codec = _load_codec(folder / CODEC, models, device)
        try:
            musicgen = MusicGen(folder.name, codec, lm)
        except DAMAGED as error:  # A codec or a window that does not belong to the language model.
            raise _refusal(folder / STATE, error) from error
    if held_as == "float32":
        musicgen.autocast = TorchAutocast(enabled=False)
    return musicgen


def _load_lm(path: Path, models: Path, device: str, held_as: str) -> LMModel:
    state, config = _read(path)
    try:
        config.device = device
        config.dtype = held_as
        # Nothing is drawn that is overwritten at once.
        config.transformer_lm.update(weight_init=None, depthwise_init=None, zero_bias_init=False)
        # What training leaves in the configuration, and the builders no longer take.
        arguments = (config.get("conditioners") or {}).get("args") or {}
        for name in ("merge_text_conditions_p", "drop_desc_p"):
            arguments.pop(name, None)
        _point_to_t5(config, path, models)
        builders.ChromaStemConditioner = melody_conditioner()
        lm = builders.get_lm_model(config)
        lm.load_state_dict(state)
    except DAMAGED as error:
        raise _refusal(path, error) from error
    lm.cfg = config
    return lm.eval()


def _point_to_t5(config: DictConfig, path: Path, models: Path) -> None:
    """Replace the name of each T5 by its local folder, which audiocraft is told about."""
    for conditioner in (config.get("conditioners") or {}).values():
        if conditioner.get("model") != "t5":
            continue
        folder = models / Path(conditioner.t5.name).name
        try:
            width = json.loads((folder / "config.json").read_text(encoding="utf-8"))["d_model"]
        except (OSError, ValueError, KeyError) as error:
            raise Invalid(
                f"{path} reads words through {conditioner.t5.name!r}, and {folder} does not hold it ({error}); "
                "fetch it again: `drophammer check` on the job prints the command"
            ) from error
        _look_at(folder)
        try:
            T5Tokenizer.from_pretrained(folder)
        except DAMAGED as error:
            raise _refusal(folder / "tokenizer.json", error) from error
        name = conditioner.t5.name = str(folder)
        if name not in T5Conditioner.MODELS:
            T5Conditioner.MODELS.append(name)
        T5Conditioner.MODELS_DIMS[name] = width


def _load_codec(path: Path, models: Path, device: str) -> CompressionModel:
    if pointed_to := codec_pointer(path):
        folder = models / Path(pointed_to).name
        if not folder.is_dir():
            raise Invalid(
                f"{path} names the codec {pointed_to!r} in place of one, and {folder} is not here; "
                "`drophammer check` on the job prints the command that fetches it"
            )
        if not (folder / CODEC).is_file():
            _look_at(folder)
            try:
                return HFEncodecCompressionModel(HFEncodecModel.from_pretrained(folder)).to(device).eval()
            except DAMAGED as error:
                raise _refusal(folder, error) from error
        path = folder / CODEC
    state, config = _read(path)
    try:
        config.device = device
        codec = builders.get_compression_model(config)
        codec.load_state_dict(state)
    except DAMAGED as error:
        raise _refusal(path, error) from error
    return codec.eval()


@dataclass(frozen=True)
class Size:
    """What a language model's file says of it; the weights themselves stay on the disk."""

    parameters: int
    layers: int
    width: int
    """Of each layer."""
    window_s: float
    half: bool
    """Whether all weights are in float16, as published."""


def read_size(path: Path) -> Size:
    """Read how large a language model is; errors as :func:`load_musicgen`."""
    state, config = _read(path)
    try:
        parameters = sum(tensor.numel() for tensor in state.values())
        half = all(tensor.dtype == torch.float16 for tensor in state.values())
        made = config.transformer_lm
        return Size(parameters, int(made.num_layers), int(made.dim), float(config.dataset.segment_duration), half)
    except DAMAGED as error:
        raise _refusal(path, error) from error


def _look_at(folder: Path) -> None:
    """Refuse a folder that transformers saved where a file of weights is cut off, which its header tells."""
    for path in sorted(folder.glob("*.safetensors")):
        try:
            with safe_open(path, framework="pt"):
                pass
        except DAMAGED as error:
            raise _refusal(path, error) from error


def _read(path: Path) -> tuple[dict[str, Any], DictConfig]:
    try:
        # Mapped where the format allows: the weights are then read once, into their place.
        package = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
        return package["best_state"], OmegaConf.create(package["xp.cfg"])
    except DAMAGED as error:
        raise _refusal(path, error) from error


def _refusal(path: Path, error: Exception) -> Exception:
    """What an error while reading `path` means."""
    if isinstance(error, Invalid):
        return error
    if is_out_of_memory(error):
        return OutOfMemory(f"{path.parent.name} does not fit into memory: {_first_line(error)}")
    return Invalid(
        f"{path}: is damaged, or is not part of a MusicGen model ({type(error).__name__}: {_first_line(error)}); "
        "delete it and fetch it again"
    )


def is_out_of_memory(error: BaseException) -> bool:
    """Whether torch says by this that memory ran out, of a card or of the machine."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or (
        isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0][:300]
