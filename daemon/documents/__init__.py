"""Job files: YAML text to a typed :class:`Document`, with every guard, and all problems of a file at once."""

from __future__ import annotations

from daemon.documents import references
from daemon.documents.model import Deliver, Document, ForEach, Step, json_of
from daemon.documents.outlook import HandlerFault, estimates, unused
from daemon.documents.problems import DocumentError, Problem
from daemon.documents.reading import read
from daemon.documents.references import nearest_file

__all__ = [
    "Deliver",
    "Document",
    "DocumentError",
    "ForEach",
    "HandlerFault",
    "Problem",
    "Step",
    "estimates",
    "json_of",
    "nearest_file",
    "read",
    "references",
    "unused",
]
