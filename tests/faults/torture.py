"""Striking a working daemon at named points and at random times, and counting what came of every job dropped.

The points are seen from outside, in the ledger and in the folders; nothing in the daemon knows of them. As a program
(`make torture ROUNDS=200 SEED=7`, or `HOURS=1`) it goes on as long as asked and prints an account.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import eventually
from tests.faults.conftest import BreakableHouse, alive, published_once

POINTS = (
    "a job is accepted", "its file is moved", "an attempt runs", "an item is finished", "a folder is assembled",
    "a job is publishing", "a job is published", "random",
)  # fmt: skip
VICTIMS = ("daemon", "daemon", "worker", "both")
CRASHES_SPARED = 2
"""A run whose worker died three times is quarantined: a worker is not killed that works on one which lost two."""
POINT_COMES_WITHIN_S = 1.5

Item = tuple[str, str, str, int]
"""Job, step, what it goes over, item."""


@dataclass
class Torture:
    """One installation, one seed, any number of rounds."""

    house: BreakableHouse
    seed: int
    dropped: list[str] = field(default_factory=list)
    strikes: Counter[str] = field(default_factory=Counter)
    finished: dict[Item, int] = field(default_factory=dict)
    """Items whose row was there when something was killed, and how often they had been made by then."""

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.made = self.house.home / "made"
        self.gate = self.house.home / "gate"

    # --- load ---

    def drop(self) -> None:
        """One job of each kind that can break in its own way."""
        number = len(self.dropped)
        item = {"do": "wreck", "seconds": 0.04, "made": str(self.made)}
        jobs: dict[str, dict[str, Any]] = {
            "single": {**item, "items": 3},
            "chain": {"steps": {
                "first": {**item, "items": 2}, "second": {**item, "input": ["first/2"]}, "third": {**item, "input": ["second", "first"]},
            }},
            "keeping": {**item, "items": 4, "fails_until": str(self.gate), "retries": 10},
            "each": {"steps": {
                "sources": {**item, "items": 3}, "mine": {**item, "input": ["each"], "for_each": {"in": "sources"}, "min_success": 3},
                "gather": {**item, "input": ["mine"]},
            }},
        }  # fmt: skip
        for kind, document in jobs.items():
            name = f"{kind}-{number}"
            self.house.drop(f"{name}.yaml", document)
            self.dropped.append(name)

    # --- rounds ---

    def round(self, point: str, victim: str) -> None:
        """Drop, wait for the point, strike; start again what is dead."""
        self.gate.unlink(missing_ok=True)
        before = self._seen(point)
        self.drop()
        if point == "random":
            time.sleep(self.random.uniform(0, 0.6))
        else:
            until = time.monotonic() + POINT_COMES_WITHIN_S
            while time.monotonic() < until and self._seen(point) == before:
                time.sleep(0.0005)
        if victim != "nobody":
            self._strike(victim)
            self.strikes[f"{victim} when {point}"] += 1
        self.gate.touch()
        if self.house.process is None:
            self.house.start()

    def _seen(self, point: str) -> Any:
        """What changes when the point is reached."""
        house = self.house
        match point:
            case "a job is accepted":
                return house.rows("SELECT count(*) FROM jobs")[0][0]
            case "its file is moved":
                accepted = house.inbox / "accepted"
                return len(os.listdir(accepted)) if accepted.exists() else 0
            case "an attempt runs":
                return house.rows("SELECT max(id) FROM attempts")[0][0]
            case "an item is finished":
                return house.rows("SELECT max(id) FROM artifacts")[0][0]
            case "a folder is assembled":
                return len(list((house.outbox / ".staging").glob("*/.publish")))
            case "a job is publishing":
                return house.rows("SELECT count(*) FROM jobs WHERE state = 'publishing'")[0][0]
            case "a job is published":
                return len(os.listdir(house.outbox))
        return None

    def _strike(self, victim: str) -> None:
        house = self.house
        running = house.rows(
            "SELECT worker_pid, crashes FROM attempts JOIN runs ON runs.id = run_id WHERE outcome IS NULL ORDER BY attempts.id")  # fmt: skip
        workers = [row["worker_pid"] for row in running]
        if victim in ("daemon", "both"):
            house.kill()
        if victim in ("worker", "both"):
            for row in running:
                if victim == "both" or row["crashes"] < CRASHES_SPARED:
                    try:
                        os.kill(row["worker_pid"], signal.SIGKILL)
                    except ProcessLookupError:
                        pass
        if house.process is None:
            eventually(lambda: not any(map(alive, workers)), "the workers go with their daemon")
            self._remember()

    def _remember(self) -> None:
        rows = self.house.rows(
            "SELECT artifacts.job_id, steps.name, runs.each, item FROM artifacts JOIN runs ON runs.id = run_id JOIN steps ON steps.id = step_id"
        )
        made = self._made()
        for row in rows:
            item = (row["job_id"], row["name"], row["each"] or "-", row["item"])
            self.finished.setdefault(item, made[item])

    def _made(self) -> Counter[Item]:
        made: Counter[Item] = Counter()
        for line in self.made.read_text().splitlines() if self.made.exists() else []:
            job, step, over, item = line.split()
            made[job, step, over if step == "mine" else "-", int(item)] += 1
        return made

    # --- the account ---

    def settle(self) -> None:
        """Let everything that was dropped come to its end."""
        self.gate.touch()
        assert not self.house.rows("SELECT reason FROM rejections"), "the load itself is wrong"
        eventually(lambda: self.house.rows("SELECT count(*) FROM jobs WHERE state IN ('done', 'failed', 'cancelled')")[0][0]
                   >= len(self.dropped), f"all jobs end (seed {self.seed})", 120)  # fmt: skip

    def account(self) -> list[str]:
        """Everything that broke the promise."""
        rows = self.house.rows("SELECT name, id, state, reason FROM jobs")
        accepted = Counter(row["name"] for row in rows)
        wrong = [f"{name} was accepted {accepted[name]} times" for name in self.dropped if accepted[name] != 1]
        wrong += [f"{row['id']} is {row['state']}: {row['reason']}" for row in rows if row["state"] != "done"]
        made = self._made()
        wrong += [f"{item} was finished, and made again" for item, times in self.finished.items() if made[item] > times]
        wrong += published_once(self.house)
        wrong += [f"{entry} was left in the inbox" for entry in os.listdir(self.house.inbox) if entry.endswith(".yaml")]
        return wrong

    def tally(self) -> dict[str, int]:
        """Jobs by how often they were published: by folders in the outbox that hold a manifest, not by the ledger's word."""
        folders: Counter[str] = Counter()
        for place in (self.house.outbox, self.house.outbox / "failed"):
            for manifest in place.glob("*/manifest.json"):
                if not manifest.parent.is_symlink():
                    folders[json.loads(manifest.read_bytes())["job"]["name"]] += 1
        times = Counter(folders[name] for name in self.dropped)
        return {"once": times[1], "twice": sum(n for count, n in times.items() if count > 1), "lost": times[0]}

    def summary(self) -> str:
        tally = self.tally()
        return (f"seed {self.seed}: {sum(self.strikes.values())} faults injected, {len(self.dropped)} jobs dropped, {tally['once']} published "
                f"once, {tally['twice']} twice, {tally['lost']} lost; {len(self.finished)} finished items watched, "
                f"{self.made_again()} of them made again")  # fmt: skip

    def made_again(self) -> int:
        made = self._made()
        return sum(made[item] > times for item, times in self.finished.items())


