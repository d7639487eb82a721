"""What the daemon costs while it waits: memory and CPU over a minute, workers unloaded; beside an idle huey consumer.

.venv/bin/python -m bench.idle [--seconds 60]
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from bench.installation import Installation, scratch_folder
from bench.peers import Huey


def cost(pids: list[int], seconds: float) -> tuple[float, float]:
    """Resident MiB now, and the share of one core used over `seconds`, in percent."""

    def cpu() -> float:
        return sum(
            sum(map(int, Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])) for pid in pids
        ) / os.sysconf("SC_CLK_TCK")

    before = cpu()
    time.sleep(seconds)
    used = cpu() - before
    resident = sum(int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in pids) * os.sysconf("SC_PAGESIZE")
    return resident / 2**20, 100 * used / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=scratch_folder()) as scratch:
        lane = {"idle_unload": 1}
        ours = Installation(Path(scratch) / "ours", lanes={"gpu": lane, "cpu": lane})
        ours.start()
        (ours.home / "part").write_text("do: probe\n")
        (ours.home / "part").rename(ours.inbox / "one.yaml")
        while ours.value("SELECT count(*) FROM jobs WHERE state = 'done'") < 1:
            time.sleep(0.2)
        while Path(f"/proc/{ours.process.pid}/task/{ours.process.pid}/children").read_text().split():
            time.sleep(0.2)
        time.sleep(3)
        mine = cost([ours.process.pid], options.seconds)
        ours.stop()
        peer = Huey(Path(scratch) / "huey")
        peer.start()
        children = [
            int(pid)
            for process in peer.processes
            for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        ]
        theirs = cost([*(process.pid for process in peer.processes), *children], options.seconds)
        peer.stop()
    print(f"idle for {options.seconds:g} s after one job, workers unloaded")
    print(f"{'':40}{'RSS MiB':>9}{'CPU %':>8}")
    print(f"{'drophammer':40}{mine[0]:9.1f}{mine[1]:8.2f}")
    print(f"{'huey: consumer, 2 workers, feeder':40}{theirs[0]:9.1f}{theirs[1]:8.2f}")
    print(
        f"ratio ours / huey                       {mine[0] / theirs[0]:9.2f}{mine[1] / theirs[1] if theirs[1] else float('nan'):8.2f}"
    )
    print("aim: RSS <= 55 MiB, CPU <= 0.1 %")


if __name__ == "__main__":
    main()
