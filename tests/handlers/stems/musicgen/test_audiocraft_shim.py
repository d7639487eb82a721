"""The stand-ins: a really installed library wins, and what is computed is what the library computes."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import torch

from handlers.stems.musicgen import audiocraft_shim
from handlers.stems.musicgen.melody import ChromaConditioner, melody_conditioner, separation_is_here
from tests.handlers.stems.musicgen.conftest import ROOT

PROGRAM = """
from handlers.stems.musicgen import audiocraft_shim as shim
shim.install(); shim.install()
import sys, av, spacy, xformers.ops, torch
assert av.REAL and sum(type(finder).__name__ == 'StandInFinder' for finder in sys.meta_path) == 1
assert type(sys.meta_path[-1]).__name__ == 'StandInFinder'
assert shim.standing_in() == ['spacy', 'xformers'] and xformers.ops.unbind is torch.unbind
for part in ('av.missing', 'xformers.profiler', 'nonsense'):
    try: __import__(part)
    except ModuleNotFoundError: continue
    raise SystemExit(part)
class Derived(spacy.some.Base): pass
Derived()
try: spacy.load('en')
except RuntimeError as error: print(error)
shim.uninstall()
assert 'spacy' not in sys.modules and 'av' in sys.modules
"""


def test_an_installed_package_wins_over_its_stand_in(tmp_path):
    (tmp_path / "av").mkdir()
    (tmp_path / "av" / "__init__.py").write_text("REAL = True\n")
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    answer = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    assert "spacy.load" in answer.stdout and "spacy is not installed" in answer.stdout


def test_the_spectrogram_is_the_power_of_a_windowed_fourier_transform():
    module = type(sys)("torchaudio.transforms")
    audiocraft_shim.PROVIDED["torchaudio.transforms"](module)
    spectrogram = module.Spectrogram(64, 64, 16, power=2, center=True, pad=0, normalized=True)
    wave = np.random.default_rng(1).standard_normal(400).astype(np.float32)
    found = spectrogram(torch.from_numpy(wave)[None, None])
    window = np.hanning(65)[:-1]  # Periodic.
    padded = np.pad(wave, 32, mode="reflect")
    frames = np.stack([padded[start : start + 64] * window for start in range(0, 401, 16)])
    truth = np.abs(np.fft.rfft(frames)).T ** 2 / (window**2).sum()
    assert found.shape == (1, 1, 33, 26) and np.allclose(found[0, 0].numpy(), truth, rtol=1e-3, atol=1e-4)
    assert list(spectrogram.state_dict()) == ["window"], "published checkpoints hold it"


def test_demucs_is_used_where_it_and_its_weights_are_here(tmp_path, monkeypatch):
    (tmp_path / "demucs").mkdir()
    (tmp_path / "demucs" / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    assert not separation_is_here() and melody_conditioner() is ChromaConditioner, "its weights are not"
    (tmp_path / "hub" / "checkpoints").mkdir(parents=True)
    (tmp_path / "hub" / "checkpoints" / "955717e8-8726e21a.th").write_bytes(b"weights")
    assert separation_is_here() and melody_conditioner() is not ChromaConditioner


def test_the_device_is_tried_and_named():
    from handlers.stems.musicgen.device import choose_device, describe_device

    assert describe_device().startswith("torch ")
    assert ("computes on the CPU" in describe_device()) == (choose_device() == "cpu")
