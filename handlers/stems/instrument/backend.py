"""The built-in instrument as a backend: requests in, takes out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy

from handlers.contract import Context
from handlers.stems.backend import Pulse, Request, Take
from handlers.stems.instrument.render import render
from handlers.stems.models.manifest import Model
from handlers.stems.params import StemsParams
from handlers.stems.styles import Style


def open_instrument(params: StemsParams, style: Style, model: Model, context: Context) -> Instrument:
    """Set the instrument up for one step; nothing is loaded.

    Parameters
    ----------
    params, context
        The step's: duration, tempo, key, prompt, layers; seed and name.
    style
        What to play; a `tempo:` or `key:` of the job's own replaces the style's.
    model
        Its entry in ``models.yaml``; the instrument has nothing to read there.
    """
    if params.tempo:
        style = replace(style, tempo=(params.tempo[0], params.tempo[1]))
    if params.key:
        style = replace(style, keys=(params.key,))
    return Instrument(params, style, context)


class Instrument:
    """:class:`handlers.stems.backend.Backend` that plays one stem at a time."""

    width = 1

    def __init__(self, params: StemsParams, style: Style, context: Context) -> None:
        self.params, self.style = params, style
        self.seed, self.step = context.seed, context.step
        self.facts: dict[str, Any] = {"numpy": np.__version__, "scipy": scipy.__version__}

    def play(self, requests: Sequence[Request], pulse: Pulse) -> list[Take]:
        """Play each request; see :class:`handlers.stems.backend.Backend`."""
        return [
            self._play(request, lambda done, number=number: pulse((number + done) / len(requests)))
            for number, request in enumerate(requests)
        ]

    def _play(self, request: Request, pulse: Pulse) -> Take:
        stem = render(
            self.style,
            self.params.duration,
            self.seed,
            step=self.step,
            index=request.item,
            take=request.take,
            pulse=pulse,
        )
        facts = {
            "prompt": self.params.prompt or self.style.character.prompt,
            "tempo_bpm": stem.grid["tempo_bpm"],
            "key": stem.grid["key"],
            "sections": [
                {name: entry[name] for name in ("start_s", "end_s", "label")} for entry in stem.grid["sections"]
            ],
        }
        return Take(stem.audio, stem.sample_rate, facts, stem.grid)
