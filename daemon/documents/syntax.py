"""What the YAML parser could not read, in words for people."""

from __future__ import annotations

from typing import Any

_MESSAGES = {
    "mapping values are not allowed in this context": (
        "this colon cannot stand here: put text that holds `: ` in quotes, and give keys that belong together the same indent"
    ),
    "did not find expected key": "a `key: value` line was expected; the keys of one block start in the same column",
    "did not find expected '-' indicator": "a list entry (`- ...`) was expected; a block is either a list or `key: value` lines",
    "did not find expected ',' or ']'": "the list opened with [ is not closed: a comma or ] is missing",
    "did not find expected ',' or '}'": "the mapping opened with { is not closed: a comma or } is missing",
    "could not find expected ':'": "a colon is missing after this key",
    "found unexpected end of stream": "the quote that opens here is never closed",
    "block sequence entries are not allowed in this context": "a list entry (`- ...`) cannot stand here; start it on its own line",
    "did not find expected <document start>": "something is left over after the end of the job",
    "found unknown escape character": "this backslash means nothing inside \"...\"; use '...' or write it twice",
    "found invalid Unicode character escape code": "this escape names no character",
    "found a tab character where an indentation space is expected": "a tab cannot indent; use spaces",
    "found a tab character that violates indentation": "a tab cannot indent; use spaces",
}
_AT_CONTEXT = ("found unexpected end of stream", "did not find expected ',' or ']'", "did not find expected ',' or '}'")
"""Said where the thing was opened, not where the file ran out."""


def explain(error: Any, text: str) -> tuple[int, int, str]:
    """Return line and column, from 1, and the message of a ``yaml.MarkedYAMLError``."""
    problem = error.problem or "not readable as YAML"
    mark = (
        error.context_mark
        if problem in _AT_CONTEXT and error.context_mark
        else error.problem_mark or error.context_mark
    )
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    if problem == "found character that cannot start any token":
        lines = text.split("\n")
        found = lines[line - 1][column - 1 : column] if line <= len(lines) else ""
        message = (
            "a tab cannot indent; use spaces"
            if found == "\t"
            else f"a value cannot start with {found or 'this'}; put it in quotes"
        )
        return line, column, message
    return line, column, _MESSAGES.get(problem, f"not readable as YAML: {problem}")
