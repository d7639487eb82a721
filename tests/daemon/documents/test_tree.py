"""The guards on the text itself."""

from __future__ import annotations

import pytest

from daemon.documents.problems import DocumentError, Report
from daemon.documents.scalars import ScalarRefused, resolve
from daemon.documents.text import LARGEST_BYTES, decode
from daemon.documents.tree import DEEPEST, MOST_NODES, parse


def plain(text: str) -> object:
    report = Report()
    value = parse(text, report).plain()
    assert not report
    return value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("Off", "Off"), ("y", "y"), ("12:30", "12:30"), ("1:30", "1:30"),
        ("12:30:45", "12:30:45"), ("2026-11-21", "2026-11-21"), ("1_000", "1_000"), ("0b11", "0b11"), ("=", "="), ("true", True), ("False", False), ("tRUE", "tRUE"),
        ("null", None), ("~", None), ("", None), ("010", 10), ("0o17", 15), ("0x1F", 31), ("+7", 7), ("-14", -14), (".5", 0.5), ("5.", 5.0),
        ("1e3", 1000.0), ("1.5E-2", 0.015), ("-", "-"), (".", "."), ("5s", "5s"), ("-14 LUFS", "-14 LUFS"),
        ("9223372036854775807", 2**63 - 1),
    ],
)  # fmt: skip
def test_plain_words_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    assert resolve(text) == value
    assert type(resolve(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [".inf", "-.INF", ".nan", "1e999", "9223372036854775808", "9" * 200_000, "0x" + "f" * 5000, "1." + "0" * 9000],
)
def test_numbers_nobody_can_mean_are_refused(text: str) -> None:
    with pytest.raises(ScalarRefused):
        resolve(text)


def test_quoted_words_stay_text() -> None:
    assert plain("a: '5'\nb: \"true\"\nc: |\n  1\n") == {"a": "5", "b": "true", "c": "1\n"}


def test_keys_are_always_text() -> None:
    assert plain("no: 1\n5: 2\ntrue: 3") == {"no": 1, "5": 2, "true": 3}


def test_a_node_knows_the_line_and_column_of_its_key() -> None:
    tree = parse("a:\n  - x\n  - b: |\n      long\n", Report())
    item, way = tree.find(("a", 1, "b"))
    assert (item.line, item.column, way) == (3, 5, "a.2.b")
    assert (tree.find(("a", 0))[0].line, tree.find(("a", 0))[0].column) == (2, 5)


@pytest.mark.parametrize("opening", ["[", "- ", "{a: ", "? "])
def test_depth_is_bounded_whatever_the_size(opening: str) -> None:
    with pytest.raises(DocumentError) as caught:
        parse(opening * (LARGEST_BYTES // len(opening)), Report())
    assert len(caught.value.problems) == 1


def test_twenty_levels_are_allowed_and_no_more() -> None:
    assert plain("[" * DEEPEST + "]" * DEEPEST)
    with pytest.raises(DocumentError, match=r"^line 1: nested more than 20 deep$"):
        parse("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1), Report())


def test_the_number_of_values_is_bounded() -> None:
    assert len(plain("[" + "1," * (MOST_NODES - 1) + "]")) == MOST_NODES - 1
    with pytest.raises(DocumentError, match="line 1: more than 5,000 values in one file; split the job"):
        parse("[" + "1," * MOST_NODES + "]", Report())


def test_a_file_has_at_most_64_kib() -> None:
    assert len(decode(b"#" * LARGEST_BYTES)) == LARGEST_BYTES
    with pytest.raises(DocumentError, match="line 1: the file is 65,537 bytes; a job file has at most 65,536"):
        decode(b"#" * (LARGEST_BYTES + 1))


def test_what_is_not_utf_8_is_named_by_its_byte() -> None:
    with pytest.raises(DocumentError) as caught:
        decode("a: ä\nb: ".encode() + b"\xe9")
    assert str(caught.value) == "line 2: not UTF-8 at byte 9 (0xE9); save the file as UTF-8"
    assert caught.value.problems[0].column == 4


def test_utf_16_is_recognised() -> None:
    with pytest.raises(DocumentError, match="looks like UTF-16; save it as UTF-8"):
        decode("do: x".encode("utf-16"))


def test_a_byte_order_mark_is_no_part_of_the_text() -> None:
    assert decode(b"\xef\xbb\xbfdo: x") == "do: x"


@pytest.mark.parametrize("character", "\x00\x07\x1b\x7f\x85\x9b\u2028\u200b\u200e\u202e\u2066\ufeff\uffff")
def test_characters_that_a_person_cannot_see_are_refused(character: str) -> None:
    with pytest.raises(DocumentError, match=f"line 2: .*U\\+{ord(character):04X}.*; remove it") as caught:
        decode(f"a: 1\nb: x{character}y".encode())
    assert (caught.value.problems[0].line, caught.value.problems[0].column) == (2, 5)


@pytest.mark.parametrize("escape", ["\\0", "\\e", "\\u202E", "\\x1b", "\\N"])
def test_escapes_smuggle_nothing_in(escape: str) -> None:
    report = Report()
    parse(f'a:\n  b: "x{escape}"', report)
    assert str(report.error()).startswith("line 2, a.b: the ")


def test_tabs_and_line_ends_are_text() -> None:
    assert plain("a: |\n  x\ty\n  z\r\n") == {"a": "x\ty\nz\n"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: &x 1", "line 1, a: anchors (&x) are not allowed; write the value where it is used"),
        ("b:\n  - *x", "line 2, b.1: aliases (*x) are not allowed; write the value out"),
        (
            "a: !!python/object:os.system x",
            "line 1, a: tags (!!python/object:os.system) are not allowed; put text in quotes",
        ),
        ("a: ! x", "line 1, a: tags (!) are not allowed; put text in quotes"),
        ("a: !!map {}", "line 1, a: tags (!!map) are not allowed; put text in quotes"),
        ("&k a: 1", "line 1: anchors (&k) are not allowed; write the value where it is used"),
        ("<<: {a: 1}", "line 1, <<: merge keys (<<) are not allowed; write the keys out"),
        ("s:\n  a: 1\n  b: 2\n  a: 3", "line 4, s.a: this key is already there, in line 2; keep one of the two"),
        ("a: .inf", "line 1, a: .inf is not a number that can be used here"),
        (": 1", "line 1: a `key: value` line was expected; the keys of one block start in the same column"),
        ('"": 1', "line 1: a key is missing before the colon"),
        ("? [a]\n: 1", "line 1: a key must be a plain word, not a list or a mapping"),
        ("a: 1\n---\nb: 2", "line 2: a second document starts here; one file is one job"),
        ("", "line 1: the file is empty; a job starts with `do: stems` or `steps:`"),
        ("# nothing\n", "line 1: the file is empty; a job starts with `do: stems` or `steps:`"),
        ("a: [1,\nb: 2", "line 1: the list opened with [ is not closed: a comma or ] is missing"),
        ("x: 1\na: {b: 1\n", "line 2: the mapping opened with { is not closed: a comma or } is missing"),
        ('x: 1\na: "b\n', "line 2: the quote that opens here is never closed"),
        ("a:\n\tb: 1", "line 2: a tab cannot indent; use spaces"),
        ("a: @b", "line 1: a value cannot start with @; put it in quotes"),
        (
            "a: b: c",
            "line 1: this colon cannot stand here: put text that holds `: ` in quotes, and give keys that belong together the same indent",
        ),
        ("{a: 1}}", "line 1: something is left over after the end of the job"),
        ("- a\nb: 1", "line 2: a list entry (`- ...`) was expected; a block is either a list or `key: value` lines"),
    ],
)
def test_what_is_refused_is_said_in_plain_words(text: str, said: str) -> None:
    report = Report()
    try:
        parse(text, report)
    except DocumentError as error:
        assert str(error) == said
    else:
        assert str(report.error()) == said


def test_a_bomb_of_aliases_stays_small() -> None:
    text = "a: &a [x,x]\n" + "".join(
        f"{chr(98 + i)}: &{chr(98 + i)} [*{chr(97 + i)},*{chr(97 + i)}]\n" for i in range(20)
    )
    report = Report()
    tree = parse(text, report)
    assert len(str(tree.plain())) < 1000
    assert len(report.error().problems) == 21 + 40  # anchors and aliases


def test_two_things_wrong_at_one_place_are_said_once() -> None:
    report = Report()
    parse("a: &x !!str 1", report)
    assert len(report.error().problems) == 1
