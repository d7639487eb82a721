"""MusicGen as a backend: requests in, takes out. Heavy: torch, audiocraft.

Each stem has its own random stream, from (seed, step, number, take), and its own row of a batch whose width is fixed:
stem 3 of seed 7 is the same samples alone, with others, after a restart, or as part of another count, on one device
with one set of libraries. The network is never asked.
"""

from __future__ import annotations

import math
import resource
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.metadata import version
from typing import Any

import numpy as np
import torch

from handlers.audio import files, picture
from handlers.audio.loudness import measure
from handlers.audio.resample import resample
from handlers.contract import Context, Invalid, OutOfMemory
from handlers.stems.backend import Pulse, Request, Take
from handlers.stems.models.manifest import Model
from handlers.stems.musicgen import reference
from handlers.stems.musicgen.checkpoint import is_out_of_memory
from handlers.stems.musicgen.device import choose_device, name_device
from handlers.stems.musicgen.given import Given, Recording, read_given
from handlers.stems.musicgen.loading import Loaded, load
from handlers.stems.musicgen.melody import find_melody, weighted
from handlers.stems.musicgen.overheard import overheard
from handlers.stems.musicgen.patience import patiently
from handlers.stems.musicgen.prompt import draw_shared, final_prompt
from handlers.stems.musicgen.remix import read_controls
from handlers.stems.musicgen.windows import STRIDE_S, plan_windows
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
        When given audio is unreadable, silent or too short, or a file of the model is missing or damaged.
    OutOfMemory
        When the model does not fit.
    """
    device = choose_device()
    half = params.precision == "fp16" if params.precision else device == "cuda"
    given = read_given(params, context, model.sample_rate)
    with overheard() as warnings:
        loaded = load(model, context, device, half=half)
    context.log("warnings while loading", lines=warnings) if warnings else None
    return MusicGenBackend(params, style, model, context, loaded, given, tuple(warnings))


class MusicGenBackend:
    """:class:`handlers.stems.backend.Backend`."""

    width: int
    facts: Mapping[str, Any]

    def __init__(
        self,
        params: StemsParams,
        style: Style,
        model: Model,
        context: Context,
        loaded: Loaded,
        given: Given,
        warnings: tuple[str, ...],
    ) -> None:
        self.params, self.style, self.context = params, style, context
        self.loaded, self.given, self.warnings = loaded, given, warnings
        self.musicgen = loaded.musicgen
        self.melody = find_melody(self.musicgen.lm)
        self.controls = read_controls(params)
        self.shared = draw_shared(params, style, context.seed)
        self.width = 1
        if self.musicgen.sample_rate != model.sample_rate:
            raise Invalid(
                f"model {params.model!r} plays at {self.musicgen.sample_rate} Hz, and config/models.yaml says "
                f"{model.sample_rate} Hz; correct it there, or fetch the model again"
            )
        if params.melody and self.melody is None:
            raise Invalid(f"melody: {params.model!r} reads words only; name a model that reads a melody")
        self.facts = {
            "weights_sha256": loaded.sha256,
            "device": name_device(loaded.device),
            "precision": "fp16" if loaded.half else "fp32",
            "decoder": "reference",
            "width": self.width,
            "versions": {name: version(name) for name in ("drophammer", "torch", "audiocraft", "transformers")},
        }

    def play(self, requests: Sequence[Request], pulse: Pulse) -> list[Take]:
        """Play up to `width` requests; see :class:`handlers.stems.backend.Backend`.

        Raises
        ------
        OutOfMemory
            When memory runs out.
        """
        takes = []
        for number, request in enumerate(requests):
            takes.append(self._play(request, lambda done, number=number: pulse((number + done) / len(requests))))
        return takes

    def _play(self, request: Request, pulse: Pulse) -> Take:
        words = final_prompt(self.params, self.style, self.context.seed, self.context.step, request.item)
        continued, melody = self.given.to_continue(request.item), self.given.melody(request.item)
        frame_rate = self.musicgen.frame_rate
        hop = self.musicgen.sample_rate / frame_rate
        new = math.ceil(self.params.duration * frame_rate - 1e-6)
        longest = int(self.musicgen.max_duration * frame_rate)
        kept = self._kept_frames(continued)
        windows = plan_windows(kept + new, longest, int(STRIDE_S * frame_rate), kept)
        steps, made = sum(window.steps for window in windows), 0

        def step() -> None:
            # audiocraft's own figures jump back with every window; steps are counted instead.
            nonlocal made
            made += 1
            pulse(MADE * min(made / steps, 1.0))

        random_state = int(request.stream(self.context.seed, self.context.step, "musicgen").integers(2**63))
        self._forget_peak()
        with overheard() as warnings:
            try:
                with torch.no_grad(), weighted(self.melody, self.controls.melody_weight):
                    tokens = reference.generate(
                        self.musicgen,
                        words,
                        kept + new,
                        self.controls.sampling,
                        random_state=random_state,
                        continued=self._tensor(continued, self.musicgen.audio_channels, last=int(kept * hop)),
                        melody=self._tensor(melody, 1),
                        step=step,
                    )
                audio = patiently(lambda: self.musicgen.generate_audio(tokens), lambda: pulse(MADE))
            except RuntimeError as error:
                if is_out_of_memory(error):
                    raise OutOfMemory(
                        f"{self.params.duration:g} s of {self.params.model} do not fit into memory: {error}"
                    ) from error
                raise
        samples = audio[0, :, int(kept * hop) :].float().cpu().numpy()
        pulse(1.0)
        facts = self._describe(words, continued, kept / frame_rate, melody)
        log = [f"prompt: {words}", f"random state: {random_state}", f"windows: {len(windows)}, steps: {steps}"]
        log += [f"{name}: {value}" for name, value in facts.items() if name != "prompt"]
        log += [self._peak(), *(f"warning: {line}" for line in (*self.warnings, *warnings))]
        return Take(samples, self.musicgen.sample_rate, facts, log=tuple(log))

    @staticmethod
    def _tensor(recording: Recording | None, channels: int, *, last: int = 0) -> torch.Tensor | None:
        return None if recording is None else torch.from_numpy(recording.with_channels(channels)[:, -last:])

    def _kept_frames(self, continued: Recording | None) -> int:
        """How many frames of given audio a stem goes on from: at most what one window is given by another."""
        if continued is None:
            return 0
        available = continued.audio.shape[1] / self.musicgen.sample_rate
        most = min(available, self.musicgen.max_duration - STRIDE_S)
        return max(int(self.controls.kept_s(most) * self.musicgen.frame_rate + 1e-6), 1)

    def _describe(
        self, words: str, continued: Recording | None, kept_s: float, melody: Recording | None
    ) -> dict[str, Any]:
        """What made one take, for the manifest."""
        facts: dict[str, Any] = {
            "prompt": words,
            "asked_tempo_bpm": self.shared.tempo_bpm,
            "asked_key": self.shared.key,
            "sampling": asdict(self.controls.sampling),
        }
        if continued:
            facts["continued"] = {"from": continued.label, "sha256": continued.sha256, "kept_s": round(kept_s, 3)}
        if melody:
            facts["melody"] = {"from": melody.label, "sha256": melody.sha256, "weight": self.controls.melody_weight}
        return facts

    def _forget_peak(self) -> None:
        if self.loaded.device == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def _peak(self) -> str:
        process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        card = f"{torch.cuda.max_memory_reserved() / 1e9:.2f} GB of the GPU, " if self.loaded.device == "cuda" else ""
        return f"peak memory: {card}{process:.2f} GB of the process since it started"


SAMPLE_RATE = 44_100
PEAK_DBFS = -1.0
"""Louder than this is turned down as a whole; nothing is turned up."""


def run(params: StemsParams, style: Style, model: Model, context: Context) -> None:
    """Deliver `params.count` stems; goes as soon as :mod:`handlers.stems.run` delivers what any backend plays."""
    wanted = [item for item in range(1, params.count + 1) if item not in context.completed]
    if not wanted:
        return
    backend = open_musicgen(params, style, model, context)
    for item in wanted:

        def pulse(done: float, item: int = item) -> None:
            context.check_cancelled()
            context.progress("working", item - 1 + 0.9 * done, params.count, "stems")

        (take,) = backend.play([Request(item)], pulse)
        audio, gain_db = _deliverable(take.audio, take.sample_rate, params.duration)
        loudness = measure(audio, SAMPLE_RATE).facts()
        image, wave = context.workdir / f"{item}.png", context.workdir / f"{item}.wav"
        picture.draw(image, audio, SAMPLE_RATE, title=f"{style.name}  {params.model}  seed {context.seed}/{item}")
        context.check_cancelled()
        tags = {
            "title": f"{context.job_name} {context.step} {item}",
            "comment": f"style {style.name}, model {params.model}, seed {context.seed}, step {context.step}, item {item}",
            "license": model.licence,
        }
        files.write(wave, audio, SAMPLE_RATE, subtype="PCM_24", tags=tags)
        context.emit(item, image, "sidecar", label="picture")
        context.emit(
            item,
            wave,
            duration_s=audio.shape[1] / SAMPLE_RATE,
            sample_rate=SAMPLE_RATE,
            channels=audio.shape[0],
            style=style.name,
            model=params.model,
            seed=context.seed,
            integrated_lufs=loudness["integrated_lufs"],
            true_peak_dbtp=loudness["true_peak_dbtp"],
            gain_db=round(gain_db, 2),
            licence=model.licence,
            **take.facts,
            **backend.facts,
        )
        context.progress("working", item, params.count, "stems")


def _deliverable(audio: np.ndarray, sample_rate: int, duration_s: float) -> tuple[np.ndarray, float]:
    """Stereo at 44.1 kHz, of exact length, peaks held; with the gain in dB that took."""
    length = round(duration_s * SAMPLE_RATE)
    audio = resample(audio, sample_rate, SAMPLE_RATE)[:, :length]
    if audio.shape[1] < length:
        raise RuntimeError(f"MusicGen made {audio.shape[1]} samples at {SAMPLE_RATE} Hz where {length} were asked for")
    if audio.shape[0] == 1:
        audio = np.repeat(audio, 2, axis=0)
    ceiling, peak = 10 ** (PEAK_DBFS / 20), float(np.abs(audio).max())
    if peak <= ceiling:
        return audio, 0.0
    return audio * np.float32(ceiling / peak), 20 * math.log10(ceiling / peak)
