"""The table that every stem is measured against before it is delivered. Light: no audio libraries.

A row has a name, a measure and a limit. `fatal` rows fail a take whatever `accept:` says: there is nothing to deliver.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Rule:
    """One row of the table."""

    name: str
    says: str
    """What it measures, in words."""
    most: float
    """The limit: a measure above it fails."""
    unit: str
    fatal: bool = False


RULES = (
    Rule("not_a_number", "samples that are NaN or infinite", 0, "samples", fatal=True),
    Rule("silence", "level that even the loudest sample does not reach, under full scale", 60, "dB", fatal=True),
    Rule("length", "samples more or fewer than asked for", 0, "samples", fatal=True),
    Rule("gap", "longest stretch under -60 dBFS (RMS of 10 ms)", 0.5, "s"),
    Rule("true_peak", "true peak (ITU-R BS.1770-4)", -0.3, "dBTP"),
    Rule("dc", "mean of the worst channel", -50, "dBFS"),
    Rule("clipping", "flat tops: 4 or more equal samples at a channel's peak, as the model made them", 0, "runs"),
    Rule("drift", "change of the loudest moments from the first to the last third", 6, "LU"),
    Rule("tempo", "error of the measured tempo, where one was asked for and kept by `snap: bars`", 0.5, "%"),
    Rule("seam", "faults of the seam, where `loop: true`", 0, "faults"),
)
BY_NAME = {rule.name: rule for rule in RULES}


@dataclass(frozen=True)
class Verdict:
    """What the table says about one take."""

    measured: Mapping[str, float]
    """By the row's name; a row that does not apply is not there."""

    @property
    def failed(self) -> tuple[Rule, ...]:
        """The rows out of bounds, in the table's order; a measure that is NaN is out of bounds."""
        return tuple(BY_NAME[name] for name, value in self.measured.items() if not value <= BY_NAME[name].most)

    @property
    def passed(self) -> bool:
        """Whether every row holds."""
        return not self.failed

    @property
    def deliverable(self) -> bool:
        """Whether no fatal row failed."""
        return not any(rule.fatal for rule in self.failed)

    @property
    def rank(self) -> tuple[bool, int, float]:
        """For choosing the best of takes that failed: lower is better. Each excess counts in parts of its limit."""
        excess = sum((self.measured[rule.name] - rule.most) / (abs(rule.most) or 1.0) for rule in self.failed)
        return not self.deliverable, len(self.failed), excess

    def sentences(self) -> list[str]:
        """Each failure with its value and limit, for people."""
        return [
            f"{rule.name}: {_number(self.measured[rule.name])} {rule.unit}, at most {rule.most:g} ({rule.says})"
            for rule in self.failed
        ]

    def facts(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "passed": self.passed,
            "failed": [rule.name for rule in self.failed],
            "measured": {name: _json(value) for name, value in self.measured.items()},
        }


def judge(measured: Mapping[str, float | None]) -> Verdict:
    """Hold measures against the table; `None` stands for a row that does not apply.

    Raises
    ------
    KeyError
        For a name that the table does not have.
    """
    return Verdict({rule.name: measured[rule.name] for rule in _rows(measured) if measured[rule.name] is not None})


def _rows(measured: Mapping[str, float | None]) -> Sequence[Rule]:
    if unknown := set(measured) - set(BY_NAME):
        raise KeyError(f"no row {sorted(unknown)[0]!r} in the table")
    return [rule for rule in RULES if rule.name in measured]


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else str(value)


def _json(value: float) -> float | None:
    """JSON has no infinity."""
    return round(value, 4) if math.isfinite(value) else None
