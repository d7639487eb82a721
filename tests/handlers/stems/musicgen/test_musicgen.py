"""MusicGen through the real audiocraft, on a small checkpoint with random weights in the published file format."""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml

from handlers.audio import files
from handlers.contract import Cancelled, Invalid, ItemRecord, OutOfMemory, World
from handlers.stems.check import check, describe
from handlers.stems.backend import Request
from handlers.stems.models.manifest import read_models
from handlers.stems.models.weights import missing_libraries
from handlers.stems.musicgen.windows import plan_windows
from handlers.stems.params import StemsParams
from handlers.stems.run import run
from handlers.stems.styles import load_style

if missing_libraries():
    pytest.skip(
        f"{', '.join(missing_libraries())} not installed; `make setup-musicgen` adds what these tests need",
        allow_module_level=True,
    )

from handlers.stems.musicgen.backend import MADE, open_musicgen
from tests.handlers.stems.musicgen.small_checkpoint import (
    FRAME_RATE,
    WINDOW_S,
    save_checkpoint,
    save_codec,
    save_home,
    save_transformers_codec,
)

# What audiocraft, transformers and torch say about each other's ages while a checkpoint is built here.
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.filterwarnings("ignore::FutureWarning")]

ROOT = Path(__file__).parents[4]
SMALL = {
    "backend": "audiocraft", "summary": "made by the tests", "licence": "CC-BY-NC-4.0", "commercial": False,
    "sample_rate": 32000, "channels": 1, "window_s": WINDOW_S,
    "weights": [
        {"repository": "x/small", "folder": "small", "files": ["state_dict.bin", "compression_state_dict.bin"]},
        {"repository": "x/t5-base", "folder": "t5-base", "files": ["config.json", "tokenizer.json", "model.safetensors"]},
        {"repository": "x/codec", "folder": "codec", "files": ["compression_state_dict.bin"], "if_pointed_to": True},
    ],
}  # fmt: skip


