"""The built-in instrument as a backend: requests in, takes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy

from handlers.contract import Context, Invalid
from handlers.stems.backend import Pulse, Request, Take
from handlers.stems.instrument.notation import write_notes
from handlers.stems.instrument.render import render
from handlers.stems.instrument.score import draw_common
from handlers.stems.lengths import length_s
from handlers.stems.models.manifest import Model
from handlers.stems.params import StemsParams
from handlers.stems.prompts import write_prompt
from handlers.stems.styles import Style
from handlers.stems.words import read_words

ECHO_S, LONGEST_RING_S = 2.0, 8.0
"""What rings on under the start of a loop: the echoes and the room, at most so much."""


def open_instrument(params: StemsParams, style: Style, model: Model, context: Context) -> Instrument:
    """Set the instrument up for one step; nothing is loaded.

    Parameters
    ----------
    params, context
        The step's: duration, tempo, key, prompt, layers; seed and name.
    style
        What to play. The job's `prompt:` steers it; its `tempo:` and `key:` have the last word.
    model
        Its entry in ``models.yaml``; the instrument has nothing to read there.

    Raises
    ------
    Invalid
        When the prompt leaves nothing to play.
    """
    return Instrument(params, style, context)


class Instrument:
    """:class:`handlers.stems.backend.Backend` that plays one stem at a time."""

    width = 1

    def __init__(self, params: StemsParams, style: Style, context: Context) -> None:
        self.params, self.style = params, style
        self.seed, self.step = context.seed, context.step
        self.facts: dict[str, Any] = {"numpy": np.__version__, "scipy": scipy.__version__}
        self.reading = read_words(params.prompt)
        try:
            steered = self.reading.steer(style)
        except ValueError as error:
            raise Invalid(str(error)) from error
        tempo = (params.tempo[0], params.tempo[1]) if params.tempo else steered.tempo
        self.steered = replace(steered, tempo=tempo, keys=(params.key,) if params.key else steered.keys)

    def play(self, requests: Sequence[Request], pulse: Pulse) -> list[Take]:
        """Play each request; see :class:`handlers.stems.backend.Backend`."""
        return [
            self._play(request, lambda done, number=number: pulse((number + done) / len(requests)))
            for number, request in enumerate(requests)
        ]

    def _play(self, request: Request, pulse: Pulse) -> Take:
        prompt = write_prompt(
            self.style, self.seed, self.step, request.item, given=self.params.prompt, vary=self.params.vary
        )
        style = self.steered
        if self.params.vary and not self.params.prompt:
            # Its first sentence is the style's own and steers nothing; the fragments give each stem a lean of its own.
            style = read_words(prompt.partition(". ")[2]).pulls_only().steer(style)
        stem = render(
            style,
            length_s(self.params, draw_common(style, self.seed).tempo_bpm),
            self.seed,
            step=self.step,
            index=request.item,
            take=request.take,
            layers=self.params.layers,
            ring_s=min(LONGEST_RING_S, ECHO_S + style.character.room_s) if self.params.loop else 0.0,
            pulse=pulse,
        )
        grid = stem.grid
        title = f"{style.name} {grid['tempo_bpm']:g} BPM {grid['key']}"
        midi = write_notes(stem.score, title, snare=style.character.snare, lead=style.character.lead)
        facts = {
            "prompt": prompt,
            "tempo_bpm": grid["tempo_bpm"],
            "key": grid["key"],
            "sections": [{name: entry[name] for name in ("start_s", "end_s", "label")} for entry in grid["sections"]],
        }
        log = [f"prompt: {prompt}"]
        if self.params.prompt:
            facts |= {"understood": dict(self.reading.understood), "not_understood": list(self.reading.not_understood)}
            log += [f"understood: {words} -> {effect}" for words, effect in self.reading.understood.items()]
            log += [f"not understood: {words}" for words in self.reading.not_understood]
        sidecars = {"midi": (".mid", midi)}
        return Take(stem.audio, stem.sample_rate, facts, grid, stem.layers, sidecars, tuple(log))
