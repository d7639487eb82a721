"""After four hundred jobs the daemon is as large as after the first hundred, old log lines go while jobs run, workers are renewed."""

from __future__ import annotations

import os
import sqlite3

import pytest

from tests.conftest import eventually
from tests.faults.conftest import BreakableHouse, published_once
from tests.faults.torture import Size

BATCH = 100
GROWS_AT_MOST_MIB = 4.0
"""Between the second batch and the last; freed memory is not given back to the system at once."""
OLD_LINES = 12_000


def work(house: BreakableHouse, name: str) -> None:
    before = house.count()
    for number in range(BATCH):
        house.drop(f"{name}-{number}.yaml", "do: wreck\nitems: 2\n")
    eventually(lambda: house.count() == before + BATCH, f"{name} is done", 120)
    eventually(lambda: not os.listdir(house.outbox / ".staging"), "staging is cleared")


def test_nothing_grows_while_old_lines_go_and_workers_are_renewed(
    house: BreakableHouse, capsys: pytest.CaptureFixture[str]
) -> None:
    house.configure(lanes={"cpu": {"workers": 1, "idle_unload": "1s"}}, retention={"events": "1d"})
    house.start()
    house.stop()
    with sqlite3.connect(house.state / "ledger.sqlite3") as ledger:
        line = ("2026-01-01T00:00:00.000Z", "info", None, "an old line", "{}")
        ledger.executemany(
            "INSERT INTO events (at, level, job_id, event, facts) VALUES (?, ?, ?, ?, ?)", [line] * OLD_LINES
        )
    ledger.close()
    house.start()
    sizes, workers = [], set()
    for name in ("first", "second", "third", "fourth"):
        work(house, name)
        workers |= {row[0] for row in house.rows("SELECT DISTINCT worker_pid FROM attempts")}
        eventually(lambda: not house.ask("status")["lanes"]["cpu"]["workers"], "the idle worker has left")
        sizes.append(Size.of(house))
    print(*sizes, sep="\n")
    second, last = sizes[1], sizes[-1]
    assert last.rss_mib - second.rss_mib < GROWS_AT_MOST_MIB, sizes

    def is_back() -> bool:  # The answer to the last question may still be on its way.
        now = Size.of(house)
        return now.descriptors <= second.descriptors and now.threads <= second.threads

    eventually(is_back, f"descriptors and threads are as few as before: {sizes}")
    # SQLite keeps the write-ahead log at the size of its longest transaction; it is used again from its beginning.
    assert last.write_ahead_kib < 16 * 1024, sizes
    assert len(workers) >= 4, "each batch met a new worker"
    eventually(lambda: not house.rows("SELECT 1 FROM events WHERE event = 'an old line'"), "old lines have gone")
    assert "old log lines removed" in house.output()
    assert house.rows("SELECT count(*) FROM events WHERE event = 'done'")[0][0] == 4 * BATCH, "and no others"
    assert published_once(house) == []
