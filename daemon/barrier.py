"""Keeps sound and tensors out of the daemon's own process.

The loop must stay small and quick for months. sqlite-utils and structlog import numpy, pandas and rich whenever they
happen to be installed; with these names barred they do without, which saves some 20 MiB of memory. Workers are other
processes and are not barred.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

BARRED = frozenset(
    {"numpy", "scipy", "pandas", "librosa", "soundfile", "soxr", "sklearn", "numba", "torch", "audiocraft", "rich"}
)


class Barrier:
    """A finder that refuses the barred packages; the first on ``sys.meta_path``."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name.partition(".")[0] in BARRED:
            raise ModuleNotFoundError(
                f"{name} is kept out of the daemon's process; name it by a string and let a worker import it"
            )
        return None


def raise_barrier() -> None:
    """Bar the heavy packages from here on.

    Raises
    ------
    RuntimeError
        When one of them is already imported: the caller went the wrong way round.
    """
    present = BARRED.intersection(sys.modules)
    if present:
        raise RuntimeError(f"already imported in the daemon's process: {', '.join(sorted(present))}")
    sys.meta_path.insert(0, Barrier())
