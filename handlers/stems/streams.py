"""Random streams: everything random in a stem comes from the job's seed and a purpose, never from a shared state."""

from __future__ import annotations

from zlib import crc32

import numpy as np


def stream(seed: int, *purpose: str | int) -> np.random.Generator:
    """Return the random stream of one purpose; streams of unlike purposes are independent of each other."""
    words = [part if isinstance(part, int) else crc32(part.encode()) for part in purpose]
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, *words])))
