"""How long from a file's rename into the inbox until its handler runs: ours, huey and task-spooler, in turn.

.venv/bin/python -m bench.latency [--drops 200]
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from bench.installation import Installation, fsync_ms, percentile, scratch_folder
from bench.peers import PEERS

PAUSE_S = 0.05


def measure(inbox: Path, stamps: Path, content: Callable[[int], str], drops: int) -> list[float]:
    """Milliseconds from rename to handler for isolated drops; the first five warm up and do not count."""
    waits = []
    part = inbox.parent / "part"
    for number in range(drops + 5):
        part.write_text(content(number))
        seen = len(stamps.read_bytes().splitlines())
        start = time.monotonic_ns()
        part.rename(inbox / f"drop-{number}.yaml")
        until = time.monotonic() + 20
        while len(lines := stamps.read_bytes().splitlines()) == seen:
            if time.monotonic() > until:
                raise RuntimeError(f"drop {number} never ran")
            time.sleep(0.0005)
        if number >= 5:
            waits.append((int(lines[-1].split()[-1]) - start) / 1e6)
        time.sleep(PAUSE_S)
    return waits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drops", type=int, default=200)
    options = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as scratch:
        home = Path(scratch)
        before = fsync_ms(home)
        ours = Installation(home / "ours")
        ours.start()
        stamps = home / "ours" / "stamps"
        stamps.touch()
        try:
            rows.append(
                (
                    "drophammer",
                    measure(ours.inbox, stamps, lambda n: f"do: probe\nstamp: {stamps}\nitems: 0\n", options.drops),
                )
            )
        finally:
            ours.stop()
        for kind in PEERS:
            peer = kind(home / kind.__name__)
            peer.start()
            try:
                rows.append((peer.name, measure(peer.inbox, peer.stamps, str, options.drops)))
            finally:
                peer.stop()
        fsync = (before + fsync_ms(home)) / 2
    print(
        f"file renamed into the inbox -> handler running, {options.drops} isolated drops; the disk's own fsync p50 {fsync:.1f} ms"
    )
    mine = percentile(rows[0][1], 0.5)
    print(f"{'':34}{'p50 ms':>8}{'p95 ms':>8}{'p50 / ours':>12}")
    for name, waits in rows:
        print(
            f"{name:34}{percentile(waits, 0.5):8.1f}{percentile(waits, 0.95):8.1f}{percentile(waits, 0.5) / mine:12.1f}"
        )
    print(f"aim: p50 <= 3 fsyncs + 5 ms = {3 * fsync + 5:.1f} ms, p95 <= 50 ms")


if __name__ == "__main__":
    main()
