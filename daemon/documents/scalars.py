"""What a plain word means: the core schema of YAML 1.2 (section 10.3.2), with numbers bounded.

`no`, `yes`, `on` are text, and so are `12:30` and `2026-11-21`; only `true`, `false`, `null` and numbers are not.
"""

from __future__ import annotations

import math
import re

LARGEST_INTEGER = 2**63 - 1
"""What SQLite and JSON readers hold without loss of kind."""

_WORDS = {
    "": None, "~": None, "null": None, "Null": None, "NULL": None,
    "true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False,
}  # fmt: skip
_INTEGER = re.compile(r"[-+]?[0-9]+", re.ASCII)
_BASED = re.compile(r"0o([0-7]+)|0x([0-9a-fA-F]+)", re.ASCII)
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?", re.ASCII)
_ENDLESS = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", re.ASCII)
_LONGEST_NUMBER = 400
"""Characters; Python itself refuses to convert integers of more than 4,300 digits."""

Scalar = str | int | float | bool | None


class ScalarRefused(ValueError):
    """A plain word that is a number nobody can mean."""


def resolve(text: str) -> Scalar:
    """Turn a plain (unquoted) scalar into what it means.

    Raises
    ------
    ScalarRefused
        For infinity, not-a-number, and numbers out of range.
    """
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in "0123456789+-.":
        return text
    if _INTEGER.fullmatch(text):
        return _integer(text, 10)
    if based := _BASED.fullmatch(text):
        return _integer(based[1] or based[2], 8 if based[1] else 16)
    if _FLOAT.fullmatch(text):
        number = float(text) if len(text) <= _LONGEST_NUMBER else math.inf
        if not math.isfinite(number):
            raise ScalarRefused("the number is too large")
        return number
    if _ENDLESS.fullmatch(text):
        raise ScalarRefused(f"{text} is not a number that can be used here")
    return text


def _integer(digits: str, base: int) -> int:
    if len(digits) > _LONGEST_NUMBER or abs(number := int(digits, base)) > LARGEST_INTEGER:
        raise ScalarRefused("the number is too large")
    return number
