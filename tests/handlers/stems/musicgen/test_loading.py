"""From files of weights to a model that is ready: found, hashed, kept warm, and refused by name where something is wrong."""

from __future__ import annotations

import hashlib
import os
import shutil

import numpy as np
import pytest
import torch
import yaml

from handlers.contract import Cancelled, Invalid, World
from handlers.stems.backend import Request
from handlers.stems.check import check
from handlers.stems.musicgen.checkpoint import is_out_of_memory
from handlers.stems.musicgen.patience import patiently
from tests.handlers.stems.musicgen.conftest import request_for
from tests.handlers.stems.musicgen.small_checkpoint import save_checkpoint, save_codec, save_transformers_codec


def sound(backend) -> np.ndarray:
    return backend.play([Request(1)], lambda _: None)[0].audio


def test_a_model_stays_warm_until_its_files_change(open_small, context_at, home):
    models: dict = {}
    first = open_small(context_at(home, models))
    again = open_small(context_at(home, models))
    assert again.musicgen is first.musicgen and again.decoder is first.decoder
    wider = open_small(context_at(home, models), batch=2)
    assert wider.musicgen is first.musicgen and wider.decoder is not first.decoder
    os.utime(home / "models" / "small" / "state_dict.bin", ns=(1, 1))
    assert open_small(context_at(home, models)).musicgen is not first.musicgen


def test_one_model_is_kept_at_a_time(open_small, context_at):
    models: dict = {}
    open_small(context_at(models=models))
    stereo = open_small(context_at(models=models), model="stereo")
    assert [loaded.musicgen for loaded in models.values()] == [stereo.musicgen]


def test_weights_are_held_as_published_and_played_as_asked_for(open_small, context_at, home):
    path = home / "models" / "small" / "state_dict.bin"
    package = torch.load(path, weights_only=True)
    package["best_state"] = {name: tensor.half() for name, tensor in package["best_state"].items()}
    torch.save(package, path)
    for decoder, held_as in [("fast", torch.float16), ("reference", torch.float32)]:
        backend = open_small(context_at(home), decoder=decoder, precision="fp32")
        assert backend.musicgen.lm.transformer.layers[0].linear1.weight.dtype == held_as
        assert np.isfinite(sound(backend)).all()


def test_hashes_are_remembered_for_as_long_as_a_file_stays_as_it_is(open_small, context_at, home):
    context = context_at(home)
    path = home / "models" / "small" / "state_dict.bin"
    truth = hashlib.sha256(path.read_bytes()).hexdigest()
    assert open_small(context).facts["weights_sha256"]["small/state_dict.bin"] == truth
    (note,) = [note for note in context.cache_dir.glob("weights-*.json") if truth in note.read_text()]
    note.write_text(note.read_text().replace(truth, "remembered"))
    context.models.clear()
    assert open_small(context).facts["weights_sha256"]["small/state_dict.bin"] == "remembered"
    os.utime(path, ns=(1, 1))
    context.models.clear()
    assert open_small(context).facts["weights_sha256"]["small/state_dict.bin"] == truth


@pytest.mark.parametrize("name", ["state_dict.bin", "compression_state_dict.bin"])
@pytest.mark.parametrize("how", ["cut", "empty", "text"])
def test_a_damaged_file_is_named(open_small, context_at, home, name, how):
    path = home / "models" / "small" / name
    whole = path.read_bytes()
    path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "text": b"<html>not found</html>"}[how])
    with pytest.raises(Invalid, match=rf"{name}: is damaged.*fetch it again"):
        open_small(context_at(home))


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_damaged_t5_is_named_and_not_the_model_that_reads_through_it(open_small, context_at, home, name):
    path = home / "models" / "t5-base" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(Invalid, match=rf"t5-base.*{'' if name == 'config.json' else name}.*fetch it again"):
        open_small(context_at(home))


def test_weights_of_another_model_are_refused(open_small, context_at, home):
    shutil.copy(home / "models" / "small" / "compression_state_dict.bin", home / "models" / "small" / "state_dict.bin")
    with pytest.raises(Invalid, match=r"state_dict\.bin: is damaged, or is not part"):
        open_small(context_at(home))


def test_code_in_a_file_of_weights_is_not_executed(open_small, context_at, home, tmp_path):
    from pathlib import Path

    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"best_state": Trap(), "xp.cfg": "{}"}, home / "models" / "small" / "state_dict.bin")
    with pytest.raises(Invalid, match=r"state_dict\.bin"):
        open_small(context_at(home))
    assert not (tmp_path / "sprung").exists()


def test_a_missing_t5_makes_the_job_wait_and_is_named_when_it_runs(open_small, context_at, home):
    shutil.rmtree(home / "models" / "t5-base")
    (finding,) = check(request_for(), World(home / "config", home / "state"))
    assert (finding.kind, finding.key) == ("missing", "model") and "x/t5-base" in finding.message
    with pytest.raises(Invalid, match="t5-base"):
        open_small(context_at(home))


