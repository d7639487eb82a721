"""What plays stems: a backend turns requests into takes. The built-in instrument is one, MusicGen another.

The handler (:mod:`handlers.stems.run`) asks a backend for takes, measures them, asks again where one is no good, and
delivers. A backend knows nothing of files, formats, tags or gates.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from handlers.stems.streams import stream

Pulse = Callable[[float], None]
"""Called several times a second with the share done, 0 .. 1, never falling; what it raises ends the work."""


@dataclass(frozen=True)
class Request:
    """One stem to be played: item `item` of the step, for the `take`-th time (0 is the first)."""

    item: int
    take: int = 0

    def stream(self, seed: int, step: str, purpose: str = "") -> np.random.Generator:
        """The random stream of this take and purpose; it depends on nothing else that is made beside it."""
        words = (purpose, step, self.item)
        return stream(seed, *words, self.take) if self.take else stream(seed, *words)


@dataclass(frozen=True)
class Take:
    """What was played."""

    audio: np.ndarray
    """float32 ``(channels, samples)``, full scale ±1 but not held to it; as long as :mod:`handlers.stems.lengths` says,
    or longer: of a loop whose grid is known, what rings on after its end."""
    sample_rate: int
    facts: Mapping[str, Any] = field(default_factory=dict)
    """For the manifest: JSON values, finite numbers (``prompt``, ``key``, ...)."""
    grid: Mapping[str, Any] | None = None
    """The truth about beats and sections, where it is known by construction; written beside the audio."""
    layers: Mapping[str, np.ndarray] = field(default_factory=dict)
    """True stems by name (drums, bass, ...), each shaped as `audio`; they sum to it."""
    sidecars: Mapping[str, tuple[str, bytes]] = field(default_factory=dict)
    """Further files by label: suffix (``.mid``) and content."""
    log: tuple[str, ...] = ()
    """Lines for the stem's own log: prompt, warnings, memory."""


class Backend(Protocol):
    """A model that is ready to play."""

    width: int
    """How many requests are played together, at most."""
    facts: Mapping[str, Any]
    """What made every take: weights' hashes, device, precision, width, versions."""

    def play(self, requests: Sequence[Request], pulse: Pulse) -> list[Take]:
        """Play up to `width` requests; the takes in their order. A take depends on its request alone."""
