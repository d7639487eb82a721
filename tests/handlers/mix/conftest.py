"""Mixes of arrays, made by the handler's own run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from handlers.mix.mixdown import run
from handlers.mix.params import MixParams

RATE = 44_100


def parse(order: list[str], **keys: Any) -> MixParams:
    """A mix step's parameters."""
    return MixParams.model_validate({"order": order, **keys})


@pytest.fixture
def mix(tmp_path: Path, context_factory: Callable[..., Any]) -> Callable[..., Any]:
    """Write arrays as files `a`, `b`, ... , mix them in that order and return the context."""

    def make(*audio: np.ndarray, rates: tuple[int, ...] = (), subtype: str = "FLOAT", **keys: Any) -> Any:
        names = [chr(ord("a") + index) for index in range(len(audio))]
        for name, array, rate in zip(names, audio, rates or [RATE] * len(audio), strict=True):
            sf.write(tmp_path / f"{name}.wav", array.T, rate, subtype=subtype)
        context = context_factory({name: tmp_path / f"{name}.wav" for name in names})
        run(parse(names, **keys), context)
        return context

    return make
