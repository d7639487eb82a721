"""docs/reference.md is what the code says."""

from __future__ import annotations

from pathlib import Path

from daemon.documents.grammar import JOB_KEYS, STEP_KEYS
from daemon.reference import reference, render
from daemon.schema import shipped
from tests.daemon.documents.orchestra import ORCHESTRA

CHECKOUT = Path(__file__).resolve().parents[2]


def test_the_page_is_what_the_code_says() -> None:
    assert (CHECKOUT / "docs" / "reference.md").read_text(encoding="utf-8") == render(), (
        "run: python -m daemon.reference > docs/reference.md"
    )


def test_every_key_has_a_line() -> None:
    page = render()
    for handler in shipped().values():
        assert f"### `do: {handler.name}`" in page
        for key in handler.params.model_fields:
            assert f"| `{key}` |" in page
    for key in (*JOB_KEYS, *STEP_KEYS):
        assert f"| `{key}` |" in page


def test_a_line_gives_value_default_and_meaning() -> None:
    lines = reference(ORCHESTRA, "").splitlines()
    assert "| `style` | text | required | What it sounds like, such as `industrial/bed`. |" in lines
    assert "| `duration` | time, 1 to 600 s | `30` |  |" in lines
    assert "| `count` | whole number, 1 to 8 | `1` |  |" in lines
    assert "| `loud` | `true` or `false` | `false` |  |" in lines
    assert "| `input` | reference | required | What is looked at. |" in lines
    assert "| `order` | list of references, 1 to 20 | required |  |" in lines
    assert "| `formats[].mp3.kbps` | whole number, at least 32 | `192` |  |" in lines
    assert "| `join.seconds` | time above 0 s | `1` |  |" in lines


def test_the_words_in_a_cell_do_not_break_the_table() -> None:
    for line in render().splitlines():
        if line.startswith("| `"):
            assert line.replace("\\|", "").count("|") in (3, 5)
