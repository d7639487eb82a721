"""What a command may end with: one line for the person, and an exit code.

Exit codes: 0 done, 1 the answer is no (a job failed, a file has problems), 2 the question could not be answered.
"""

from __future__ import annotations

import sys

NO = 1
UNANSWERED = 2


class CommandError(Exception):
    """The command ends here; the message says what, which value and what to do next."""

    def __init__(self, message: str, code: int = UNANSWERED) -> None:
        super().__init__(message)
        self.code = code


EXPECTED = (
    ("daemon.settings", "SettingsError"),
    ("daemon.ledger", "LedgerError"),
    ("daemon.control", "ControlError"),
    ("daemon.documents", "DocumentError"),
    ("handlers.contract", "HandlerError"),
)
"""Errors that speak to people already. Looked up by name: none of these modules is imported only to be caught."""


def exit_code(error: Exception) -> int | None:
    """The exit code of an error that people can be told in a line; None when it is a bug and deserves its traceback."""
    if isinstance(error, CommandError):
        return error.code
    for module, name in EXPECTED:
        if module in sys.modules and isinstance(error, getattr(sys.modules[module], name, ())):
            return NO if name in ("DocumentError", "HandlerError") else UNANSWERED
    if isinstance(error, OSError) and error.filename is not None:
        return UNANSWERED
    return None


def sentence(error: Exception) -> str:
    """The error in words."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return str(error)
