"""The ledger: one SQLite file, one writer. What it holds survives; everything else can be derived from it again.

Durability is chosen per transaction: `durable=True` flushes the write-ahead log to the disk (survives power loss),
`durable=False` leaves that to a later one (survives any kill). Reading commands open it read-only, at any time.
"""

from __future__ import annotations

import json
import os
import re
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from daemon.settings import Paths

BUSY_TIMEOUT_S = 10.0
"""How long another program may hold the file before a transaction gives up."""
_HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")
"""Surrogates that do not stand for a byte."""


class LedgerError(Exception):
    """The ledger cannot be used; the message says what to do."""


def open_readonly(paths: Paths) -> sqlite3.Connection:
    """Open the ledger for reading, with the daemon up or down. Rows answer to names.

    Raises
    ------
    LedgerError
        When there is none yet.
    """
    if not paths.ledger.exists():
        raise LedgerError(f"{paths.ledger}: no ledger yet; it is made when the daemon first starts (./drophammer run)")
    connection = sqlite3.connect(f"{paths.ledger.as_uri()}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S)
    connection.row_factory = sqlite3.Row
    return connection


class Ledger:
    """The one writing connection. Used by the main thread only."""

    def __init__(self, path: Path) -> None:
        from sqlite_utils import Database

        from daemon.migrations import migrations

        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, cached_statements=256)
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA foreign_keys = ON")
            damage = [row[0] for row in connection.execute("PRAGMA quick_check(5)") if row[0] != "ok"]
        except sqlite3.OperationalError as error:
            raise LedgerError(
                f"{path}: the ledger cannot be used now: {error}. Does another program hold it, is the disk full? "
                "Nothing is wrong with what it holds; start again once that is over."
            ) from None
        except sqlite3.DatabaseError as error:
            damage = [str(error)]
        if damage:
            raise LedgerError(
                f"{path}: the ledger is damaged ({'; '.join(damage)}). With a backup: ./drophammer restore FOLDER. Without one: "
                "./drophammer restore --without rebuilds what was published from the outbox; then drop the job files of "
                "inbox/accepted/ again that have no folder there."
            )
        self.path = path
        self.file = os.stat(path).st_ino
        self.connection = connection
        self._synchronous = ""
        self.database = Database(connection)
        migrations.apply(self.database)

    @contextmanager
    def transaction(self, *, durable: bool) -> Iterator[None]:
        """Commit everything done inside, or nothing of it."""
        synchronous = "FULL" if durable else "NORMAL"
        if synchronous != self._synchronous:
            self.connection.execute(f"PRAGMA synchronous = {synchronous}")
            self._synchronous = synchronous
        # IMMEDIATE: take the write lock now, within the busy timeout, and not in the middle of the work.
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise
        try:
            self.connection.execute("COMMIT")
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            raise

    def rows(self, query: str, *values: Any) -> list[sqlite3.Row]:
        return self.connection.execute(query, [*map(_plain, values)]).fetchall()

    def row(self, query: str, *values: Any) -> sqlite3.Row | None:
        return self.connection.execute(query, [*map(_plain, values)]).fetchone()

    def value(self, query: str, *values: Any) -> Any:
        row = self.row(query, *values)
        return None if row is None else row[0]

    def insert(self, table: str, *, replace: bool = False, **columns: Any) -> int:
        """Insert one row; lists and dictionaries become JSON. Returns its rowid."""
        names = ", ".join(columns)
        marks = ", ".join("?" * len(columns))
        verb = "INSERT OR REPLACE" if replace else "INSERT"
        cursor = self.connection.execute(
            f"{verb} INTO {table} ({names}) VALUES ({marks})", [*map(_plain, columns.values())]
        )
        return cursor.lastrowid or 0

    def update(self, table: str, key: int | str, **columns: Any) -> None:
        """Change columns of the row whose `id` is `key`."""
        changes = ", ".join(f"{name} = ?" for name in columns)
        self.connection.execute(f"UPDATE {table} SET {changes} WHERE id = ?", [*map(_plain, columns.values()), key])

    def record(self, rows: Sequence[tuple[Any, ...]]) -> None:
        """Write log lines: at, level, job_id, event, facts."""
        sound = [(at, level, job_id, sound_text(event), facts) for at, level, job_id, event, facts in rows]
        self.connection.executemany(
            "INSERT INTO events (at, level, job_id, event, facts) VALUES (?, ?, ?, ?, ?)", sound
        )

    def prune(self, before: str, limit: int = 5000) -> int:
        """Remove log lines older than `before` (ISO), a bounded number at a time; returns how many went."""
        return self.connection.execute(
            "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE at < ? ORDER BY at LIMIT ?)", (before, limit)
        ).rowcount

    def is_in_place(self) -> bool:
        """Whether the file that is written to still has its name: a deleted file can be written to, and is lost at the end."""
        try:
            return os.stat(self.path).st_ino == self.file
        except OSError:
            return False

    def write_back(self, now: str) -> Path:
        """Write everything into a new file in place of one that was deleted; beside it, where another has its name."""
        part, target = self.path.with_name(".ledger.part"), self.path
        part.unlink(missing_ok=True)
        with closing(sqlite3.connect(part)) as copy:
            self.connection.backup(copy)
        if target.exists():
            target = target.with_name(f"ledger-{now.translate({ord(c): None for c in ':-.'})}.sqlite3")
        else:
            for suffix in ("-wal", "-shm"):  # Of the deleted file: they must not be read into the new one.
                target.with_name(target.name + suffix).unlink(missing_ok=True)
        part.rename(target)
        return target

    def close(self) -> None:
        self.connection.close()


def _plain(value: Any) -> Any:
    if isinstance(value, list | dict | tuple):
        return json.dumps(value)
    if isinstance(value, str | Path):
        return sound_text(str(value))
    return value


def sound_text(text: str) -> str:
    """Text that any database and terminal can hold: bytes of a file name that are not UTF-8 are shown as ``\\xff``.

    Halves of letters that JSON can name alone, and no file name holds, are shown as ``\\ud800``.
    """
    if text.isascii():
        return text
    text = _HALF.sub(lambda half: f"\\u{ord(half[0]):04x}", text)
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def unpack(rows: Iterable[sqlite3.Row], *columns: str) -> list[dict[str, Any]]:
    """Rows as dictionaries with the named JSON columns parsed."""
    return [
        {name: json.loads(row[name]) if name in columns and row[name] is not None else row[name] for name in row.keys()}  # noqa: SIM118
        for row in rows
    ]
