"""What is wrong with a job file, where, and what to do: collected while reading, reported all at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

SHOWN_CHARACTERS = 60
"""A value longer than this is cut where a message quotes it."""
REPORTED_AT_MOST = 50
LIKENESS = 0.65
"""How like two words must be for one to be suggested, by difflib's ratio: at 0.6 `tempo` is taken for `steps`."""


class Place(Protocol):
    """Anything with a line and a column, both from 1."""

    line: int
    column: int


@dataclass(frozen=True, order=True)
class Problem:
    """One thing to mend. `line` and `column` count from 1; `key` is the way to it: `steps.beds.duration`."""

    line: int
    column: int
    key: str
    message: str

    def __str__(self) -> str:
        return f"line {self.line}, {self.key}: {self.message}" if self.key else f"line {self.line}: {self.message}"


class DocumentError(Exception):
    """A file that is no job. `problems` holds everything found, by line; ``str()`` gives one a line."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(problems)
        super().__init__(self.problems)

    def __str__(self) -> str:
        shown = [str(problem) for problem in self.problems[:REPORTED_AT_MOST]]
        left = len(self.problems) - len(shown)
        return "\n".join([*shown, f"... and {left} more"] if left else shown)


class Report:
    """Collects problems. The first one found at a place stands; what follows from it is not said again."""

    def __init__(self) -> None:
        self._problems: dict[tuple[int, int], Problem] = {}

    def __bool__(self) -> bool:
        return bool(self._problems)

    def add(self, place: Place, key: str, message: str) -> None:
        self._problems.setdefault((place.line, place.column), Problem(place.line, place.column, key, message))

    def stop(self, place: Place, key: str, message: str) -> DocumentError:
        """Add a last problem, after which reading on makes no sense; returns the error to raise."""
        self.add(place, key, message)
        return self.error()

    def error(self) -> DocumentError:
        return DocumentError(self._problems.values())


def nearest_word(word: str, known: Iterable[str]) -> str | None:
    """The known word that is most like this one, if any is."""
    found = difflib.get_close_matches(word.lower(), list(known), 1, cutoff=LIKENESS)
    return found[0] if found else None


def nearest(word: str, known: Iterable[str]) -> str:
    """``"; did you mean beds?"`` when a known word is like this one, else nothing."""
    found = nearest_word(word, known)
    return f"; did you mean {found}?" if found else ""


def show(value: object) -> str:
    """Quote a value the way the person may have written it, cut to a line's length."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        flat = " ".join(value.split())
        text = flat if len(flat) <= SHOWN_CHARACTERS else flat[: SHOWN_CHARACTERS - 3] + "..."
        return f"'{text}'"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, dict):
        return "a mapping ({key: value})"
    return str(value)[:SHOWN_CHARACTERS]


def listed(words: Iterable[str], conjunction: str = "and") -> str:
    """``a, b and c``."""
    words = list(words)
    return f"{', '.join(words[:-1])} {conjunction} {words[-1]}" if len(words) > 1 else "".join(words)
