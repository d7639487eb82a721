"""What `report.md` promises: it says everything the manifest does, and a Markdown renderer shows text as text."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from daemon.pages import write
from daemon.pages.formats import one_line, visible
from daemon.pages.markdown import code, escape, fenced, table

Made = tuple[Path, dict[str, Any]]
RENDERER = MarkdownIt("gfm-like", {"linkify": False})
TEXTS = st.text(st.one_of(st.sampled_from(list("\\`*_[]<>|~&$#+-=!.:@1)( \n\t\x1b\u202e")), st.characters()), max_size=40)


def tokens_of(text: str) -> list[Token]:
    flat = []
    for token in RENDERER.parse(text):
        flat += [token, *(token.children or [])]
    return flat


def shown(text: str) -> str:
    """What a reader sees of one paragraph or cell."""
    return "".join(token.content for token in tokens_of(text) if token.type in ("text", "code_inline"))


def report_of(made: Made) -> str:
    folder, manifest = made
    write(folder, manifest)
    return (folder / "report.md").read_text(encoding="utf-8")


@given(TEXTS)
def test_escaped_text_is_shown_as_it_is_at_the_start_of_a_line(text: str) -> None:
    assert shown(escape(text)) == one_line(text)


@pytest.mark.parametrize(
    "text",
    [
        "`a`",
        "``a``",
        "*a*",
        "_a_",
        "__a__",
        "a_b_c",
        "[a](b)",
        "![a](b)",
        "<b>",
        "<!-- a -->",
        "a | b",
        "~~a~~",
        "&lt;",
        "\\*",
        "# a",
        "a #",
        "- a",
        "+ a",
        "1. a",
        "1) a",
        "> a",
        "===",
        "---",
        "```",
        "    a",
        "a\\",
        "http://a.example",
        "www.a.example",
        "a@b.example",
        "$a$",
        "a\n\nb",
    ],
)
def test_no_sign_of_markdown_means_anything_in_a_text(text: str) -> None:
    assert shown(escape(text)) == one_line(text)
    assert {token.type for token in tokens_of(escape(text))} <= {"paragraph_open", "paragraph_close", "inline", "text"}


@given(TEXTS)
def test_escaped_text_is_shown_as_it_is_in_a_table(text: str) -> None:
    rendered = tokens_of(table(("a", "b"), [("x", f"x{escape(text)}x")]))
    assert [token.content for token in rendered if token.type == "inline"][3:] == [f"x{escape(text)}x".replace("\\|", "|")]
    assert not {token.type for token in rendered} & {"html_inline", "html_block", "link_open", "image", "em_open", "strong_open"}


@given(TEXTS)
def test_code_is_shown_as_it_is_in_a_table(text: str) -> None:
    rendered = tokens_of(table(("a", "b"), [("x", code(text))]))
    assert "".join(token.content for token in rendered if token.type == "code_inline") == one_line(text)


@given(TEXTS)
def test_no_text_ends_its_own_code_block(text: str) -> None:
    (fence,) = tokens_of(fenced(text, "yaml"))
    assert fence.type == "fence" and fence.content.rstrip("\n") == visible(text).rstrip("\n").replace("\r", "\n")


def test_report_of_hostile_texts_holds_no_markup_of_theirs(hostile: Made) -> None:
    rendered = tokens_of(report_of(hostile))
    assert not [token for token in rendered if token.type.startswith("html")]
    links = [token.attrs["href"] for token in rendered if token.type == "link_open"]
    assert links and all((hostile[0] / unquote(str(link))).is_file() for link in links)
    headings = [token.content for token, before in zip(rendered[1:], rendered, strict=False) if before.type == "heading_open"]
    assert "heading - list" not in headings and "heading" not in headings


def test_every_file_is_listed_with_its_size_in_bytes(demo: Made) -> None:
    folder, manifest = demo
    report = report_of(demo)
    for step in manifest["steps"]:
        for item in step["items"]:
            for file in item["files"]:
                assert f"[{file['name']}]({file['name']})" in report
                assert f"{(folder / file['name']).stat().st_size:,}" in report


def test_measurements_prompts_parameters_warnings_and_licence_are_there(demo: Made) -> None:
    report = report_of(demo)
    for words in (
        "−14.0 LUFS",
        "−1.2 dBTP",
        "128.0 BPM",
        "A minor",
        "0:05.0",
        "cold hangar, chains, distant machines",
        "`industrial/bed`",
        "crossfade shortened to 0.5 s",
        "CC0-1.0",
        "4.5 s",
        "182.0 MB",
        "0:02.0 transitions/1",
    ):
        assert words in report


def test_prompt_that_all_items_share_is_said_once(demo: Made) -> None:
    prompt = "cold hangar, chains, distant machines"
    assert report_of(demo).partition("### beds")[2].partition("### transitions")[0].count(prompt) == 1
    demo[1]["steps"][0]["items"][1]["facts"]["prompt"] = "warm hall"
    beds = report_of(demo).partition("### beds")[2].partition("### transitions")[0]
    assert beds.count(prompt) == 2 and "warm hall" in beds


def test_command_that_repeats_names_the_published_job_file(demo: Made) -> None:
    assert "\n./drophammer submit outbox/20261121-020315-industrial-set-0042/job.yaml\n" in report_of(demo)


def test_drawn_seed_is_written_into_what_repeats(demo: Made, changed: Callable[..., dict[str, Any]]) -> None:
    folder, manifest = demo
    report = report_of((folder, changed(manifest, document="do: stems\nstyle: industrial/bed\n", seed=99)))
    assert "99 (drawn: the job file named none)" in report
    assert "(echo 'seed: 99'; cat outbox/20261121-020315-industrial-set-0042/job.yaml) > industrial-set.yaml" in report
    assert "```yaml\nseed: 99\ndo: stems\n" in report


def test_procedural_and_failures_are_said_where_the_manifest_says_so(demo: Made, changed: Callable[..., dict[str, Any]]) -> None:
    folder, manifest = demo
    assert not re.search("PROCEDURAL|failures:", report_of(demo))
    said = report_of((folder, changed(manifest, procedural=True, failures=3)))
    assert "**PROCEDURAL**" in said and "failures: 3" in said


def test_job_without_items_has_a_report(empty: Made) -> None:
    assert "Nothing was made." in report_of(empty)
