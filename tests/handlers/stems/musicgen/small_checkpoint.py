"""A small but real MusicGen: audiocraft's own classes with random weights, saved in the published file format.

Random weights make noise, not music. What they prove is the way from files to a stem: format, T5, windows, seeds.
"""

from __future__ import annotations

import json
from pathlib import Path

WINDOW_S = 20.0
"""audiocraft advances windows by 18 s, and refuses shorter ones."""
FRAME_RATE = 5
"""Of the published models 50; a tenth of it makes a second of noise a tenth of the work."""
CARD = 256
"""Tokens of each codebook; sampling takes the 250 likeliest."""

LM = f"""
device: cpu
dtype: float32
lm_model: transformer_lm
transformer_lm: {{dim: 32, num_heads: 4, num_layers: 2, hidden_scale: 4, n_q: 4, card: {CARD}, dropout: 0.0, emb_lr: null,
  activation: gelu, norm_first: true, bias_ff: false, bias_attn: false, bias_proj: false, past_context: null, causal: true,
  custom: false, memory_efficient: true, attention_as_float32: false, layer_scale: null, positional_embedding: sin,
  xpos: false, checkpointing: none, weight_init: gaussian, depthwise_init: current, zero_bias_init: true, norm: layer_norm,
  cross_attention: false, qk_layer_norm: false, qk_layer_norm_cross: false, attention_dropout: null, kv_repeat: 1,
  two_step_cfg: false}}
codebooks_pattern: {{modeling: delay, delay: {{delays: [0, 1, 2, 3], flatten_first: 0, empty_initial: 0}}}}
attribute_dropout: {{}}
classifier_free_guidance: {{training_dropout: 0.3, inference_coef: 3.0}}
fuser: {{cross_attention_pos_emb: false, cross_attention_pos_emb_scale: 1, sum: [], prepend: [], cross: [description],
  input_interpolate: []}}
conditioners:
  args: {{merge_text_conditions_p: 0.25, drop_desc_p: 0.5}}
  description: {{model: t5, t5: {{name: t5-base, finetune: false, word_dropout: 0.3, normalize_text: false}}}}
dataset: {{segment_duration: {WINDOW_S}}}
compression_model_n_q: 4
interleave_stereo_codebooks: {{use: false, per_timestep: false}}
"""

STEREO = {
    "n_q: 4, card": "n_q: 8, card",
    "[0, 1, 2, 3]": "[0, 0, 1, 1, 2, 2, 3, 3]",
    "{use: false, per_timestep": "{use: true, per_timestep",
}

MELODY = {
    "  description: {model: t5": """  self_wav: {model: chroma_stem, chroma_stem: {sample_rate: 32000, n_chroma: 12, radix2_exp: 14, argmax: true,
    match_len_on_eval: false, eval_wavs: null, n_eval_wavs: 100}}
  description: {model: t5""",
    "prepend: [], cross: [description]": "prepend: [self_wav, description], cross: []",
}

SIZES = {"small": (32, 4, 2), "medium": (48, 6, 3), "large": (64, 8, 4)}
"""Width, heads and layers; published are (1024, 16, 24), (1536, 24, 48) and (2048, 32, 48)."""

CODEC = f"""
device: cpu
compression_model: encodec
encodec: {{autoencoder: seanet, quantizer: rvq, sample_rate: 32000, channels: 1, causal: false, renormalize: false}}
seanet: {{channels: 1, dimension: 16, n_filters: 2, n_residual_layers: 1, ratios: [10, 10, 8, 8], lstm: 0, encoder: {{}}, decoder: {{}}}}
rvq: {{n_q: 4, bins: {CARD}, q_dropout: false, kmeans_init: false}}
"""

WORDS = [
    "industrial",
    "house",
    "hard",
    "kick",
    "metal",
    "bass",
    "cold",
    "room",
    "steel",
    "drone",
    "dark",
    "beat",
    "slow",
    "fast",
]


