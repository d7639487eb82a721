"""The ledger: transactions, damage, text that is no text."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

import pytest

from daemon.ledger import Ledger, LedgerError, open_readonly
from daemon.settings import Paths


@pytest.fixture
def ledger(tmp_path: Path):
    ledger = Ledger(tmp_path / "ledger.sqlite3")
    yield ledger
    ledger.close()


def count(ledger: Ledger) -> int:
    return ledger.value("SELECT count(*) FROM events")


def line(text: str) -> tuple[str, str, None, str, str]:
    return ("2026-11-21T00:00:00.000Z", "info", None, text, "{}")


@pytest.mark.parametrize(("durable", "synchronous"), [(True, 2), (False, 1)])
def test_durability_is_chosen_for_each_transaction(ledger: Ledger, durable: bool, synchronous: int) -> None:
    with ledger.transaction(durable=not durable):
        pass
    with ledger.transaction(durable=durable):
        assert ledger.value("PRAGMA synchronous") == synchronous


def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger) -> None:
    with pytest.raises(ZeroDivisionError), ledger.transaction(durable=False):
        ledger.record([line("one")])
        raise ZeroDivisionError
    assert count(ledger) == 0
    with ledger.transaction(durable=True):
        ledger.record([line("two")])
    assert count(ledger) == 1


def test_readers_see_what_is_committed_while_a_transaction_is_open(ledger: Ledger, tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path, (tmp_path,), tmp_path, tmp_path)
    with ledger.transaction(durable=False):
        ledger.record([line("one")])
        reader = open_readonly(paths)
        assert reader.execute("SELECT count(*) FROM events").fetchone()[0] == 0
    assert reader.execute("SELECT count(*) FROM events").fetchone()[0] == 1
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader.execute("DELETE FROM events")
    reader.close()


def test_a_reader_without_a_ledger_is_told_where_it_would_be(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no ledger yet"):
        open_readonly(Paths(tmp_path, tmp_path, (tmp_path,), tmp_path, tmp_path))


@pytest.mark.parametrize("damage", [b"this is no database" * 100, b"SQLite format 3\x00" + os.urandom(8000)])
def test_a_damaged_ledger_is_refused_with_what_to_do(tmp_path: Path, damage: bytes) -> None:
    (tmp_path / "ledger.sqlite3").write_bytes(damage)
    with pytest.raises(LedgerError, match=r"damaged(.|\n)*restore FOLDER(.|\n)*accepted"):
        Ledger(tmp_path / "ledger.sqlite3")
    assert (tmp_path / "ledger.sqlite3").read_bytes() == damage


def test_names_that_are_not_utf8_are_held_as_text(ledger: Ledger) -> None:
    name = os.fsdecode(b"/in/kick\xff\n.wav")
    with ledger.transaction(durable=False):
        ledger.insert("drops", path=name, identity={}, seen_at="now")
        ledger.record([line(name)])
    assert ledger.value("SELECT path FROM drops") == "/in/kick\\xff\n.wav"
    assert ledger.row("SELECT 1 FROM drops WHERE path = ?", name) is not None


def test_old_lines_are_pruned_a_bounded_number_at_a_time(ledger: Ledger) -> None:
    with ledger.transaction(durable=False):
        ledger.record([line("old")] * 30 + [("2026-12-01T00:00:00.000Z", "info", None, "new", "{}")])
        assert [ledger.prune("2026-11-30T00:00:00.000Z", limit=20) for _ in range(3)] == [20, 10, 0]
    assert count(ledger) == 1


def test_the_schema_holds_times_as_text_with_foreign_keys(ledger: Ledger) -> None:
    for table in ("steps", "runs", "attempts", "artifacts"):
        assert ledger.rows(f"PRAGMA foreign_key_list({table})"), table
    with pytest.raises(sqlite3.IntegrityError):
        ledger.insert("runs", job_id="nobody", step_id=1, ordinal=1, key="", state="queued", lane="cpu")
