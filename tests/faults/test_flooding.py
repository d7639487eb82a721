"""Too much at once: endless output, thousands of files, a crowd of clients."""

from __future__ import annotations

import os
import time

from tests.conftest import eventually
from tests.faults.conftest import BreakableHouse, published_once

FILES = 3000
STOPPED, AT_ONCE = 20_000, 10_000


def test_endless_output_neither_fills_the_ledger_nor_holds_others_up(running: BreakableHouse) -> None:
    running.drop("flood.yaml", {"do": "probe", "end": "flood", "timeout": "4s"})
    eventually(running.worker, "it floods")
    for number in range(10):
        running.drop(f"other-{number}.yaml", {"do": "wreck"})
    eventually(lambda: running.count() == 10, "the others are done meanwhile")
    assert running.job("flood")["state"] == "running", "the flood went on all the time"
    job = running.ended("flood", "failed")
    assert "did not finish within 4 s" in job["reason"]
    kept = running.rows("SELECT count(*) FROM events WHERE event LIKE 'endless output%'")[0][0]
    assert 0 < kept <= 200 * 8
    assert running.rows("SELECT 1 FROM events WHERE event LIKE '% more lines were not kept'")


def test_thousands_of_files_dropped_while_stopped_and_while_running_are_all_done_once(house: BreakableHouse) -> None:
    house.configure(lanes={"cpu": {"workers": 2}})
    content = "do: wreck\n"
    house.inbox.mkdir(exist_ok=True)
    for number in range(FILES // 2):
        (house.inbox / f"stopped-{number}.yaml").write_text(content)
    house.start()
    for number in range(FILES // 2):
        house.drop(f"running-{number}.yaml", content)
    began = time.monotonic()
    assert house.ask("ping")["ok"]
    eventually(lambda: house.count() == FILES, "all are done", 180)
    names = [row["name"] for row in house.rows("SELECT name FROM jobs")]
    assert len(names) == len(set(names)) == FILES
    assert house.rows("SELECT count(*) FROM attempts")[0][0] == FILES
    eventually(lambda: not os.listdir(house.outbox / ".staging"), "staging is cleared")
    assert published_once(house) == []
    print(f"{FILES} jobs in {time.monotonic() - began:.1f} s")


def test_more_files_than_the_kernel_can_tell_of_are_all_accepted_once(house: BreakableHouse) -> None:
    """20,000 while the daemon is stopped, and 10,000 into its face: the kernel's queue holds 16,384 events."""
    house.start()
    house.ask("pause")
    house.stop()
    for number in range(STOPPED):
        (house.inbox / f"stopped-{number}.yaml").write_text("do: wreck\n")
    aside = house.home / "aside"
    aside.mkdir()
    for number in range(AT_ONCE):
        (aside / f"running-{number}.yaml").write_text("do: wreck\n")
    began = time.monotonic()
    house.start(patience_s=300)
    for number in range(AT_ONCE):
        os.rename(aside / f"running-{number}.yaml", house.inbox / f"running-{number}.yaml")
    eventually(lambda: house.rows("SELECT count(*) FROM jobs")[0][0] >= STOPPED + AT_ONCE, "all are accepted", 300)
    print(f"{STOPPED + AT_ONCE} accepted in {time.monotonic() - began:.1f} s")
    eventually(lambda: len(os.listdir(house.inbox / "accepted")) == STOPPED + AT_ONCE, "all are set aside")
    assert house.rows("SELECT count(*), count(DISTINCT name) FROM jobs")[0][:] == (STOPPED + AT_ONCE,) * 2
    assert not [name for name in os.listdir(house.inbox) if name.endswith(".yaml")]
    assert house.rows("SELECT count(*) FROM rejections")[0][0] == 0
    assert "queued" in house.drophammer("list", "--limit", "1")
