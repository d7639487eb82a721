"""Audio that a job gives is looked at before anything is loaded."""

from __future__ import annotations

import numpy as np
import pytest

from handlers.audio import files
from handlers.contract import Invalid
from handlers.stems.musicgen.given import read_given
from tests.handlers.stems.musicgen.conftest import request_for

NOISE = np.random.default_rng(3).uniform(-0.3, 0.3, (2, 88_200)).astype(np.float32)


@pytest.mark.parametrize("key", ["continue_from", "melody"])
@pytest.mark.parametrize(
    ("audio", "message"),
    [(NOISE * 1e-4, "silent"), (NOISE[:, :20_000], "0.45 s long"), (None, "tune.wav")],
)
def test_audio_without_use_is_refused_before_a_model_is_loaded(open_small, context_at, tmp_path, key, audio, message):
    path = tmp_path / "tune.wav"
    if audio is None:
        path.write_bytes(b"RIFF nothing")
    else:
        files.write(path, audio, 44_100)
    context = context_at(inputs={"tune.wav": path})
    with pytest.raises(Invalid, match=message):
        open_small(context, model="melody", **{key: "tune.wav"})
    assert context.models == {} and context.progressed == []


def test_audio_is_read_at_the_models_rate_and_has_as_many_channels_as_asked_for(context_at, tmp_path):
    path = tmp_path / "tune.wav"
    files.write(path, NOISE, 44_100)
    given = read_given(request_for(continue_from="tune.wav"), context_at(inputs={"tune.wav": path}), 32_000)
    recording = given.to_continue(1)
    assert recording is given.to_continue(2) and given.melody(1) is None
    assert recording.audio.shape == (2, 64_000)
    assert np.allclose(recording.with_channels(1), recording.audio.mean(axis=0))
    assert recording.with_channels(2) is recording.audio
