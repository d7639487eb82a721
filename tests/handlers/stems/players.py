"""Small backends that play what a test gives them, and the sound they play: a beat that passes every check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from handlers.stems.backend import Pulse, Request, Take

RATE = 44_100


def beat(
    duration_s: float, tempo_bpm: float = 120.0, *, rate: int = RATE, seed: int = 0, start_s: float = 0.0
) -> np.ndarray:
    """Kicks on the beat, louder on the first of four, hats between, a bass and some noise: ``(2, samples)``."""
    time = np.arange(round(duration_s * rate)) / rate
    noise = np.random.default_rng(seed).standard_normal((2, len(time)))
    since = np.mod(time - start_s, 60 / tempo_bpm)
    count = np.floor((time - start_s) * tempo_bpm / 60 + 1e-9)
    kick = np.exp(-since * 30) * np.sin(2 * np.pi * (50 * since + 4 * (1 - np.exp(-since * 40)))) * (time >= start_s)
    kick *= np.where(count % 4 == 0, 1.0, 0.6)
    hat = np.exp(-np.mod(time - start_s + 30 / tempo_bpm, 60 / tempo_bpm) * 60) * noise
    bass = np.sin(2 * np.pi * 55 * time) + 0.3 * np.sin(2 * np.pi * 220 * time)
    return (0.4 * kick + 0.05 * hat + 0.08 * bass + 0.01 * noise).astype(np.float32)


class Player:
    """A backend whose every take is what a function makes of the request; it records what it was asked."""

    def __init__(
        self,
        make: Callable[[Request], np.ndarray | Take],
        *,
        width: int = 1,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.make, self.width, self.facts = make, width, facts or {"device": "paper"}
        self.asked: list[list[tuple[int, int]]] = []

    def play(self, requests: Sequence[Request], pulse: Pulse) -> list[Take]:
        assert 0 < len(requests) <= self.width
        self.asked.append([(request.item, request.take) for request in requests])
        takes = []
        for number, request in enumerate(requests, 1):
            made = self.make(request)
            takes.append(made if isinstance(made, Take) else Take(made, RATE, {"prompt": "a beat"}))
            pulse(number / len(requests))
        return takes
