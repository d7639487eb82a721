"""Many no-op jobs dropped at once, until the last is published: ours, huey and task-spooler, in turn.

.venv/bin/python -m bench.throughput [--jobs 2000] [--no-peers]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.installation import CHECKOUT, Installation, scratch_folder
from bench.peers import PEERS

GIVE_UP_S = 600


def drop(inbox: Path, jobs: int, text: str) -> None:
    """Write everything aside, then rename it all in."""
    aside = inbox.parent / "aside"
    aside.mkdir()
    for number in range(jobs):
        (aside / f"{number}.yaml").write_text(text)
    for number in range(jobs):
        (aside / f"{number}.yaml").rename(inbox / f"{number}.yaml")


def rate(inbox: Path, jobs: int, text: str, finished: Callable[[], int]) -> float:
    """Jobs a second, from the first rename until `finished` counts all."""
    start = time.monotonic()
    drop(inbox, jobs, text)
    while (count := finished()) < jobs:
        if time.monotonic() - start > GIVE_UP_S:
            print(f"  gave up: {count} of {jobs} after {GIVE_UP_S} s")
            break
        time.sleep(0.05)
    return count / (time.monotonic() - start)


def ours(home: Path, jobs: int, listed: list[float]) -> float:
    installation = Installation(home)
    installation.start()

    def finished() -> int:
        if jobs >= 10_000:  # How `list` answers in the middle of it.
            start = time.monotonic()
            subprocess.run(
                [sys.executable, "-m", "daemon", "list"],
                env=installation.environment,
                cwd=CHECKOUT,
                stdout=subprocess.DEVNULL,
                check=True,
            )
            listed.append(time.monotonic() - start)
        return installation.value("SELECT count(*) FROM jobs WHERE state = 'done'")

    try:
        result = rate(installation.inbox, jobs, "do: probe\nitems: 0\n", finished)
        published = sum(
            (installation.outbox / name / "manifest.json").exists() for name in os.listdir(installation.outbox)
        )
        print(f"  published folders: {published}, of them outbox/latest 1")
        return result
    finally:
        installation.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=2000)
    parser.add_argument("--no-peers", action="store_true")
    options = parser.parse_args()
    rows = []
    listed: list[float] = []
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as scratch:
        rows.append(("drophammer, published folders", ours(Path(scratch) / "ours", options.jobs, listed)))
        for kind in () if options.no_peers else PEERS:
            peer = kind(Path(scratch) / kind.__name__)
            peer.start()
            try:
                rows.append((peer.name, rate(peer.inbox, options.jobs, "do: nothing\n", peer.results)))
            finally:
                peer.stop()
    print(f"{options.jobs} no-op jobs dropped at once, to published")
    print(f"{'':34}{'jobs/s':>8}{'ours / its':>12}")
    for name, value in rows:
        print(f"{name:34}{value:8.0f}{rows[0][1] / value:12.2f}")
    if listed:
        print(f"`drophammer list` meanwhile: {len(listed)} calls, slowest {max(listed):.2f} s")


if __name__ == "__main__":
    main()
