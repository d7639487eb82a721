"""Audio in, JSON out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from handlers.audio import files
from handlers.beats.analyze import run
from handlers.beats.params import BeatsParams
from tests.handlers.beats.drums import SAMPLE_RATE


@pytest.fixture
def analyze(context_factory: Any, tmp_path: Path) -> Any:
    """Write audio, run, return the JSON and the context."""

    def do(audio: np.ndarray, sample_rate: int = SAMPLE_RATE, **params: Any) -> tuple[dict[str, Any], Any]:
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.wav"
        files.write(path, audio, sample_rate, subtype="FLOAT")
        context = context_factory(inputs={"./in.wav": path})
        run(BeatsParams(input="./in.wav", **params), context)
        return json.loads(context.delivered().path.read_text()), context

    return do
