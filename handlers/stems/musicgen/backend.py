"""MusicGen as a backend: requests in, takes out. Heavy: torch, audiocraft.

Each stem has its own random stream, from (seed, step, number, take), and its own row of a batch whose width is fixed:
stem 3 of seed 7 is the same samples alone, with others, after a restart, or as part of another count, on one device
with one set of libraries. The network is never asked.
"""

from __future__ import annotations

import math
import resource
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from functools import partial
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from handlers.contract import Context, Invalid
from handlers.stems.backend import Pulse, Request, Take
from handlers.stems.lengths import played_s
from handlers.stems.models.manifest import Model
from handlers.stems.musicgen import reference
from handlers.stems.musicgen.checkpoint import is_out_of_memory
from handlers.stems.musicgen.decoder import Decoder
from handlers.stems.musicgen.device import name_device
from handlers.stems.musicgen.given import Given, read_given
from handlers.stems.musicgen.loading import Loaded, find_decoder, load, state_file
from handlers.stems.musicgen.melody import ChromaConditioner, find_melody, weighted
from handlers.stems.musicgen.memory import out_of_memory
from handlers.stems.musicgen.overheard import overheard
from handlers.stems.musicgen.patience import patiently
from handlers.stems.musicgen.plan import Plan, plan_decoding
from handlers.stems.musicgen.prompt import draw_shared, final_prompt
from handlers.stems.musicgen.remix import read_controls
from handlers.stems.musicgen.rows import Row, generate
from handlers.stems.musicgen.windows import STRIDE_S, Window, plan_windows
from handlers.stems.params import StemsParams
from handlers.stems.styles import Style

MADE = 0.93
"""Share of a stem's time that making its tokens takes; the rest is the codec's."""


def open_musicgen(params: StemsParams, style: Style, model: Model, context: Context) -> MusicGenBackend:
    """Load a model and set it up for one step.

    Parameters
    ----------
    params, context
        The step's.
    style
        Its prompt is used where the job gives none; tempo and key are drawn from it.
    model
        Its entry in ``models.yaml``.

    Raises
    ------
    Invalid
        When given audio is unreadable, silent or too short, the device cannot do what is asked for, or a file of the
        model is missing or damaged.
    OutOfMemory
        When the model does not fit, or memory for it does not become free.
    """
    given = read_given(params, context, model.sample_rate)
    plan = plan_decoding(params, state_file(model, context), context)
    try:
        loaded = load(model, context, plan)
        decoder = find_decoder(loaded, plan, context) if plan.decoder == "fast" else None
    except (RuntimeError, MemoryError) as error:
        if is_out_of_memory(error):
            raise out_of_memory(context, plan.width, f"{params.model} does not fit into memory") from error
        raise
    if loaded.musicgen.sample_rate != model.sample_rate:
        raise Invalid(
            f"model {params.model!r} plays at {loaded.musicgen.sample_rate} Hz, and config/models.yaml says "
            f"{model.sample_rate} Hz; correct it there, or fetch the model again"
        )
    if params.melody and find_melody(loaded.musicgen.lm) is None:
        raise Invalid(f"melody: {params.model!r} reads words only; name a model that reads a melody")
    return MusicGenBackend(params, style, context, plan, loaded, decoder, given)


