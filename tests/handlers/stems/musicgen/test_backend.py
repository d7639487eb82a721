"""MusicGen as a backend, through the real audiocraft, on small checkpoints with random weights in the published format."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import numpy as np
import pytest
import torch

from handlers.audio import files
from handlers.contract import Cancelled, InputFile, OutOfMemory
from handlers.stems.backend import Request
from handlers.stems.musicgen import reference
from handlers.stems.musicgen.backend import MADE
from handlers.stems.musicgen.rows import Row, generate
from handlers.stems.musicgen.sampling import Sampling
from handlers.stems.musicgen.windows import STRIDE_S, plan_windows
from handlers.stems.run import run
from tests.handlers.stems.musicgen.conftest import request_for
from tests.handlers.stems.musicgen.small_checkpoint import FRAME_RATE, WINDOW_S

RATE = 32_000
HOP = RATE // FRAME_RATE


def play(backend, *requests: Request, pulse: Callable[[float], None] = lambda _: None):
    return backend.play(requests or (Request(1),), pulse)


@pytest.fixture(scope="session")
def tune(tmp_path_factory) -> InputFile:
    """Four seconds of a scale in stereo, at another rate than the models'."""
    path = tmp_path_factory.mktemp("given") / "tune.wav"
    times = np.arange(44_100 * 4) / 44_100
    steps = np.array([0, 2, 4, 5, 7, 9, 11, 12])[(times * 2).astype(int)]
    wave = 0.3 * np.sin(2 * np.pi * np.cumsum(220 * 2 ** (steps / 12)) / 44_100).astype(np.float32)
    files.write(path, np.stack([wave, 0.5 * wave]), 44_100)
    return InputFile(path, "tune.wav", hashlib.sha256(path.read_bytes()).hexdigest())


def test_a_take_is_as_long_as_asked_for_and_says_all_that_made_it(open_small, pristine):
    backend = open_small(duration=2.34, temperature=0.9)
    (take,) = play(backend)
    assert take.sample_rate == RATE and take.audio.dtype == np.float32
    assert take.audio.shape[0] == 1 and 0 <= take.audio.shape[1] - 2.34 * RATE < HOP
    assert np.ptp(take.audio) > 0.001
    state = pristine / "models" / "small" / "state_dict.bin"
    assert backend.facts["weights_sha256"]["small/state_dict.bin"] == hashlib.sha256(state.read_bytes()).hexdigest()
    assert "t5-base/model.safetensors" in backend.facts["weights_sha256"]
    assert (backend.facts["precision"], backend.facts["decoder"], backend.facts["width"]) == ("bf16", "fast", 1)
    assert backend.facts["device"].startswith("CPU") and backend.facts["versions"]["audiocraft"] == "1.3.0"
    assert take.facts["sampling"]["temperature"] == 0.9 and take.facts["sampling"]["guidance_scale"] == 3.0
    assert take.facts["prompt"].startswith("Industrial house")
    json.dumps([backend.facts, take.facts], allow_nan=False)


def test_the_log_holds_the_exact_prompt_the_warnings_and_the_peak_of_memory(open_small):
    import warnings

    said = []

    def pulse(_done: float) -> None:
        if not said:
            said.append(warnings.warn("the dog is loose", stacklevel=1))

    (take,) = play(open_small(prompt="steel drone"), pulse=pulse)
    assert take.log[0] == f"prompt: {take.facts['prompt']}" and take.facts["prompt"].startswith("steel drone. ")
    assert any(line.startswith("peak memory: ") for line in take.log)
    assert "warning: UserWarning: the dog is loose" in take.log


def test_the_same_seed_gives_the_same_samples_and_another_seed_prompt_or_take_others(open_small):
    (first,) = play(open_small())
    (again,) = play(open_small())
    assert np.array_equal(first.audio, again.audio)
    for backend, request in [
        (open_small(seed=8), Request(1)),
        (open_small(prompt="steel drone"), Request(1)),
        (open_small(), Request(2)),
        (open_small(), Request(1, take=1)),
    ]:
        (other,) = play(backend, request)
        assert not np.array_equal(first.audio, other.audio)


@pytest.mark.parametrize(("precision", "batch", "vary"), [("bf16", 4, False), ("fp32", 4, True), ("int8", 3, True)])
def test_a_stem_is_the_same_samples_alone_with_others_and_beside_more(open_small, precision, batch, vary):
    backend = open_small(precision=precision, batch=batch, vary=vary, count=5)
    assert backend.width == batch
    together = play(backend, *(Request(item) for item in range(1, batch + 1)))
    (alone,) = play(backend, Request(3))
    elsewhere = play(open_small(precision=precision, batch=batch, vary=vary, count=9), Request(7), Request(3))
    assert np.array_equal(together[2].audio, alone.audio) and np.array_equal(together[2].audio, elsewhere[1].audio)
    assert not np.array_equal(together[0].audio, together[2].audio)