def save_checkpoint(
    folder: Path, *, pretrained: str | None = None, stereo: bool = False, melody: bool = False, size: str = "small"
) -> None:
    """Write ``state_dict.bin`` and ``compression_state_dict.bin``; with `pretrained`, the second only names a codec.

    The language model is built with the T5 that lies beside `folder`: see :func:`save_t5`. A stereo one has twice the
    codebooks, left and right in turn. One of `melody` is given chroma and words as a beginning, and has no
    cross-attention. `size` is one of `SIZES`.
    """
    import torch
    from omegaconf import OmegaConf

    from handlers.stems.musicgen.checkpoint import _point_to_t5, builders, melody_conditioner

    folder.mkdir(parents=True)
    torch.manual_seed(1)
    text = LM
    for plain, other in {**(STEREO if stereo else {}), **(MELODY if melody else {})}.items():
        assert plain in text
        text = text.replace(plain, other)
    dim, heads, layers = SIZES[size]
    text = text.replace("dim: 32, num_heads: 4, num_layers: 2", f"dim: {dim}, num_heads: {heads}, num_layers: {layers}")
    config = OmegaConf.create(text)
    del config.conditioners.args
    _point_to_t5(config, folder, folder.parent)
    builders.ChromaStemConditioner = melody_conditioner()
    lm = builders.get_lm_model(config)
    torch.save(_package(lm.state_dict(), text), folder / "state_dict.bin")
    if pretrained is not None:
        torch.save(
            {"pretrained": pretrained, "exported": True, "version": "1.3.0"}, folder / "compression_state_dict.bin"
        )
        return
    save_codec(folder)


def save_codec(folder: Path) -> None:
    """Write ``compression_state_dict.bin``, with filled codebooks."""
    import torch
    from omegaconf import OmegaConf

    from handlers.stems.musicgen.checkpoint import builders

    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(2)
    codec = builders.get_compression_model(OmegaConf.create(CODEC))
    for name, buffer in codec.named_buffers():
        if name.endswith(("embed", "embed_avg")):
            buffer.copy_(torch.randn_like(buffer))
        if name.endswith(("inited", "cluster_size")):
            buffer.fill_(1)
    torch.save(_package(codec.state_dict(), CODEC), folder / "compression_state_dict.bin")


def save_transformers_codec(folder: Path) -> None:
    """Write the codec as transformers saves its own EnCodec: the layout of ``facebook/encodec_32khz``."""
    import torch
    from transformers import EncodecConfig, EncodecModel

    torch.manual_seed(4)
    # Four codebooks of 8 bits at the frame rate, in kbit/s.
    config = EncodecConfig(
        target_bandwidths=[4 * 8 * FRAME_RATE / 1000], sampling_rate=32000, audio_channels=1, normalize=False, num_filters=2,
        hidden_size=16, codebook_size=CARD, codebook_dim=16, upsampling_ratios=[10, 10, 8, 8], num_lstm_layers=1,
        use_causal_conv=False,
    )  # fmt: skip
    model = EncodecModel(config)
    for name, buffer in model.named_buffers():
        if name.endswith("embed"):
            buffer.copy_(torch.randn_like(buffer))
    model.save_pretrained(folder)


def _package(state: object, config: str) -> dict[str, object]:
    return {"best_state": state, "xp.cfg": config, "version": "1.3.0", "exported": True}


def save_t5(folder: Path) -> None:
    """Write a T5 encoder of two layers and a tokenizer of a few words, as transformers saves them."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import T5Config, T5EncoderModel

    folder.mkdir(parents=True)
    words = ["<pad>", "</s>", "<unk>", *(f"▁{word}" for word in WORDS), *"▁abcdefghijklmnopqrstuvwxyz"]
    tokenizer = Tokenizer(models.Unigram([(word, -float(place)) for place, word in enumerate(words)], unk_id=2))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    tokenizer.save(str(folder / "tokenizer.json"))
    described = {
        "tokenizer_class": "T5Tokenizer",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "unk_token": "<unk>",
        "extra_ids": 0,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(described))
    torch.manual_seed(3)
    config = T5Config(
        vocab_size=len(words), d_model=24, d_kv=8, d_ff=32, num_layers=2, num_heads=3, decoder_start_token_id=0
    )
    T5EncoderModel(config).save_pretrained(folder)


def save_home(home: Path) -> None:
    """Write ``models/small`` and ``models/t5-base`` below `home`."""
    save_t5(home / "models" / "t5-base")
    save_checkpoint(home / "models" / "small")