class MusicGenBackend:
    """:class:`handlers.stems.backend.Backend`."""

    def __init__(
        self,
        params: StemsParams,
        style: Style,
        context: Context,
        plan: Plan,
        loaded: Loaded,
        decoder: Decoder | None,
        given: Given,
    ) -> None:
        self.params, self.style, self.context = params, style, context
        self.plan, self.loaded, self.decoder, self.given = plan, loaded, decoder, given
        self.musicgen = loaded.musicgen
        self.melody = find_melody(self.musicgen.lm)
        self.controls = read_controls(params, self.musicgen.lm.card)
        self.shared = draw_shared(params, style, context.seed)
        self.width = plan.width
        self.facts: Mapping[str, Any] = {
            "weights_sha256": loaded.sha256,
            "device": name_device(plan.device),
            "precision": plan.precision,
            "decoder": plan.decoder,
            "width": plan.width,
            "versions": {name: version(name) for name in ("drophammer", "torch", "audiocraft", "transformers")},
        }

    def play(self, requests: Sequence[Request], pulse: Pulse) -> list[Take]:
        """Play up to `width` requests; see :class:`handlers.stems.backend.Backend`.

        Raises
        ------
        OutOfMemory
            When memory runs out; the next attempt then takes half the width.
        """
        if self.plan.device == "cuda":
            torch.cuda.reset_peak_memory_stats()
        words = [
            final_prompt(self.params, self.style, self.context.seed, self.context.step, request.item)
            for request in requests
        ]
        kept = [self._kept_frames(request) for request in requests]
        windows = {frames: self._windows(frames) for frames in kept}
        rows = [self._row(*one, len(windows[one[2]])) for one in zip(requests, words, kept, strict=True)]
        try:
            with overheard() as warnings:
                audio = self._make(rows, kept, windows, pulse)
        except (RuntimeError, MemoryError) as error:
            if is_out_of_memory(error):
                seconds = f"{self.params.duration:g} s of {self.params.model}"
                raise out_of_memory(self.context, self.width, f"{seconds} do not fit into memory: {error}") from error
            raise
        said = [self._peak(), *(f"warning: {line}" for line in (*self.loaded.warnings, *warnings))]
        takes = []
        for request, row, frames, samples in zip(requests, rows, kept, audio, strict=True):
            facts = self._describe(request, row, frames)
            log = [f"prompt: {row.words}"]
            log += [f"{name}: {value}" for name, value in {**facts, **self.facts}.items() if name != "prompt"]
            log += [f"seeds of its windows: {', '.join(map(str, row.seeds))}", *said]
            takes.append(Take(samples, self.musicgen.sample_rate, facts, log=tuple(log)))
        pulse(1.0)
        return takes

    def _make(
        self, rows: Sequence[Row], kept: Sequence[int], windows: Mapping[int, list[Window]], pulse: Pulse
    ) -> list[np.ndarray]:
        """The sound of each row, without what it goes on from; rows that are given as much are decoded together."""
        steps = {frames: sum(window.steps for window in laid) for frames, laid in windows.items()}
        groups = [[place for place, one in enumerate(kept) if one == frames] for frames in windows]
        if self.decoder is None:
            groups = [[place] for place in range(len(rows))]
        every = sum(steps[kept[group[0]]] for group in groups)
        tokens: dict[int, torch.Tensor] = {}
        done = 0
        for group in groups:
            frames = kept[group[0]]

            def step(count: int, done: int = done) -> None:
                pulse(MADE * min((done + count) / every, 1.0))

            made = self._decode([rows[place] for place in group], windows[frames], step)
            tokens.update(zip(group, made.split(1), strict=True))
            done += steps[frames]
        audio = []
        hop = self.musicgen.sample_rate / self.musicgen.frame_rate
        for place, frames in enumerate(kept):
            share = MADE + (1 - MADE) * place / len(rows)
            heard = patiently(partial(self.musicgen.generate_audio, tokens[place]), partial(pulse, share))
            audio.append(heard[0, :, int(frames * hop) :].float().cpu().numpy())
        return audio

    def _decode(self, rows: Sequence[Row], windows: Sequence[Window], step: Callable[[int], None]) -> torch.Tensor:
        with torch.inference_mode(), weighted(self.melody, self.controls.melody_weight):
            if self.decoder is None:
                return reference.generate(self.musicgen, rows[0], windows[-1].end, self.controls.sampling, step)
            return generate(self.musicgen, self.decoder, rows, windows, self.controls.sampling, step)

    def _windows(self, kept: int) -> list[Window]:
        rate = self.musicgen.frame_rate
        new = math.ceil(played_s(self.params, self.shared.tempo_bpm) * rate - 1e-6)
        return plan_windows(kept + new, int(self.musicgen.max_duration * rate), int(STRIDE_S * rate), kept)

    def _row(self, request: Request, words: str, kept: int, windows: int) -> Row:
        # One seed for each window: the first are the same however many follow.
        seeds = request.stream(self.context.seed, self.context.step, "musicgen").integers(2**63, size=windows)
        continued, melody = self.given.to_continue(request.item), self.given.melody(request.item)
        last = int(kept * self.musicgen.sample_rate / self.musicgen.frame_rate)
        channels = self.musicgen.audio_channels
        return Row(
            words,
            tuple(int(seed) for seed in seeds),
            continued and torch.from_numpy(continued.with_channels(channels)[:, -last:]),
            melody and torch.from_numpy(melody.with_channels(1)),
        )

    def _kept_frames(self, request: Request) -> int:
        """How many frames of given audio a stem goes on from: at most what one window is given by another."""
        continued = self.given.to_continue(request.item)
        if continued is None:
            return 0
        available = continued.audio.shape[1] / self.musicgen.sample_rate
        most = min(available, self.musicgen.max_duration - STRIDE_S)
        return max(int(self.controls.kept_s(most) * self.musicgen.frame_rate + 1e-6), 1)

    def _describe(self, request: Request, row: Row, kept: int) -> dict[str, Any]:
        """What made one take, for the manifest."""
        facts: dict[str, Any] = {
            "prompt": row.words,
            "asked_tempo_bpm": self.shared.tempo_bpm,
            "asked_key": self.shared.key,
            "sampling": asdict(self.controls.sampling),
        }
        if continued := self.given.to_continue(request.item):
            kept_s = round(kept / self.musicgen.frame_rate, 3)
            facts["continued"] = {"from": continued.label, "sha256": continued.sha256, "kept_s": kept_s}
        if melody := self.given.melody(request.item):
            facts["melody"] = {
                "from": melody.label,
                "sha256": melody.sha256,
                "weight": self.controls.melody_weight,
                "heard": "the recording as it is"
                if isinstance(self.melody, ChromaConditioner)
                else "without drums and bass",
            }
        return facts

    def _peak(self) -> str:
        process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        card = f"{torch.cuda.max_memory_reserved() / 1e9:.2f} GB of the GPU, " if self.plan.device == "cuda" else ""
        return f"peak memory: {card}{process / 1e9:.2f} GB of the process since it started"