@pytest.mark.parametrize("model", ["small", "stereo", "melody"])
@pytest.mark.parametrize("seconds", [4.0, WINDOW_S + 4.2])
@pytest.mark.parametrize("given", [False, True])
def test_windows_over_the_own_loop_give_audiocrafts_tokens(open_small, model, seconds, given):
    backend = open_small(model=model, precision="fp32")
    musicgen, frames = backend.musicgen, round(seconds * FRAME_RATE)
    kept = 7 if given else 0
    noise = torch.Generator().manual_seed(5)
    continued = torch.randn(musicgen.audio_channels, kept * HOP, generator=noise) * 0.1 if given else None
    melody = torch.sin(torch.arange(3 * RATE) * 0.05)[None] if model == "melody" else None
    windows = plan_windows(kept + frames, int(WINDOW_S * FRAME_RATE), int(STRIDE_S * FRAME_RATE), kept)
    assert len(windows) == (1 if seconds < 10 else 2)
    row = Row("hard kick", tuple(range(len(windows))), continued, melody)
    greedy = Sampling(use_sampling=False)
    steps: list[int] = []
    with torch.inference_mode():
        ours = generate(musicgen, backend.decoder, [row], windows, greedy, steps.append)
        theirs = reference.generate(musicgen, row, kept + frames, greedy, lambda _: None)
    assert ours.shape == theirs.shape and torch.equal(ours, theirs)
    assert steps == sorted(steps) and steps[-1] == sum(window.steps for window in windows)


def test_audiocrafts_own_loop_can_be_chosen(open_small):
    own, theirs = open_small(precision="fp32"), open_small(decoder="reference")
    assert (theirs.facts["decoder"], theirs.facts["precision"], theirs.width) == ("reference", "fp32", 1)
    (first,), (again,) = play(theirs), play(theirs)
    assert np.array_equal(first.audio, again.audio)
    (other,) = play(own)
    assert other.audio.shape == first.audio.shape


@pytest.mark.parametrize(
    "changes",
    [{"use_sampling": False}, {"top_k": 3}, {"top_p": 0.5}, {"guidance_scale": 1.0}, {"temperature": 0.3}],
)
def test_every_parameter_of_sampling_is_heard_by_both_loops(open_small, changes):
    for decoder in ("fast", "reference"):
        (plain,), (changed,) = play(open_small(decoder=decoder)), play(open_small(decoder=decoder, **changes))
        assert not np.array_equal(plain.audio, changed.audio)


def test_two_step_guidance_is_guided_by_what_was_asked_for(open_small):
    # audiocraft 1.3.0 ignores the scale it is given in two steps.
    for decoder in ("fast", "reference"):
        weak = open_small(decoder=decoder, two_step=True, use_sampling=False, guidance_scale=1.0)
        strong = open_small(decoder=decoder, two_step=True, use_sampling=False, guidance_scale=9.0)
        assert not np.array_equal(play(weak)[0].audio, play(strong)[0].audio)


def test_a_stereo_model_plays_two_channels(open_small):
    (take,) = play(open_small(model="stereo"))
    left, right = take.audio
    assert np.ptp(left) > 0.001 and not np.array_equal(left, right)


@pytest.mark.parametrize("decoder", ["fast", "reference"])
@pytest.mark.parametrize("model", ["small", "stereo"])
def test_a_stem_goes_on_from_given_audio_and_lasts_what_is_new(open_small, tune, decoder, model):
    (take,) = play(open_small(decoder=decoder, model=model, continue_from="tune.wav", inputs={"tune.wav": tune}))
    assert 0 <= take.audio.shape[1] - 2 * RATE < HOP
    assert take.facts["continued"] == {"from": "tune.wav", "sha256": tune.sha256, "kept_s": 2.0}, (
        "the window less a stride"
    )
    (other,) = play(open_small(decoder=decoder, model=model))
    assert not np.array_equal(take.audio, other.audio)


def test_what_is_given_is_kept_as_it_is(open_small, tune):
    backend = open_small(continue_from="tune.wav", inputs={"tune.wav": tune})
    row = backend._row(Request(1), "hard kick", 10, 1)
    codes, _ = backend.musicgen.compression_model.encode(row.continued[None])
    assert row.continued.shape == (1, 10 * HOP)
    made = backend._decode([row], backend._windows(10), lambda _: None)
    assert torch.equal(made[..., :10], codes)


