"""What libraries say while they work, kept for a stem's own log."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

LIBRARIES = ("audiocraft", "transformers", "torch")


class _Listener(logging.Handler):
    def __init__(self, lines: list[str]) -> None:
        super().__init__(logging.WARNING)
        self.lines = lines

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what was said, once."""
        line = f"{record.name}: {record.getMessage()}"
        if line not in self.lines:
            self.lines.append(line)


@contextmanager
def overheard() -> Iterator[list[str]]:
    """Collect every warning given inside, each once; none is printed or raised."""
    lines: list[str] = []
    listener = _Listener(lines)
    loggers = [logging.getLogger(name) for name in LIBRARIES]
    for logger in loggers:
        logger.addHandler(listener)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield lines
    finally:
        for logger in loggers:
            logger.removeHandler(listener)
        said = (f"{entry.category.__name__}: {entry.message}" for entry in caught)
        lines += [line for line in dict.fromkeys(said) if line not in lines]
