"""How long a bar is, of recordings whose tempo is known because they were made with it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from handlers.audio import files
from handlers.contract import InputFile
from handlers.textures import bars
from tests.handlers.textures.materials import SAMPLE_RATE, drums


def test_of_a_long_recording_the_middle_is_listened_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "MOST_S", 20.0)
    silence = np.zeros((2, 25 * SAMPLE_RATE), np.float32)
    files.write(tmp_path / "long.wav", np.concatenate([silence, drums(20.0, 120.0), silence], axis=1), SAMPLE_RATE)
    files.write(tmp_path / "middle.wav", drums(20.0, 120.0), SAMPLE_RATE)
    long, middle = (bars.find_bar_s(InputFile(tmp_path / f"{name}.wav", name, "")) for name in ("long", "middle"))
    assert long == middle and long is not None
