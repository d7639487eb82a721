"""The own decode loop against audiocraft's, on a small checkpoint of each family."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from handlers.stems.models.weights import missing_libraries

if missing_libraries():
    pytest.skip(f"{', '.join(missing_libraries())} not installed; `make test` adds them", allow_module_level=True)

import torch

from handlers.stems.musicgen.checkpoint import load_musicgen
from handlers.stems.musicgen.decoder import CHUNK, Decoder, Sampling
from handlers.stems.musicgen.library import (
    ClassifierFreeGuidanceDropout,
    ConditioningAttributes,
    MusicGen,
    WavCondition,
)
from handlers.stems.musicgen.network import obstacle
from tests.handlers.stems.musicgen.small_checkpoint import CARD, save_checkpoint, save_codec, save_t5

FAMILIES: dict[str, dict] = {
    "small": {}, "medium": {"size": "medium"}, "large": {"size": "large"},
    "stereo": {"stereo": True}, "melody": {"melody": True, "size": "medium"},
}  # fmt: skip
PROMPTS = ["industrial house hard kick", "cold room", "steel drone dark beat slow metal bass fast house"]
FRAMES = 20
GREEDY = Sampling(use_sampling=False)
LOGITS_ERROR = {"bf16": 0.023, "int8": 0.049}
"""Root mean square of the error over that of the logits. Guidance at 3 makes sqrt(3**2 + 2**2) = 3.6 of an error.
A bfloat16 is off by 2**-9 / sqrt(3) = 0.0011, and 8 roundings in each of 4 layers add up as squares: 0.0011 * 5.7 *
3.6. Eight bits with a scale for each row are off by 1/127/sqrt(12) of the largest magnitude, some three times the root
mean square: 0.0068 of the weights and of what goes in; 0.0096 * 3.6 from the last layer, sqrt(2) for those before."""


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, MusicGen]:
    """One model of each family, loaded from files."""
    folder = tmp_path_factory.mktemp("families")
    save_t5(folder / "t5-base")
    save_codec(folder / "codec")
    for name, what in FAMILIES.items():
        save_checkpoint(folder / name, pretrained="x/codec", **what)
    return {name: load_musicgen(folder / name, folder, "cpu") for name in FAMILIES}


def conditions(model: MusicGen, *numbers: int) -> list[ConditioningAttributes]:
    """Words, and for a melody model a melody: tones of unlike pitch and length."""
    rows = []
    for number in numbers:
        row = ConditioningAttributes(text={"description": PROMPTS[number]})
        length = 32_000 * (2 + number)
        tone = torch.sin(torch.arange(length) * 0.05 * (1 + number) * (1 + torch.arange(length) // 16_000))
        row.wav["self_wav"] = WavCondition(tone[None, None], torch.tensor([length]), [32_000], [None])
        rows.append(row)
    return rows


def ignore(_step: int) -> None:
    """A pulse that nobody feels."""


def decode(decoder: Decoder, rows: list, frames: int = FRAMES, seeds: list[int] | None = None, **more) -> torch.Tensor:
    more.setdefault("sampling", GREEDY)
    return decoder.generate(rows, frames, seeds=seeds or [7] * len(rows), pulse=more.pop("pulse", ignore), **more)


def reference(
    model: MusicGen, rows: list, frames: int = FRAMES, prompt: torch.Tensor | None = None, **more
) -> torch.Tensor:
    return model.lm.generate(prompt, rows, max_gen_len=frames, cfg_coef=3.0, **more)


def some_codes(model: MusicGen, rows: int, frames: int, seed: int = 5) -> torch.Tensor:
    return torch.randint(0, CARD, (rows, model.lm.n_q, frames), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_likeliest_tokens_are_audiocrafts(models, family):
    model = models[family]
    row = conditions(model, 0)
    theirs = reference(model, row, use_sampling=False)
    ours = decode(Decoder(model.lm, width=1, precision="fp32", device="cpu"), row)
    assert torch.equal(ours, theirs)
    assert len(theirs.unique()) > model.lm.n_q, "a model that says the same all the time proves nothing"


@pytest.mark.parametrize("family", FAMILIES)
def test_logits_are_audiocrafts_at_every_place(models, family):
    model = models[family]
    lm, row, codes = model.lm, conditions(model, 2), some_codes(model, 1, 30)
    ours = Decoder(lm, width=1, precision="fp32", device="cpu").logits_for(row, codes, Sampling())
    sequence, _, _ = lm.pattern_provider.get_pattern(30).build_pattern_sequence(codes, lm.special_token_id)
    tensors = lm.condition_provider(lm.condition_provider.tokenize(row + ClassifierFreeGuidanceDropout(p=1.0)(row)))
    with torch.no_grad():
        given, none = lm(torch.cat([sequence, sequence])[..., :-1], [], tensors).split(1)
    theirs = none + (given - none) * 3.0
    assert ours.shape == theirs.shape
    assert torch.allclose(ours, theirs, atol=2e-5)
    assert theirs.std() > 0.1


@pytest.mark.parametrize("family", FAMILIES)
def test_sampled_tokens_are_audiocrafts_from_its_random_numbers(models, family):
    model = models[family]
    rows = conditions(model, 0, 0)
    decoder = Decoder(model.lm, width=2, precision="fp32", device="cpu")
    for settings in ({"top_k": 250}, {"top_k": 0, "top_p": 0.9}, {"top_k": 0}):
        torch.manual_seed(11)
        theirs = reference(model, rows, use_sampling=True, temp=0.9, **settings)
        torch.manual_seed(11)
        ours = decode(decoder, rows, sampling=Sampling(temperature=0.9, **settings), as_audiocraft=True)
        assert torch.equal(ours, theirs), settings


@pytest.mark.parametrize("family", FAMILIES)
def test_going_on_from_a_prompt_is_audiocrafts(models, family):
    model = models[family]
    row, prompt = conditions(model, 1), some_codes(model, 1, 9)
    theirs = reference(model, row, prompt=prompt, use_sampling=False)
    ours = decode(Decoder(model.lm, width=1, precision="fp32", device="cpu"), row, prompt=prompt)
    assert torch.equal(ours[..., :9], prompt)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("family", ["small", "melody"])
def test_a_prompt_of_several_chunks_is_audiocrafts(models, family):
    model = models[family]
    given = CHUNK * 2 + 5
    row, prompt = conditions(model, 1), some_codes(model, 1, given)
    theirs = reference(model, row, given + 6, prompt, use_sampling=False)
    ours = decode(Decoder(model.lm, width=1, precision="fp32", device="cpu"), row, given + 6, prompt=prompt)
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize("family", ["small", "melody"])
def test_guidance_in_two_steps_is_audiocrafts(models, family):
    model = models[family]
    row = conditions(model, 2)
    theirs = reference(model, row, use_sampling=False, two_step_cfg=True)
    decoder = Decoder(model.lm, width=1, precision="fp32", device="cpu")
    two = Sampling(use_sampling=False, two_step=True)
    assert torch.equal(decode(decoder, row, sampling=two), theirs)
    if family == "small":
        assert torch.equal(decode(decoder, row), theirs), "in one step it is the same where nothing is prepended"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("precision", ["bf16", "int8"])
def test_the_error_of_reduced_precision_is_bounded(models, family, precision):
    model = models[family]
    rows, codes = conditions(model, 0, 2), some_codes(model, 2, 40)
    exact = Decoder(model.lm, width=2, precision="fp32", device="cpu").logits_for(rows, codes, Sampling())
    rounded = Decoder(model.lm, width=2, precision=precision, device="cpu").logits_for(rows, codes, Sampling())
    error = ((rounded - exact).square().mean() / exact.square().mean()).sqrt().item()
    assert 0 < error < LOGITS_ERROR[precision]


@pytest.mark.parametrize("family", ["small", "stereo", "melody"])
@pytest.mark.parametrize("precision", ["fp32", "bf16", "int8"])
def test_a_row_is_the_same_alone_and_anywhere_among_others(models, family, precision):
    model = models[family]
    decoder = Decoder(model.lm, width=3, precision=precision, device="cpu")
    alone = decode(decoder, conditions(model, 0), seeds=[7], sampling=Sampling())
    among = decode(decoder, conditions(model, 1, 2, 0), seeds=[8, 9, 7], sampling=Sampling())
    assert torch.equal(among[2:], alone)
    assert not torch.equal(decode(decoder, conditions(model, 0), seeds=[8], sampling=Sampling()), alone)
    prompt = some_codes(model, 3, 6)
    alone = decode(decoder, conditions(model, 0), seeds=[7], sampling=Sampling(), prompt=prompt[:1])
    among = decode(decoder, conditions(model, 2, 0), seeds=[9, 7], sampling=Sampling(), prompt=prompt[[1, 0]])
    assert torch.equal(among[1:], alone)


def test_a_row_is_the_same_beside_a_prompt_so_long_that_it_is_played_apart(models):
    model = models["small"]
    decoder = Decoder(model.lm, width=2, precision="bf16", device="cpu")
    alone = decode(decoder, conditions(model, 0), seeds=[7], sampling=Sampling())
    rows = [ConditioningAttributes(text={"description": "cold room " * 70}), *conditions(model, 0)]
    steps: list[int] = []
    among = decode(decoder, rows, seeds=[8, 7], sampling=Sampling(), pulse=steps.append)
    assert torch.equal(among[1:], alone)
    assert steps == sorted(steps) and steps[-1] == FRAMES + 3, "two passes are one progress"


@pytest.mark.parametrize("family", ["small", "melody"])
@pytest.mark.parametrize("fused", [False, True])
def test_looking_at_more_keys_than_there_are_and_hiding_them_changes_nothing(models, family, fused):
    model = models[family]
    row, prompt = conditions(model, 0), some_codes(model, 1, 9)
    spanned = Decoder(model.lm, width=1, precision="fp32", device="cpu", span=16)
    spanned.network.fused = fused  # As on CUDA, where attention is one kernel over keys that lie in one piece.
    for given in (None, prompt):
        exact = decode(Decoder(model.lm, width=1, precision="fp32", device="cpu"), row, 30, prompt=given)
        assert torch.equal(decode(spanned, row, 30, prompt=given), exact)


def test_a_decoder_is_used_again_for_longer_shorter_and_other_words(models):
    model = models["melody"]
    decoder = Decoder(model.lm, width=2, precision="fp32", device="cpu", max_steps=10)
    for frames, number in ((20, 0), (300, 1), (20, 2)):
        rows = conditions(model, number)
        assert torch.equal(decode(decoder, rows, frames), reference(model, rows, frames, use_sampling=False))


def test_cancelling_is_heard_within_a_step_and_leaves_the_decoder_usable(models):
    model = models["small"]
    decoder = Decoder(model.lm, width=1, precision="fp32", device="cpu")
    rows = conditions(model, 0)
    before = decode(decoder, rows)
    steps: list[int] = []

    def cancel(step: int) -> None:
        steps.append(step)
        if step == 5:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        decode(decoder, rows, pulse=cancel)
    assert steps[-2:] == [4, 5]
    assert torch.equal(decode(decoder, rows), before)


def test_pulses_come_between_the_layers_of_what_is_given(models):
    model = models["large"]
    pulses: list[int] = []
    decoder = Decoder(model.lm, width=1, precision="fp32", device="cpu")
    decode(decoder, conditions(model, 0), CHUNK + 40, prompt=some_codes(model, 1, CHUNK + 30), pulse=pulses.append)
    assert pulses.count(0) >= 2 * len(model.lm.transformer.layers), "two chunks, each as many layers"
    assert [pulse for pulse in pulses if pulse] == list(range(1, 10 + 3 + 1))


def test_what_is_asked_wrongly_is_refused(models):
    model = models["small"]
    with pytest.raises(ValueError, match="fp16 is not there on cpu"):
        Decoder(model.lm, width=1, precision="fp16", device="cpu")
    decoder = Decoder(model.lm, width=1, precision="fp32", device="cpu")
    with pytest.raises(ValueError, match="2 conditions and 2 seeds for a decoder of width 1"):
        decode(decoder, conditions(model, 0, 1))
    with pytest.raises(ValueError, match="nothing is left"):
        decode(decoder, conditions(model, 0), 9, prompt=some_codes(model, 1, 9))


@pytest.fixture
def turning(models) -> Iterator[MusicGen]:
    """A model whose positions turn, as no published MusicGen's do."""
    transformer = models["small"].lm.transformer
    transformer.positional_embedding = "rope"
    yield models["small"]
    transformer.positional_embedding = "sin"


def test_a_model_of_another_make_is_refused_by_name(turning, models):
    with pytest.raises(ValueError, match="positions are not sines; audiocraft's own loop can"):
        Decoder(turning.lm, width=1, precision="fp32", device="cpu")
    assert all(obstacle(models[family].lm) is None for family in FAMILIES if family != "small")