@pytest.fixture(scope="session")
def pristine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the shipped styles, one model `small`, and its weights."""
    home = tmp_path_factory.mktemp("musicgen")
    shutil.copytree(ROOT / "config" / "styles", home / "config" / "styles")
    (home / "config" / "models.yaml").write_text(yaml.safe_dump({"models": {"small": SMALL}}))
    save_home(home)
    return home


@pytest.fixture
def home(pristine: Path, tmp_path: Path) -> Path:
    """A copy, to be broken."""
    return Path(shutil.copytree(pristine, tmp_path / "home"))


@pytest.fixture
def context_at(context_factory: Callable, pristine: Path) -> Callable:
    def make(home: Path = pristine, models: dict | None = None, **settings: object) -> object:
        context = context_factory(**settings)
        context.config_dir = home / "config"
        context.models = {} if models is None else models
        return context

    return make


def request(**changes: object) -> StemsParams:
    return StemsParams.model_validate({"model": "small", "style": "industrial/bed", "duration": 2, **changes})


def open_small(context, **changes: object):
    params = request(**changes)
    model = read_models(context.config_dir / "models.yaml")[params.model]
    return open_musicgen(params, load_style(context.config_dir / "styles", params.style), model, context)


def samples(context, item: int = 1) -> np.ndarray:
    return files.read(context.delivered(item=item).path)[0]


def test_a_stem_is_stereo_of_exact_length_with_its_picture_and_all_that_made_it(context_at, pristine):
    context = context_at(seed=7)
    run(request(duration=2.34), context)
    assert [(one.kind, one.label) for one in context.emitted] == [("sidecar", "picture"), ("sidecar", "log"), ("primary", "")]
    audio = samples(context)
    assert audio.shape == (2, round(2.34 * 44_100))
    assert np.ptp(audio) > 0.001
    facts = context.delivered().facts
    assert (facts["model"], facts["seed"], facts["licence"], facts["precision"]) == ("small", 7, "CC-BY-NC-4.0", "fp32")
    assert facts["prompt"].startswith("Industrial house")
    assert facts["prompt"].endswith(f"{facts['asked_tempo_bpm']:g} BPM, key of {facts['asked_key']}.")
    assert "tempo_bpm" not in facts and "key" not in facts, "what was not measured is not claimed"
    state = pristine / "models" / "small" / "state_dict.bin"
    assert facts["weights_sha256"]["small/state_dict.bin"] == hashlib.sha256(state.read_bytes()).hexdigest()
    assert "t5-base/model.safetensors" in facts["weights_sha256"]
    assert "LUFS" in describe(ItemRecord(1, context.delivered().path, facts))


def test_the_same_seed_gives_the_same_samples_and_another_seed_others(context_at):
    first, again, other = context_at(seed=7), context_at(seed=7), context_at(seed=8)
    for context in (first, again, other):
        run(request(), context)
    assert np.array_equal(samples(first), samples(again))
    assert not np.array_equal(samples(first), samples(other))


def test_a_stem_is_the_same_alone_with_others_and_after_a_restart(context_at):
    warm: dict = {}
    three = context_at(seed=7, models=warm)
    run(request(count=3), three)
    alone = context_at(seed=7, completed={1: ItemRecord(1, three.delivered(item=1).path)})
    run(request(count=2), alone)
    assert {one.item for one in alone.emitted} == {2}
    assert np.array_equal(samples(three, 2), samples(alone, 2))
    assert not np.array_equal(samples(three, 1), samples(three, 2))
    done = {item: ItemRecord(item, three.delivered(item=item).path) for item in (1, 2, 3)}
    finished = context_at(seed=7, completed=done)
    run(request(count=3), finished)
    assert finished.emitted == [] and finished.models == {}, "nothing is loaded where nothing is left to do"


def test_the_prompt_steers_and_is_on_record(context_at):
    plain, worded = context_at(seed=7), context_at(seed=7)
    run(request(), plain)
    run(request(prompt="steel drone"), worded)
    assert worded.delivered().facts["prompt"].startswith("steel drone. ")
    assert not np.array_equal(samples(plain), samples(worded))


def test_a_model_stays_warm_until_its_files_change(context_at, home):
    models: dict = {}
    run(request(), context_at(home, models))
    kept = models["musicgen"]
    run(request(), context_at(home, models))
    assert models["musicgen"] is kept
    os.utime(home / "models" / "small" / "state_dict.bin", ns=(1, 1))
    run(request(), context_at(home, models))
    assert models["musicgen"] is not kept


def test_progress_never_jumps_back_over_windows_and_ends_at_the_whole(context_at):
    context = context_at(seed=7)
    run(request(duration=WINDOW_S + 3), context)
    assert samples(context).shape == (2, round((WINDOW_S + 3) * 44_100))
    done = [entry[1] for entry in context.progressed if entry[0] == "working"]
    assert done == sorted(done) and done[-1] == 1
    pulses: list[float] = []
    backend = open_small(context_at(), duration=WINDOW_S + 3)
    backend.play([Request(1)], pulses.append)
    steps = WINDOW_S + 3  # Of music, in two windows.
    assert pulses == sorted(pulses) and pulses[-1] == 1.0
    assert len([pulse for pulse in pulses if pulse < MADE]) == steps * FRAME_RATE + 2 * 3 - 1, "every step was counted"


@pytest.mark.parametrize(
    ("seconds", "windows", "new"),
    [(20, 1, 100), (20.2, 2, 101), (38, 2, 190), (38.2, 3, 191), (60, 4, 300)],
)
def test_steps_are_counted_by_hand(seconds, windows, new):
    # Each window makes what is new in it, and three steps more for the codebooks that run behind.
    planned = plan_windows(round(seconds * FRAME_RATE), 100, 90)
    assert len(planned) == windows and sum(window.steps for window in planned) == new + 3 * windows


def test_cancelling_is_heard_at_the_next_step_and_leaves_the_model_usable(context_at):
    models: dict = {}
    looked = context_at(seed=7, models=models)
    run(request(count=2), looked)
    cancelled = context_at(seed=7, models=models, cancel_at=5)
    with pytest.raises(Cancelled):
        run(request(count=2), cancelled)
    assert cancelled.emitted == [] and cancelled.cancel_checks == 5
    after = context_at(seed=7, models=models)
    run(request(count=2), after)
    assert np.array_equal(samples(looked, 2), samples(after, 2)), "nothing of the broken-off stem is left in the model"


def test_a_stem_looks_for_cancellation_at_every_step(context_at):
    context = context_at()
    run(request(duration=4), context)
    assert context.cancel_checks >= 4 * FRAME_RATE


def test_a_loud_piece_is_turned_down_and_a_quiet_one_left(context_at):
    from handlers.stems.musicgen.backend import _deliverable

    # Faded at both ends: a cut tone overshoots when its rate is converted.
    tone = 0.25 * np.sin(np.arange(32_000) * 0.1) * np.hanning(32_000)
    quiet = tone.astype(np.float32)[None]
    audio, gain_db = _deliverable(quiet, 32_000, 1.0)
    assert gain_db == 0.0 and audio.shape == (2, 44_100) and np.abs(audio).max() == pytest.approx(0.25, abs=0.001)
    audio, gain_db = _deliverable(quiet * 8, 32_000, 1.0)
    assert 20 * math.log10(np.abs(audio).max()) == pytest.approx(-1.0, abs=1e-4)
    assert gain_db == pytest.approx(-1.0 - 20 * math.log10(2.0), abs=0.05)


@pytest.mark.parametrize("name", ["state_dict.bin", "compression_state_dict.bin"])
@pytest.mark.parametrize("how", ["cut", "empty", "text"])
def test_a_damaged_file_is_named(context_at, home, name, how):
    path = home / "models" / "small" / name
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "text": b"<html>not found</html>"}[how])
    with pytest.raises(Invalid, match=rf"{name}: is damaged.*fetch it again"):
        run(request(), context_at(home))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_damaged_t5_is_named_and_not_the_model_that_reads_through_it(context_at, home, name):
    path = home / "models" / "t5-base" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(Invalid, match=rf"t5-base.*{'' if name == 'config.json' else name}.*fetch it again"):
        run(request(), context_at(home))


def test_weights_of_another_model_are_refused(context_at, home):
    shutil.copy(home / "models" / "small" / "compression_state_dict.bin", home / "models" / "small" / "state_dict.bin")
    with pytest.raises(Invalid, match=r"state_dict\.bin: is damaged, or is not part"):
        run(request(), context_at(home))


def test_code_in_a_file_of_weights_is_not_executed(context_at, home, tmp_path):
    import torch

    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"best_state": Trap(), "xp.cfg": "{}"}, home / "models" / "small" / "state_dict.bin")
    with pytest.raises(Invalid, match=r"state_dict\.bin"):
        run(request(), context_at(home))
    assert not (tmp_path / "sprung").exists()


def test_a_missing_t5_makes_the_job_wait_and_is_named_when_it_runs(context_at, home):
    shutil.rmtree(home / "models" / "t5-base")
    (finding,) = check(request(), World(home / "config", home / "state"))
    assert (finding.kind, finding.key) == ("missing", "model") and "x/t5-base" in finding.message
    with pytest.raises(Invalid, match="t5-base"):
        run(request(), context_at(home))


def test_a_codec_of_its_own_folder_is_found_by_its_name(context_at, home, pristine):
    models = home / "models"
    shutil.rmtree(models / "small")
    save_checkpoint(models / "small", pretrained="somebody/codec")
    (finding,) = check(request(), World(home / "config", home / "state"))
    assert "x/codec" in finding.message
    with pytest.raises(Invalid, match="somebody/codec"):
        run(request(), context_at(home))
    save_codec(models / "codec")
    assert list(check(request(), World(home / "config", home / "state"))) == []
    apart, within = context_at(home, seed=7), context_at(pristine, seed=7)
    run(request(), apart)
    run(request(), within)
    assert np.array_equal(samples(apart), samples(within))
    assert "codec/compression_state_dict.bin" in apart.delivered().facts["weights_sha256"]


def test_a_stereo_model_plays_two_channels_through_a_codec_that_transformers_saved(context_at, home):
    models = home / "models"
    shutil.rmtree(models / "small")
    save_checkpoint(models / "small", pretrained="somebody/codec", stereo=True)
    save_transformers_codec(models / "codec")
    context = context_at(home, seed=7)
    run(request(), context)
    left, right = samples(context)
    assert left.shape == (2 * 44_100,) and np.ptp(left) > 0.001 and not np.array_equal(left, right)
    assert "codec/model.safetensors" in context.delivered().facts["weights_sha256"]
    path = models / "codec" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(Invalid, match=r"codec/model\.safetensors: is damaged"):
        run(request(), context_at(home))


def test_memory_that_ran_out_is_said_as_such(context_at):
    import torch

    from handlers.stems.musicgen.checkpoint import is_out_of_memory

    def exhaust(_done: float) -> None:
        torch.empty(1 << 60, dtype=torch.uint8)

    with pytest.raises(OutOfMemory, match="do not fit into memory"):
        open_small(context_at()).play([Request(1)], exhaust)
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory")) and not is_out_of_memory(RuntimeError("else"))


def test_an_installed_package_wins_over_its_stand_in(tmp_path):
    (tmp_path / "av").mkdir()
    (tmp_path / "av" / "__init__.py").write_text("REAL = True\n")
    program = (
        "from handlers.stems.musicgen import audiocraft_shim as shim; shim.install(); shim.install(); import sys, av, spacy, xformers.ops, torch;"
        "assert av.REAL and sum(type(finder).__name__ == 'StandInFinder' for finder in sys.meta_path) == 1;"
        "assert type(sys.meta_path[-1]).__name__ == 'StandInFinder';"
        "assert shim.standing_in() == ['spacy', 'xformers'] and xformers.ops.unbind is torch.unbind;\n"
        "for part in ('av.missing', 'xformers.profiler', 'nonsense'):\n"
        "  try: __import__(part)\n"
        "  except ModuleNotFoundError: continue\n"
        "  raise SystemExit(part)\n"
        "class Derived(spacy.some.Base): pass\n"
        "Derived()\n"
        "try: spacy.load('en')\n"
        "except RuntimeError as error: print(error)\n"
        "shim.uninstall(); assert 'spacy' not in sys.modules and 'av' in sys.modules\n"
    )
    environment = {**os.environ, "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    answer = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert "spacy.load" in answer.stdout and "spacy is not installed" in answer.stdout


def test_the_device_is_tried_and_named():
    from handlers.stems.musicgen.device import choose_device, describe_device

    assert describe_device().startswith("torch ")
    assert ("computes on the CPU" in describe_device()) == (choose_device() == "cpu")
