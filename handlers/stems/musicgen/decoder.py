"""Drophammer's own decode loop for MusicGen, over the weights that audiocraft loaded. Heavy: torch and audiocraft.

Keys and values stay in place, those of the words are computed once, and the stems of one call are decoded together,
always `width` of them: where fewer are wanted, rows are added and thrown away. A row's tokens depend on the weights,
the width, the precision, the device, its own condition, seed and prompt, and the sampling: never on other rows.

On a CPU a step looks at exactly the keys there are. On CUDA it is recorded once for each span of keys and played again
(:mod:`handlers.stems.musicgen.recording`). The same step runs in both; on CUDA this project has not run it so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import torch
from torch import Tensor

from handlers.stems.musicgen.hearing import Heard, encode, stack
from handlers.stems.musicgen.library import ConditioningAttributes, LMModel
from handlers.stems.musicgen.network import Network
from handlers.stems.musicgen.recording import Pace, Recordings
from handlers.stems.musicgen.sampling import Sampling, draw, draw_as_audiocraft, uniforms
from handlers.stems.musicgen.weights import Precision

__all__ = ["Decoder", "Sampling"]

CUDA_SPAN = 256
"""On CUDA keys are looked at in multiples of this, each recorded once: 30 s of the published models take six."""
ROOM = 256
"""Memory for keys and values grows by this many places."""
CHUNK = 128
"""Tokens that are given are played so many at a time: one layer of that is well below a second on a CPU."""
BEAT = 16
"""Steps between two pulses on CUDA."""
UNKNOWN = -1


class Decoder:
    """Plays one language model.

    Parameters
    ----------
    lm
        audiocraft's ``LMModel``, on `device`; in float32 on a CPU.
    width
        Rows that are always decoded together, at least 1.
    precision
        ``fp32``, ``bf16``; on CUDA ``fp16``; on a CPU ``int8``: matrices and what goes into them in 8 bits, a scale for
        each row of either.
    device
        ``cpu`` or ``cuda``.
    max_steps
        Make room for so many frames at once; else it is made when it is needed.
    span
        How many keys are looked at is rounded up to a multiple of this. None: 1 on a CPU, `CUDA_SPAN` on CUDA.

    Raises
    ------
    ValueError
        For a model that only audiocraft's own loop can play, and a precision that the device has not.
    """

    def __init__(
        self,
        lm: LMModel,
        *,
        width: int,
        precision: Precision,
        device: str,
        max_steps: int | None = None,
        span: int | None = None,
    ) -> None:
        if width < 1:
            raise ValueError(f"a decoder is {width} rows wide; it takes at least 1")
        if precision == ("int8" if device != "cpu" else "fp16"):
            raise ValueError(f"precision {precision} is not there on {device}")
        self.lm, self.width, self.precision, self.device = lm, width, precision, device
        self.span = span or (1 if device == "cpu" else CUDA_SPAN)
        self._recordings = Recordings()
        self._steps = max_steps or 0
        self._longest = 0
        with torch.inference_mode():
            self.network = Network(lm, 2 * width, precision, device)
            self._at = torch.zeros(1, dtype=torch.long, device=device)

    def generate(
        self,
        conditions: Sequence[ConditioningAttributes],
        frames: int,
        *,
        seeds: Sequence[int],
        sampling: Sampling,
        prompt: Tensor | None = None,
        pulse: Callable[[int], None],
        as_audiocraft: bool = False,
    ) -> Tensor:
        """Decode.

        Parameters
        ----------
        conditions
            One for each row, 1 .. width of them.
        frames
            Of the codec, with those of `prompt`.
        seeds
            0 .. 2**63 - 1, one for each row.
        sampling
            How tokens are drawn.
        prompt
            int64 ``(rows, codebooks, frames given)``: frames to go on from, kept as they are.
        pulse
            Called with how many steps are done, at every step (on CUDA at every 16th, and before the device has
            done them), and within longer work before the first. What it raises ends the decoding.
        as_audiocraft
            Draw from torch's global random numbers by audiocraft's functions, and leave `seeds` alone: to be compared.

        Returns
        -------
        codes
            int64 ``(rows, codebooks, frames)``.
        """
        given = 0 if prompt is None else prompt.shape[-1]
        if not 1 <= len(conditions) <= self.width or len(seeds) != len(conditions):
            raise ValueError(f"{len(conditions)} conditions and {len(seeds)} seeds for a decoder of width {self.width}")
        if not given < frames:
            raise ValueError(f"{given} frames are given of {frames}: nothing is left to be made")
        with torch.inference_mode():
            codes = torch.full((len(conditions), self.network.codebooks, frames), UNKNOWN, device=self.device)
            if prompt is not None:
                codes[..., :given] = prompt.to(self.device)
            steps = frames + max(self.lm.pattern_provider.delays) - given
            groups = list(self._groups(conditions, sampling, pulse))
            for number, (rows, heard) in enumerate(groups):

                def beat(step: int, number: int = number) -> None:
                    pulse((number * steps + step) // len(groups))

                filled = self._begin(heard, codes[rows], [seeds[row] for row in rows], lambda: beat(0))
                self._run(filled, steps, sampling, as_audiocraft, beat)
                codes[rows] = self._codes(frames)[: len(rows)]
            return codes.clone()

    def logits_for(self, conditions: Sequence[ConditioningAttributes], codes: Tensor, sampling: Sampling) -> Tensor:
        """What a step says at every place of given codes, guidance mixed in.

        Returns
        -------
        logits
            float32 ``(rows, codebooks, frames + longest delay, card)``; at places where the delay leaves a codebook
            nothing to say, its logits mean nothing.
        """
        with torch.inference_mode():
            heard = [encode(self.lm, condition, two_step=sampling.two_step) for condition in conditions]
            self._begin(heard, codes.to(self.device), [0] * len(heard), lambda: None)
            self._at.zero_()
            steps = codes.shape[-1] + max(self.lm.pattern_provider.delays)
            said = []
            for step in range(steps):
                said.append(self._logits(*self._sight(step), sampling))
                self._at.add_(1)
            return torch.stack(said, 2)[: len(heard)].clone()

    def _groups(
        self, conditions: Sequence[ConditioningAttributes], sampling: Sampling, pulse: Callable[[int], None]
    ) -> Iterator[tuple[list[int], list[Heard]]]:
        """Rows that can be played together; what is heard of them."""
        groups: dict[tuple[int, int], list[tuple[int, Heard]]] = {}
        for row, condition in enumerate(conditions):
            pulse(0)
            heard = encode(self.lm, condition, two_step=sampling.two_step)
            groups.setdefault(heard.shape, []).append((row, heard))
        for members in groups.values():
            yield [row for row, _ in members], [heard for _, heard in members]

    def _begin(self, heard: list[Heard], codes: Tensor, seeds: list[int], pulse: Callable[[], None]) -> int:
        """Take in all that is given; the place of the last token that is known."""
        missing = self.width - len(heard)
        heard, seeds = heard + heard[-1:] * missing, seeds + seeds[-1:] * missing
        codes = torch.cat([codes, codes[-1:].expand(missing, -1, -1)])
        words, lead = heard[0].shape
        frames = codes.shape[-1]
        pattern = self.lm.pattern_provider.get_pattern(frames)
        sequence, _, _ = pattern.build_pattern_sequence(codes, self.lm.special_token_id)
        self._make_room(sequence.shape[-1], lead)
        self._sequence[..., : sequence.shape[-1]] = sequence
        drawn = torch.stack([uniforms(seed, sequence.shape[-1], self.network.codebooks) for seed in seeds], 1)
        self._chance[: len(drawn)] = drawn.to(self.device)
        if self.network.hear(*stack([one.words for one in heard], words), pulse):
            self._recordings.forget()
        self.network.begin(*stack([one.lead for one in heard], lead), pulse)
        # The last place before the first unknown token is where the steps begin; before that all is known.
        unknown = (sequence == UNKNOWN).any(0).any(0)
        known = int(unknown.int().argmax()) - 1 if unknown.any() else len(unknown) - 1
        tokens = torch.cat([sequence, sequence])
        for first in range(0, known, CHUNK):
            self.network.fill(tokens[..., first : min(first + CHUNK, known)], first, pulse)
        return known

    def _make_room(self, places: int, lead: int) -> None:
        wanted = max(places, self._steps + max(self.lm.pattern_provider.delays) + 1)
        if self.network.make_room(-(-(wanted + lead) // ROOM) * ROOM - lead, lead) or self._longest < wanted:
            self._recordings.forget()
            self._longest = self.network.capacity
            shape = (self.width, self.network.codebooks, self._longest)
            self._sequence = torch.zeros(shape, dtype=torch.long, device=self.device)
            self._chance = torch.zeros((self._longest, *shape[:2]), device=self.device)

    def _run(
        self, first: int, steps: int, sampling: Sampling, as_audiocraft: bool, pulse: Callable[[int], None]
    ) -> None:
        self._at.fill_(first)
        pace = Pace()
        recorded = self.device != "cpu" and not as_audiocraft
        for step in range(steps):
            sight = self._sight(first + step)
            if recorded:
                key = (*sight, sampling)
                work = partial(self._step, *sight, sampling, False)
                self._recordings.play(key, work, (self._at, self._sequence))
                if step % BEAT:
                    continue
                pace.beat()
            else:
                self._step(*sight, sampling, as_audiocraft)
            pulse(step + 1)

    def _sight(self, at: int) -> tuple[int, bool]:
        """How many keys a step looks at, and whether some of those are hidden."""
        there = self.network.lead + at + 1
        looks = min(-(-there // self.span) * self.span, self.network.capacity)
        return looks, self.network.lead > 0 or self.span > 1

    def _step(self, looks: int, veiled: bool, sampling: Sampling, as_audiocraft: bool) -> None:
        """From the tokens at one place to those at the next, where they are not known."""
        logits = self._logits(looks, veiled, sampling)
        if as_audiocraft:
            drawn = draw_as_audiocraft(logits, sampling)
        else:
            drawn = draw(logits, sampling, self._chance.index_select(0, self._at)[0])
        self._at.add_(1)
        there = self._sequence.index_select(2, self._at)
        self._sequence.index_copy_(2, self._at, torch.where(there == UNKNOWN, drawn[..., None], there))

    def _logits(self, looks: int, veiled: bool, sampling: Sampling) -> Tensor:
        tokens = self._sequence.index_select(2, self._at)[..., 0]
        width = self.width
        if sampling.two_step:
            halves = (slice(0, width), slice(width, 2 * width))
            given, none = (self.network.step(tokens, self._at, looks, veiled, rows) for rows in halves)
        else:
            both = torch.cat([tokens, tokens])
            given, none = self.network.step(both, self._at, looks, veiled, slice(0, 2 * width)).split(width)
        return none + (given - none) * sampling.guidance_scale

    def _codes(self, frames: int) -> Tensor:
        pattern = self.lm.pattern_provider.get_pattern(frames)
        sequence = self._sequence[..., : len(pattern.layout)].contiguous()
        return pattern.revert_pattern_sequence(sequence, special_token=UNKNOWN)[0][..., :frames]