def test_stems_go_on_from_several_recordings_in_turn(open_small, tune, tmp_path):
    path = tmp_path / "other.wav"
    noise = np.random.default_rng(1).uniform(-0.2, 0.2, (1, 60_000))
    files.write(path, noise.astype(np.float32), 44_100)
    other = InputFile(path, "beds/2", "0" * 64)
    backend = open_small(continue_from="beds", batch=4, inputs={"beds": [tune, other]})
    takes = play(backend, *(Request(item) for item in (1, 2, 3)))
    assert [take.facts["continued"]["from"] for take in takes] == ["tune.wav", "beds/2", "tune.wav"]
    assert [take.facts["continued"]["kept_s"] for take in takes] == [2.0, 1.2, 2.0], (
        "the second is 1.36 s long, in frames of 0.2 s"
    )
    (alone,) = play(backend, Request(3))
    assert np.array_equal(takes[2].audio, alone.audio)


def test_a_melody_is_heard(open_small, tune):
    backend = open_small(model="melody", melody="tune.wav", inputs={"tune.wav": tune})
    (with_melody,), (without,) = play(backend), play(open_small(model="melody"))
    assert not np.array_equal(with_melody.audio, without.audio)
    assert with_melody.facts["melody"] == {
        "from": "tune.wav", "sha256": tune.sha256, "weight": 1.0, "heard": "the recording as it is"
    }  # fmt: skip


def test_progress_never_jumps_back_over_windows_rows_and_unlike_prompts(open_small):
    pulses: list[float] = []
    backend = open_small(duration=WINDOW_S + 3, batch=2)
    play(backend, Request(1), Request(2), pulse=pulses.append)
    assert pulses == sorted(pulses) and pulses[-1] == 1.0
    steps = {pulse for pulse in pulses if 0 < pulse <= MADE}
    assert len(steps) == (WINDOW_S + 3) * FRAME_RATE + 2 * 3, "every step of both windows is counted once"


def test_cancelling_is_heard_at_the_next_step_and_leaves_the_model_usable(open_small):
    backend = open_small()
    (looked,) = play(backend)
    heard = []

    def pulse(done: float) -> None:
        heard.append(done)
        if len(heard) == 5:
            raise Cancelled("by the test")

    with pytest.raises(Cancelled):
        play(backend, pulse=pulse)
    assert len(heard) == 5
    (after,) = play(backend)
    assert np.array_equal(looked.audio, after.audio), "nothing of the broken-off stem is left in the model"


def test_memory_that_ran_out_halves_the_width_of_the_next_attempt(open_small, context_at, warm):
    context = context_at(models=warm["small"], seed=7)

    def exhaust(_done: float) -> None:
        torch.empty(1 << 60, dtype=torch.uint8)

    with pytest.raises(OutOfMemory, match="4 stems were to be decoded together, the next attempt takes 2"):
        play(open_small(context, batch=4), pulse=exhaust)
    again = open_small(context, batch=4)
    assert again.width == again.facts["width"] == 2
    assert "memory ran out with 4 stems decoded together: 2 are now" in context.warnings[0]
    play(again, Request(1), Request(2))
    with pytest.raises(OutOfMemory, match="the next attempt takes 1"):
        play(again, pulse=exhaust)
    with pytest.raises(OutOfMemory, match="already decoded one at a time"):
        play(open_small(context, batch=4), pulse=exhaust)


def test_a_stem_of_musicgen_is_measured_and_delivered_with_its_log(context_at, warm):
    context = context_at(seed=7, models=warm["small"])
    run(request_for(retakes=0, duration=1.5), context)
    facts = context.delivered().facts
    assert (facts["model"], facts["decoder"], facts["duration_s"]) == ("small", "fast", 1.5)
    log = context.delivered("sidecar", label="log").path.read_text()
    assert f"prompt: {facts['prompt']}\n" in log and "peak memory: " in log


def test_t5_reads_each_prompt_once(open_small):
    backend = open_small(duration=WINDOW_S + 1, batch=2)
    conditioner = backend.musicgen.lm.condition_provider.conditioners["description"]
    read: list[int] = []
    hook = conditioner.t5.register_forward_hook(lambda *_: read.append(1))
    try:
        play(open_small(duration=WINDOW_S + 1, batch=2, prompt="nobody said this before"), Request(1), Request(2))
    finally:
        hook.remove()
    assert len(read) == 1, "two stems in two windows"
