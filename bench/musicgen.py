"""MusicGen's decoding on one CPU thread: audiocraft's own loop and ours, one stem and four, in one run.

nice -n 10 .venv/bin/python -m bench.musicgen [--threads 1] [--steps 16] [--at 20 750]

The model is musicgen-small's language model (24 layers of 1024, 16 heads, 4 codebooks of 2048; a prompt of 120 places,
768 wide as T5-base's) with random weights, guidance on, top-k 250. Times are CPU time of the median step, 50 steps to
a second of audio, with so many frames already there as `--at` says: 20 is the start of a piece, 750 the middle of 30 s.
What is there already is a prompt of random tokens, played before and not measured. audiocraft is measured before and
after ours, and the better counts. Where there is a GPU, `bench.musicgen_cuda` follows.

What bound a step: the bytes it must read over the bandwidth of one thread are the least it can take; matrices and
attention beside it are what oneDNN's kernels took, and the rest is everything between them.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import time
import warnings
from dataclasses import dataclass
from itertools import pairwise

os.environ.setdefault("KINETO_LOG_LEVEL", "9")  # Read when torch is imported: its profiler talks.

import torch

from handlers.stems.musicgen.decoder import Decoder, Sampling
from handlers.stems.musicgen.library import ConditioningAttributes, LMModel

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from audiocraft.modules.codebooks_patterns import DelayedPatternProvider
    from audiocraft.modules.conditioners import ConditionFuser, ConditioningProvider, TextConditioner

CARD = 2048
WORDS, WORD_DIM = 120, 768
WARM_UP = 3
"""Steps that do not count: kernels are chosen in the first."""
PRECISIONS = ("fp32", "bf16", "int8")
AIMS = {1: 4.0, 4: 8.0}
"""How many times audiocraft's rate for one stem a stem is to have, where so many are decoded together."""


class Words(TextConditioner):
    """Stands for T5: so many places of random numbers, zeros where there is no prompt."""

    def tokenize(self, texts: list[str | None]) -> torch.Tensor:
        return torch.tensor([float(text is not None) for text in texts])

    def forward(self, there: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        weight = self.output_proj.weight
        mask = there.to(weight)[:, None].expand(-1, WORDS)
        heard = torch.randn((1, WORDS, WORD_DIM), generator=torch.Generator().manual_seed(1)).to(weight)
        return self.output_proj(heard) * mask[..., None], mask


def build(dim: int, heads: int, layers: int) -> LMModel:
    """A language model of that size as audiocraft builds the published ones, with random weights."""
    torch.manual_seed(1)
    fuser = ConditionFuser({"cross": ["description"], "prepend": [], "sum": [], "input_interpolate": []})
    lm = LMModel(
        DelayedPatternProvider(4, [0, 1, 2, 3]), ConditioningProvider({"description": Words(WORD_DIM, dim)}), fuser,
        n_q=4, card=CARD, dim=dim, num_heads=heads, hidden_scale=4, norm_first=True, bias_proj=False,
        weight_init="gaussian", depthwise_init="current", zero_bias_init=True, num_layers=layers, dropout=0.0,
        activation="gelu", bias_ff=False,
        bias_attn=False, causal=True, custom=False, memory_efficient=True, cross_attention=True,
    )  # fmt: skip
    return lm.eval()


def rows(count: int) -> list[ConditioningAttributes]:
    return [ConditioningAttributes(text={"description": "x"}) for _ in range(count)]


def given(count: int, frames: int) -> torch.Tensor:
    return torch.randint(0, CARD, (count, 4, frames), generator=torch.Generator().manual_seed(2))


def per_step_ms(marks: list[float]) -> float:
    """The median step, from the CPU time at each in seconds: others on this machine disturb some, not most."""
    return statistics.median(after - before for before, after in pairwise(marks[WARM_UP:])) * 1e3


def audiocraft_ms(lm: LMModel, stems: int, at: int, steps: int) -> float:
    marks: list[float] = []
    lm.generate(
        given(stems, at), rows(stems), max_gen_len=at + steps, use_sampling=True, top_k=250, cfg_coef=3.0,
        callback=lambda *_: marks.append(time.process_time()),
    )  # fmt: skip
    return per_step_ms(marks)


def own_ms(decoder: Decoder, stems: int, at: int, steps: int) -> float:
    marks: list[float] = []

    def pulse(step: int) -> None:
        if step:
            marks.append(time.process_time())

    decoder.generate(
        rows(stems), at + steps, seeds=range(stems), sampling=Sampling(), prompt=given(stems, at), pulse=pulse
    )
    return per_step_ms(marks)


def bandwidth() -> float:
    """Bytes a second that one sum over 400 MB reads."""
    numbers = torch.ones(100_000_000)
    best = float("inf")
    for _ in range(3):
        start = time.process_time()
        numbers.sum()
        best = min(best, time.process_time() - start)
    return 4e8 / best


@dataclass(frozen=True)
class Found:
    """One row of the table; times in ms."""

    precision: str
    stems: int
    ms: float
    matrices: float
    attention: float
    matrix_bytes: int
    key_bytes: int

    @property
    def rest(self) -> float:
        return max(self.ms - self.matrices - self.attention, 0.0)


def measure(lm: LMModel, precision: str, stems: int, at: int, steps: int) -> Found:
    decoder = Decoder(lm, width=stems, precision=precision, device="cpu")
    ms = own_ms(decoder, stems, at, steps)
    shares = profile(decoder, stems, at)
    # The profiler slows all down: its shares count, not its times.
    matrices, attention = (ms * shares[kind] for kind in ("matrices", "attention"))
    found = Found(precision, stems, ms, matrices, attention, *bytes_read(lm, precision, stems, at))
    del decoder
    gc.collect()
    return found


def profile(decoder: Decoder, stems: int, at: int) -> dict[str, float]:
    """Shares of a step, by torch's profiler over five of them."""
    steps, profiler = 5, torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU])

    def pulse(step: int) -> None:
        if step == WARM_UP:
            profiler.start()
        elif step == WARM_UP + steps:
            profiler.stop()

    decoder.generate(
        rows(stems), at + WARM_UP + steps, seeds=range(stems), sampling=Sampling(), prompt=given(stems, at), pulse=pulse
    )
    events = profiler.key_averages()

    def spent(names: tuple[str, ...]) -> float:
        return sum(event.self_cpu_time_total for event in events if event.key.startswith(names))

    whole = spent(("",))
    return {
        "matrices": spent(("mkldnn::", "onednn::")) / whole,
        "attention": spent(("aten::bmm", "aten::baddbmm", "aten::_softmax")) / whole,
    }


