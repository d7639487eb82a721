"""The melody half of MusicGen: what a model hears of a recording, and how much it counts. Heavy: torch, audiocraft.

audiocraft listens to vocals and melodic parts alone, which demucs separates for it. Where demucs and its weights are
not both here, the recording is heard as it is: give a recording of the melody, without drums and bass. The chroma
itself (twelve pitch classes over time) is audiocraft's, and its state dict is the same either way.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from handlers.stems.musicgen.library import (
    ChromaExtractor,
    ChromaStemConditioner,
    LMModel,
    TorchAutocast,
    WavCondition,
    WaveformConditioner,
)

SEPARATION_WEIGHTS = "955717e8-8726e21a.th"
"""htdemucs, as demucs 4 names it in torch's cache."""
CONDITION = "self_wav"
"""audiocraft's name for the melody."""


class ChromaConditioner(ChromaStemConditioner):
    """audiocraft's conditioner on the recording as it is, with nothing separated from it."""

    def __init__(
        self,
        output_dim: int,
        sample_rate: int,
        n_chroma: int,
        radix2_exp: int,
        duration: float,
        device: torch.device | str = "cpu",
        match_len_on_eval: bool = True,
        eval_wavs: str | None = None,
        n_eval_wavs: int = 0,
        cache_path: str | None = None,
        **chroma: Any,
    ) -> None:
        # Not its parent's, which loads demucs. What playing reads of the parent's attributes is set here; recordings
        # to evaluate with, and a cache of them, belong to training.
        WaveformConditioner.__init__(self, dim=n_chroma, output_dim=output_dim, device=device)
        self.autocast = TorchAutocast(enabled=device != "cpu", device_type=device, dtype=torch.float32)
        self.sample_rate, self.duration = sample_rate, duration
        self.chroma = ChromaExtractor(sample_rate=sample_rate, n_chroma=n_chroma, radix2_exp=radix2_exp, **chroma).to(
            device
        )
        self.chroma_len = self._get_chroma_len()
        self.eval_wavs = self.cache = None
        self.match_len_on_eval = match_len_on_eval

    def _get_stemmed_wav(self, wav: torch.Tensor, sample_rate: int) -> torch.Tensor:
        assert sample_rate == self.sample_rate, f"{sample_rate} Hz where {self.sample_rate} were expected"
        return wav


def separation_is_here() -> bool:
    """Whether demucs is installed, and its weights lie in torch's cache."""
    return (
        find_spec("demucs") is not None and (Path(torch.hub.get_dir()) / "checkpoints" / SEPARATION_WEIGHTS).is_file()
    )


def melody_conditioner() -> type[ChromaStemConditioner]:
    """The class that a melody model is to be built with."""
    return ChromaStemConditioner if separation_is_here() else ChromaConditioner


def find_melody(lm: LMModel) -> ChromaStemConditioner | None:
    """The model's melody half, if it has one; set to play as audiocraft's own loader sets it."""
    conditioners = lm.condition_provider.conditioners
    if CONDITION not in conditioners:
        return None
    conditioner = conditioners[CONDITION]
    conditioner.match_len_on_eval, conditioner._use_masking = True, False
    return conditioner


@contextmanager
def weighted(conditioner: ChromaStemConditioner | None, weight: float) -> Iterator[None]:
    """Let the melody count for `weight`: 1 all of it, 0 nothing, which is what the model takes for no melody."""
    if conditioner is None or weight == 1.0:
        yield
        return

    def blend(_: Any, arguments: tuple[WavCondition], heard: tuple[torch.Tensor, torch.Tensor]) -> tuple:
        embeds, mask = heard
        return torch.lerp(nothing.expand_as(embeds), embeds, weight), mask

    nothing, _ = conditioner(no_melody(conditioner.sample_rate, embeds_device(conditioner)))
    hook = conditioner.register_forward_hook(blend)
    try:
        yield
    finally:
        hook.remove()


def embeds_device(conditioner: ChromaStemConditioner) -> torch.device:
    """Where its weights lie."""
    return conditioner.output_proj.weight.device


def no_melody(sample_rate: int, device: torch.device) -> WavCondition:
    """What stands for no melody, as audiocraft writes it."""
    return WavCondition(torch.zeros((1, 1, 1), device=device), torch.tensor([0], device=device), [sample_rate], [None])
