"""Stand-ins for libraries that audiocraft 1.3.0 imports and of which playing MusicGen uses next to nothing.

audiocraft's own pins (torch 2.1, xformers, PyAV 11, spacy, ...) contradict a current torch, so it is installed without
them. :func:`install` puts a finder at the *end* of ``sys.meta_path``: a library that is really installed is found first
and wins. What each stand-in provides:

=============  =====================================================================================================
xformers       `ops.unbind`, which is `torch.unbind`; `ops.LowerTriangularMask`, an empty class whose presence asks for
               causal attention. Attention itself runs through torch unless audiocraft is told otherwise
torchaudio     `transforms.Spectrogram`, which melody conditioning uses, by `torch.stft`. Otherwise names: really used by
               writing files, which is not done through audiocraft
av             names only. Really used for reading audio files
spacy,         names only. Really used where a checkpoint asks for its text to be normalised; MusicGen's do not
num2words
flashy, dora,  names only. Training: imported because audiocraft's multi-band diffusion imports the training code
torchmetrics   Of flashy also the decorator `distrib.rank_zero_only`, which leaves a function as it is: one process
=============  =====================================================================================================

A name that is only a name can be inherited from and annotated with. Calling one raises `RuntimeError` and says which
library to install: nothing is pretended to have been computed.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

NAMES = ("xformers", "torchaudio", "av", "spacy", "num2words", "flashy", "dora", "torchmetrics")
"""Top-level libraries that a stand-in is there for."""

ABSENT = ("xformers.profiler", "xformers.checkpoint_fairinternal")
"""Parts whose absence audiocraft handles itself; they stay absent."""


class Name:
    """A name that stands for nothing: it can be inherited from (that adds nothing) and has names below it."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Name:
        if name.startswith("__"):
            raise AttributeError(name)
        return Name(f"{self._path}.{name}")

    def __mro_entries__(self, bases: tuple[object, ...]) -> tuple[type, ...]:
        return ()

    def __call__(self, *_: Any, **__: Any) -> Any:
        library = self._path.partition(".")[0]
        raise RuntimeError(
            f"audiocraft called {self._path}, and {library} is not installed: only its name stands in. "
            f"What needs it cannot be done without {library}"
        )


class StandIn(ModuleType):
    """A module that has every name, and does nothing."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        # `from xformers import ops` asks for the attribute before it imports the module.
        path = f"{self.__name__}.{name}"
        if path in ABSENT:
            raise AttributeError(name)
        value = import_module(path) if path in PROVIDED else Name(path)
        setattr(self, name, value)
        return value


def _provide_ops(module: ModuleType) -> None:
    import torch

    module.unbind = torch.unbind  # type: ignore[attr-defined]
    # Its presence, not its content, tells audiocraft's torch attention to be causal.
    module.LowerTriangularMask = type("LowerTriangularMask", (), {})  # type: ignore[attr-defined]


def _provide_transforms(module: ModuleType) -> None:
    import torch

    class Spectrogram(torch.nn.Module):
        """Power of a short-time Fourier transform over the window's: as torchaudio's, for what audiocraft asks of it."""

        def __init__(
            self, n_fft: int, win_length: int, hop_length: int, *, power: int, center: bool, pad: int, normalized: bool
        ) -> None:
            super().__init__()
            if (power, center, pad, normalized) != (2, True, 0, True):
                raise RuntimeError(
                    "this spectrogram is asked for otherwise than by audiocraft 1.3.0; install torchaudio"
                )
            self.n_fft, self.win_length, self.hop_length = n_fft, win_length, hop_length
            self.register_buffer("window", torch.hann_window(win_length))  # It is part of published checkpoints.

        def forward(self, waveform: torch.Tensor) -> torch.Tensor:
            """``(..., samples)`` to ``(..., n_fft // 2 + 1, frames)``."""
            spectrum = torch.stft(
                waveform.reshape(-1, waveform.shape[-1]), self.n_fft, self.hop_length, self.win_length, self.window,
                center=True, pad_mode="reflect", onesided=True, return_complex=True,
            )  # fmt: skip
            power = spectrum.abs().square() / self.window.square().sum()
            return power.reshape(*waveform.shape[:-1], *power.shape[-2:])

    module.Spectrogram = Spectrogram  # type: ignore[attr-defined]


def _provide_distrib(module: ModuleType) -> None:
    module.rank_zero_only = lambda function: function  # type: ignore[attr-defined]


PROVIDED = {
    "xformers.ops": _provide_ops,
    "torchaudio.transforms": _provide_transforms,
    "flashy.distrib": _provide_distrib,
}
"""Modules with something that is really used, and what puts it there."""


class StandInFinder(MetaPathFinder, Loader):
    """Finds a stand-in for what nobody before it has found."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        library = fullname.partition(".")[0]
        if library not in NAMES or fullname in ABSENT:
            return None
        # A part that a really installed library lacks is absent; only a stand-in has stand-ins for its parts.
        if fullname != library and not isinstance(sys.modules.get(library), StandIn):
            return None
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        module.__version__ = "0"  # type: ignore[attr-defined]
        if provide := PROVIDED.get(module.__name__):
            provide(module)


def install() -> None:
    """Put the finder at the end of ``sys.meta_path``; a second time does nothing."""
    if not any(isinstance(finder, StandInFinder) for finder in sys.meta_path):
        sys.meta_path.append(StandInFinder())


def uninstall() -> None:
    """Take the finder away again, with every stand-in it made."""
    sys.meta_path[:] = [finder for finder in sys.meta_path if not isinstance(finder, StandInFinder)]
    for name in [name for name, module in sys.modules.items() if isinstance(module, StandIn)]:
        del sys.modules[name]


def standing_in() -> list[str]:
    """Libraries that a stand-in was loaded for, in alphabetical order."""
    return sorted({name for name in NAMES if isinstance(sys.modules.get(name), StandIn)})
