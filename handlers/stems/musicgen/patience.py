"""Long calls into libraries that cannot be asked to stop: made beside us, while we go on listening."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

LOOK_S = 0.2
"""How often is looked up from waiting."""

Made = TypeVar("Made")


def patiently(work: Callable[[], Made], look: Callable[[], object]) -> Made:
    """Do `work` in a thread of its own and return what it returns, calling `look` several times a second.

    What `look` raises ends the waiting at once; the work runs on to its end, and what it made is dropped.
    """
    pool = ThreadPoolExecutor(max_workers=1)
    try:
        future = pool.submit(work)
        while not wait([future], timeout=LOOK_S).done:
            look()
        return future.result()
    finally:
        pool.shutdown(wait=False)