def test_a_codec_of_its_own_folder_is_found_by_its_name(open_small, context_at, home, pristine):
    models = home / "models"
    shutil.rmtree(models / "small")
    save_checkpoint(models / "small", pretrained="somebody/codec")
    (finding,) = check(request_for(), World(home / "config", home / "state"))
    assert "x/codec" in finding.message
    with pytest.raises(Invalid, match="x/codec"):
        open_small(context_at(home))
    save_codec(models / "codec")
    assert list(check(request_for(), World(home / "config", home / "state"))) == []
    apart, within = open_small(context_at(home)), open_small(context_at(pristine))
    assert np.array_equal(sound(apart), sound(within))
    assert "codec/compression_state_dict.bin" in apart.facts["weights_sha256"]


def test_a_codec_that_transformers_saved_is_played_through(open_small, context_at, home):
    models = home / "models"
    manifest = yaml.safe_load((home / "config" / "models.yaml").read_text())
    codec = manifest["models"]["stereo"]["weights"][2]
    codec.update(files=["config.json"], one_of=["model.safetensors"])
    (home / "config" / "models.yaml").write_text(yaml.safe_dump(manifest))
    shutil.rmtree(models / "stereo")
    save_checkpoint(models / "stereo", pretrained="somebody/codec", stereo=True)
    save_transformers_codec(models / "codec")
    backend = open_small(context_at(home), model="stereo")
    left, right = sound(backend)
    assert np.ptp(left) > 0.001 and not np.array_equal(left, right)
    assert "codec/model.safetensors" in backend.facts["weights_sha256"]
    path = models / "codec" / "model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(Invalid, match=r"codec/model\.safetensors: is damaged"):
        open_small(context_at(home), model="stereo")


def test_weights_in_another_folder_are_used_there_and_named_as_ever(open_small, context_at, home, pristine, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    shutil.move(home / "models" / "t5-base", elsewhere / "t5-base")
    manifest = yaml.safe_load((home / "config" / "models.yaml").read_text())
    (home / "config" / "models.yaml").write_text(yaml.safe_dump({**manifest, "folders": [str(elsewhere)]}))
    there, here = open_small(context_at(home)), open_small(context_at(pristine))
    assert there.facts["weights_sha256"] == here.facts["weights_sha256"]


def test_a_rate_that_the_manifest_has_wrong_is_said(open_small, context_at, home):
    manifest = yaml.safe_load((home / "config" / "models.yaml").read_text())
    manifest["models"]["small"]["sample_rate"] = 24_000
    (home / "config" / "models.yaml").write_text(yaml.safe_dump(manifest))
    with pytest.raises(Invalid, match="plays at 32000 Hz, and config/models.yaml says 24000 Hz"):
        open_small(context_at(home))


def test_a_melody_for_a_model_that_the_manifest_has_wrong_is_refused(open_small, context_at, tmp_path):
    from handlers.audio import files

    files.write(tmp_path / "tune.wav", np.full((1, 44_100), 0.1, np.float32), 44_100)
    with pytest.raises(Invalid, match="'small' reads words only"):
        open_small(context_at(inputs={"tune.wav": tmp_path / "tune.wav"}), melody="tune.wav")


def test_a_model_that_only_audiocraft_can_play_is_said_to_be_one(open_small, context_at):
    context = context_at()
    lm = open_small(context).musicgen.lm
    lm.transformer.positional_embedding = "rope"
    with pytest.raises(Invalid, match="positions are not sines; write `decoder: reference`"):
        open_small(context, batch=2)


@pytest.mark.parametrize("changes", [{"precision": "fp16"}, {"decoder": "reference", "precision": "bf16"}])
def test_a_precision_that_is_not_there_is_refused_before_loading(open_small, context_at, changes):
    context = context_at()
    if torch.cuda.is_available() and changes["precision"] == "fp16":
        changes = {"precision": "int8"}
    with pytest.raises(Invalid, match="precision: .* cannot be decoded by"):
        open_small(context, **changes)
    assert context.models == {}


def test_cancelling_is_heard_while_a_library_works():
    import threading

    released = threading.Event()

    def look() -> None:
        raise Cancelled("by the test")

    with pytest.raises(Cancelled):
        patiently(released.wait, look)
    released.set()
    with pytest.raises(TimeoutError, match="its own"):
        patiently(lambda: (_ for _ in ()).throw(TimeoutError("its own")), lambda: None)
    assert patiently(lambda: 5, lambda: None) == 5


def test_what_torch_says_when_memory_runs_out_is_understood():
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory")) and not is_out_of_memory(RuntimeError("else"))