def bytes_read(lm: LMModel, precision: str, stems: int, at: int) -> tuple[int, int]:
    """Of matrices, and of keys and values, in one step."""
    layer, size = lm.transformer.layers[0], {"fp32": 4, "bf16": 2, "int8": 1}[precision]
    layers, wide = len(lm.transformer.layers), max(size, 2)  # The last matrix, keys and values are never in 8 bits.
    matrices = layers * (6 * lm.dim**2 + 2 * layer.linear1.weight.numel()) * size + 4 * CARD * lm.dim * wide
    return matrices, layers * 2 * 2 * stems * (at + WORDS) * lm.dim * wide


def logits_error(lm: LMModel, exact: torch.Tensor, decoder: Decoder, codes: torch.Tensor) -> float:
    """Root mean square of what reduced precision changes, over that of the logits."""
    found = decoder.logits_for(rows(1), codes, Sampling())
    return ((found - exact).square().mean() / exact.square().mean()).sqrt().item()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=16)
    parser.add_argument("--at", type=int, nargs="+", default=[20, 750])
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    lm = build(1024, 16, 24)
    speed = bandwidth()
    print(
        f"torch {torch.__version__}, {options.threads} thread(s), load {os.getloadavg()[0]:.1f}; "
        f"one thread reads {speed / 1e9:.0f} GB/s"
    )
    codes = given(1, 24)
    exact = Decoder(lm, width=1, precision="fp32", device="cpu").logits_for(rows(1), codes, Sampling())
    for at in options.at:
        print(f"\n{at} frames there, {options.steps} steps; CPU ms per step")
        alone, four = audiocraft_ms(lm, 1, at, options.steps), audiocraft_ms(lm, 4, at, options.steps)
        ours = [measure(lm, precision, stems, at, options.steps) for precision in PRECISIONS for stems in AIMS]
        alone = min(alone, audiocraft_ms(lm, 1, at, options.steps))
        print(
            f"{'':24}{'ms':>8}{'per stem':>10}{'ratio':>8}{'matrices':>12}{'attention':>11}{'rest':>7}{'at least':>10}"
        )
        for stems, ms in ((1, alone), (4, four)):
            print(f"{f'audiocraft, stems {stems}':24}{ms:8.1f}{ms / stems:10.1f}{alone / ms * stems:8.1f}")
        for one in ours:
            floor = (one.matrix_bytes + one.key_bytes) / speed * 1e3
            print(
                f"{f'ours, {one.precision}, stems {one.stems}':24}{one.ms:8.1f}{one.ms / one.stems:10.1f}"
                f"{alone / one.ms * one.stems:8.1f}{one.matrices:12.1f}{one.attention:11.1f}"
                f"{one.rest:7.1f}{floor:10.1f}"
                f"   {one.matrix_bytes / 1e6:.0f} MB of weights, {one.key_bytes / 1e6:.0f} MB of keys and values"
            )
    print("\naims: one stem >= 4x audiocraft, four stems >= 8x audiocraft's one-stem rate for each")
    for precision in ("bf16", "int8"):
        decoder = Decoder(lm, width=1, precision=precision, device="cpu")
        share = 100 * logits_error(lm, exact, decoder, codes)
        print(f"{precision}: logits off by {share:.1f} % of their root mean square")
    if torch.cuda.is_available():
        from bench.musicgen_cuda import main as cuda

        cuda()
    else:
        print("CUDA: not measured here")


if __name__ == "__main__":
    main()