def main() -> int:
    """Torture a throw-away installation; ends with 1 when the promise broke, and keeps the installation then."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--hours", type=float, help="instead of a number of rounds")
    parser.add_argument("--calm", action="store_true", help="strike nothing: only see whether anything grows")
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="drophammer-torture-"))
    house = BreakableHouse(folder / "home")
    house.configure(retention={"events": "60s"})
    torture = Torture(house, options.seed)
    print(
        f"seed {options.seed}; the installation is {house.home}; the daemon's log is {house.home / 'daemon.log'}",
        flush=True,
    )
    began, number = time.monotonic(), 0
    until = began + options.hours * 3600 if options.hours else float("inf")
    house.start()
    sizes: list[Size] = []
    wrong: list[str] = []
    try:
        while time.monotonic() < until and not wrong and (options.hours or number < options.rounds):
            torture.round(torture.random.choice(POINTS), "nobody" if options.calm else torture.random.choice(VICTIMS))
            number += 1
            if number % 5 == 0:
                torture.settle()
            if number % 20 == 0:
                eventually(lambda: not os.listdir(house.outbox / ".staging"), "staging is cleared")
                sizes.append(Size.of(house))
                wrong = torture.account()
                print(f"round {number}: {torture.summary()}; {sizes[-1]}", flush=True)
        torture.settle()
        eventually(lambda: not os.listdir(house.outbox / ".staging"), "staging is cleared")
        wrong = torture.account()
    finally:
        if house.process is not None:
            house.process.kill()
            house.process.wait()
    for point, times in sorted(torture.strikes.items()):
        print(f"{times:6} x {point}")
    print(torture.summary())
    print(
        f"{number} rounds in {time.monotonic() - began:.0f} s; at first {sizes[0] if sizes else '-'}, at the end {sizes[-1] if sizes else '-'}"
    )
    print(*(f"BROKEN: {line}" for line in wrong), sep="\n")
    if not wrong:
        shutil.rmtree(folder)
    return 1 if wrong else 0


@dataclass(frozen=True)
class Size:
    """What must not grow with time, of a daemon that is at rest."""

    rss_mib: float
    descriptors: int
    threads: int
    ledger_kib: int
    write_ahead_kib: int

    @classmethod
    def of(cls, house: BreakableHouse) -> Size:
        assert house.process is not None
        process = Path(f"/proc/{house.process.pid}")
        status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
        ledger = house.state / "ledger.sqlite3"
        wal = ledger.with_name(ledger.name + "-wal")
        return cls(
            int(status["VmRSS"].split()[0]) / 1024,
            len(os.listdir(process / "fd")),
            int(status["Threads"]),
            ledger.stat().st_size >> 10,
            (wal.stat().st_size >> 10) if wal.exists() else 0,
        )

    def __str__(self) -> str:
        return (f"{self.rss_mib:.1f} MiB resident, {self.descriptors} descriptors, {self.threads} threads, "
                f"ledger {self.ledger_kib} KiB + {self.write_ahead_kib} KiB")  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
