"""MusicGen's decoding on a GPU: audiocraft's loop in fp16 and ours as recorded steps. Not run by this project so far.

.venv/bin/python -m bench.musicgen_cuda

Random weights in the sizes of musicgen-small and -medium; wall time between two waits for the device. The industrial
set is five pieces of 60 s by the small model, in windows of 30 s that advance by 18 s, and three of 30 s by the medium
one. Memory is capped at 10 GB for all of it. What bound a step: the bytes it must read over the bandwidth that one copy
reaches, beside its kernels and their number.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from functools import partial

import torch

from bench.musicgen import build, rows
from handlers.stems.musicgen.decoder import Decoder, Sampling
from handlers.stems.musicgen.library import LMModel
from handlers.stems.musicgen.windows import plan_windows

CAP_BYTES = 10e9
FRAME_RATE, WINDOW_S, STRIDE_S = 50, 30, 18
SMALL, MEDIUM = (1024, 16, 24), (1536, 24, 48)
PRECISION = "fp16"
REFERENCE_STEPS = 200


def seconds(work: Callable[[], object]) -> float:
    torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - start


def load(size: tuple[int, int, int]) -> LMModel:
    lm = build(*size).half().cuda()
    lm.condition_provider.device = "cuda"
    return lm


def audiocraft_step_s(lm: LMModel, stems: int) -> float:
    """Of its own loop, as it plays on CUDA: weights in fp16, under autocast."""

    def play(steps: int) -> float:
        with torch.autocast("cuda", torch.float16):
            return seconds(lambda: lm.generate(None, rows(stems), max_gen_len=steps, top_k=250, cfg_coef=3.0))

    play(10)
    return play(REFERENCE_STEPS) / (REFERENCE_STEPS + 3)


def pieces(decoder: Decoder, stems: int, duration_s: int) -> None:
    """Decode pieces of that length in windows, as the backend does."""
    made: torch.Tensor | None = None
    for window in plan_windows(duration_s * FRAME_RATE, WINDOW_S * FRAME_RATE, STRIDE_S * FRAME_RATE):
        prompt = None if made is None else made[..., made.shape[-1] - window.given :]
        made = decoder.generate(
            rows(stems),
            window.frames,
            seeds=range(stems),
            sampling=Sampling(),
            prompt=prompt,
            pulse=lambda _: None,
        )


def kernels(decoder: Decoder) -> tuple[int, float]:
    """How many kernels a step launches, and their ms, played eagerly."""
    steps = 5
    codes = torch.zeros((1, decoder.network.codebooks, steps), dtype=torch.long)
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profiler:
        decoder.logits_for(rows(1), codes, Sampling())
    events = profiler.key_averages()
    taken = steps + 3
    busy_us = sum(event.self_device_time_total for event in events)
    return sum(event.count for event in events) // taken, busy_us / taken / 1e3


def bandwidth() -> float:
    """Bytes a second, read and written, of one copy of 2 GB."""
    source = torch.empty(2**31, dtype=torch.uint8, device="cuda")
    target = torch.empty_like(source)
    target.copy_(source)
    return 2 * 2**31 / min(seconds(lambda: target.copy_(source)) for _ in range(5))


def main() -> None:
    total = torch.cuda.get_device_properties(0).total_memory
    print(f"\n{torch.cuda.get_device_name()}, torch {torch.__version__}; memory capped at {CAP_BYTES / 1e9:.0f} GB")
    speed = bandwidth()
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(min(CAP_BYTES / total, 1.0))
    lm = load(SMALL)
    theirs = audiocraft_step_s(lm, 1)
    one = Decoder(lm, width=1, precision=PRECISION, device="cuda", max_steps=WINDOW_S * FRAME_RATE)
    cold = seconds(partial(pieces, one, 1, WINDOW_S))
    warm = seconds(partial(pieces, one, 1, WINDOW_S))
    steps = WINDOW_S * FRAME_RATE + 3
    print(f"one stem of 30 s: audiocraft {theirs * steps:.1f} s ({1 / theirs:.0f} steps/s); ours {warm:.2f} s", end=" ")
    print(f"({steps / warm:.0f} steps/s), {theirs * steps / warm:.1f} times; {cold - warm:.1f} s more cold")
    count, busy_ms = kernels(one)
    matrices = sum(parameter.numel() for parameter in lm.transformer.parameters()) * 2
    print(
        f"a step: {warm / steps * 1e3:.2f} ms; {matrices / 1e6:.0f} MB of weights at {speed / 1e12:.1f} TB/s are "
        f"{matrices / speed * 1e3:.2f} ms; {count} kernels, {busy_ms:.2f} ms of them"
    )
    del one
    gc.collect()
    eight = Decoder(lm, width=8, precision=PRECISION, device="cuda", max_steps=WINDOW_S * FRAME_RATE)
    cold = seconds(partial(pieces, eight, 8, WINDOW_S))
    warm = seconds(partial(pieces, eight, 8, WINDOW_S))
    rate = 8 * WINDOW_S / warm
    print(f"eight stems of 30 s: {warm:.2f} s, {rate:.0f} s of audio a second; {cold - warm:.1f} s more cold")
    del eight
    gc.collect()
    ours = reference = 0.0
    for size, stems, duration_s in ((SMALL, 5, 60), (MEDIUM, 3, 30)):
        if size == MEDIUM:
            del lm
            gc.collect()
            torch.cuda.empty_cache()
            lm = load(MEDIUM)
        windows = plan_windows(duration_s * FRAME_RATE, WINDOW_S * FRAME_RATE, STRIDE_S * FRAME_RATE)
        reference += audiocraft_step_s(lm, stems) * sum(window.steps for window in windows)
        decoder = Decoder(lm, width=stems, precision=PRECISION, device="cuda", max_steps=WINDOW_S * FRAME_RATE)
        cold = seconds(partial(pieces, decoder, stems, duration_s))
        warm = seconds(partial(pieces, decoder, stems, duration_s))
        ours += warm
        print(f"  {stems} x {duration_s} s of {size}: {warm:.1f} s, {cold - warm:.1f} s more cold")
        del decoder
        gc.collect()
    print(f"industrial set: ours {ours:.1f} s; audiocraft {reference:.0f} s, by {REFERENCE_STEPS} of its steps")
    print(f"most memory held: {torch.cuda.max_memory_reserved() / 1e9:.1f} GB of {CAP_BYTES / 1e9:.0f}, none ran out")
    print("aims: >= 15 times audiocraft, >= 100 s of audio a second, the set < 15 s on an H200, no out-of-memory")


if __name__ == "__main__":
    main()
