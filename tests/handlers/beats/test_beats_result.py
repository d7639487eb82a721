"""The JSON and what is written about it are one."""

from __future__ import annotations

import json
from pathlib import Path

from handlers.beats.document import page
from handlers.beats.params import HANDLER
from handlers.beats.result import VERSION, schema

DOCS = Path(__file__).parents[3] / "docs"
REMEDY = "python -m handlers.beats.result > docs/beats.schema.json; python -m handlers.beats.document > docs/beats.md"


def test_the_documents_are_those_of_the_code() -> None:
    assert json.loads((DOCS / "beats.schema.json").read_text(encoding="utf-8")) == schema(), REMEDY
    assert (DOCS / "beats.md").read_text(encoding="utf-8") == page(), REMEDY


def test_every_key_is_explained_or_speaks_for_itself() -> None:
    unexplained = {
        name
        for definition in (schema(), *schema()["$defs"].values())  # type: ignore[attr-defined]
        for name, value in definition["properties"].items()
        if "description" not in value and not name.endswith(("_s", "_bpm", "_lufs", "_lu", "_dbtp", "_dbfs"))
    }
    assert unexplained == {"sample_rate", "channels", "has_beat", "bars", "character", "loudness", "curve"}


def test_the_handler_tells_results_of_one_version_from_those_of_another() -> None:
    assert HANDLER.version == str(VERSION)
