"""A batch of ten recordings through the real daemon, with one worker and with two: ``python -m bench.archaeology``.

`config/jobs/archaeology.yaml` over ten made-up tracks of 70 seconds and an eleventh that is damaged and fails at once.
Wall time from the first run of `textures` to the end of its last, so that neither the start of a worker nor the report
counts; CPU seconds as the workers measured them; `between` is what lies between the end of a run and the start of the
next one in the same lane, all of them together. Beside it the same mining without a daemon, in one plain process and in
two that know nothing of each other: what the machine itself allows. Wall times mean something only on a machine that
does nothing else: its load is printed beside them.
"""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile as sf
import yaml

from bench.textures import mine_one
from daemon.settings import CHECKOUT

TRACKS, LENGTH_S, RATE = 10, 70, 44_100
TARGET = 1.8
PATIENCE_S = 600.0
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
SPAN = """
SELECT (julianday(max(ended_at)) - julianday(min(attempts.started_at))) * 86400, sum(attempts.cpu_s), count(*),
       sum(julianday(ended_at) - julianday(attempts.started_at)) * 86400
FROM attempts JOIN runs ON runs.id = run_id JOIN steps ON steps.id = step_id WHERE steps.name = 'textures'
"""


def make(folder: Path) -> None:
    """Ten old tracks: a drone with slow overtones, hiss, and a beat in the middle; and the first half of an eleventh."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(5)
    time_s = np.arange(LENGTH_S * RATE) / RATE
    for number in range(TRACKS):
        root_hz = 110 * 2 ** (number / 12)
        swell = [1 + 0.5 * np.sin(2 * np.pi * time_s * (0.05 + 0.01 * partial)) for partial in (1, 2, 3, 5, 7)]
        tones = [np.sin(2 * np.pi * root_hz * partial * time_s) / partial for partial in (1, 2, 3, 5, 7)]
        drone = 0.15 * sum(tone * level for tone, level in zip(tones, swell, strict=True))
        beat = np.exp(-30 * (time_s % 0.5)) * np.sin(2 * np.pi * 60 * time_s) * 0.4 * ((time_s > 20) & (time_s < 50))
        hiss = rng.standard_normal((2, len(time_s))) * 0.02 * (1 + np.sin(2 * np.pi * time_s / 11))
        path = folder / f"old track {number:02d}.flac"
        sf.write(path, (0.5 * (np.stack([drone, 0.9 * drone]) + beat + hiss)).T, RATE, subtype="PCM_16")
    whole = (folder / "old track 00.flac").read_bytes()
    (folder / "old track 10.flac").write_bytes(whole[:4096] + bytes(4096))


def plain(tracks: Path, processes: int) -> tuple[float, float]:
    """Wall and CPU seconds of the same mining by processes that share nothing but the machine."""
    command = [sys.executable, "-m", "bench.archaeology", "--share", str(tracks)]
    children = [
        subprocess.Popen(
            [*command, str(number), str(processes)], env=os.environ | THREADS, cwd=CHECKOUT,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for number in range(processes)
    ]  # fmt: skip
    for child in children:  # All have imported what they need before any begins.
        child.stdout.readline()
    began = time.monotonic()
    for child in children:
        child.stdin.write("\n")
        child.stdin.flush()
    cpu_s = sum(float(child.communicate()[0]) for child in children)
    return time.monotonic() - began, cpu_s


def mine_share(tracks: Path, number: int, of: int) -> None:
    """Mine every so-manieth track in this process, when a line is read; print the CPU seconds it took."""
    print("ready", flush=True)
    sys.stdin.readline()
    cpu_s = 0.0
    for path in sorted(tracks.iterdir())[:TRACKS][number::of]:
        cpu_s += mine_one(path)["cpu_s"]
    print(cpu_s)


def batch(tracks: Path, home: Path, workers: int) -> tuple[float, float, float]:
    """Wall and CPU seconds of the step `textures`, and those between its runs."""
    (home / "inbox").mkdir(parents=True)
    (home / "config").mkdir()
    for entry in (CHECKOUT / "config").iterdir():
        if entry.name != "drophammer.yaml":
            (home / "config" / entry.name).symlink_to(entry)
    settings = {"roots": [str(tracks)], "lanes": {"cpu": {"workers": workers}}, "min_free": 0}
    (home / "config" / "drophammer.yaml").write_text(yaml.safe_dump(settings))
    job = yaml.safe_load((CHECKOUT / "config" / "jobs" / "archaeology.yaml").read_text())
    job["steps"]["discover"]["root"] = str(tracks)
    (home / "inbox" / "archaeology.yaml").write_text(yaml.safe_dump(job, sort_keys=False))
    environment = {**os.environ, **THREADS, "DROPHAMMER_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
    with open(home / "daemon.log", "wb") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "daemon.service"], env=environment, cwd=home, stdout=log, stderr=log
        )
    try:
        return _ended(home / "state" / "ledger.sqlite3", workers)
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()


def _ended(ledger: Path, workers: int) -> tuple[float, float, float]:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        time.sleep(0.2)
        if not ledger.exists():
            continue
        connection = sqlite3.connect(f"file:{ledger}?mode=ro", uri=True, timeout=10)
        try:
            found = connection.execute("SELECT state, failures, reason FROM jobs").fetchone()
            if found and found[0] in ("done", "failed", "cancelled"):
                if found[:2] != ("done", 1):
                    raise SystemExit(f"the batch is {found[0]} with {found[1]} failures: {found[2]}")
                wall_s, cpu_s, runs, busy_s = connection.execute(SPAN).fetchone()
                assert runs == TRACKS + 1
                return wall_s, cpu_s, workers * wall_s - busy_s
        except sqlite3.OperationalError:  # It is just being made.
            continue
        finally:
            connection.close()
    raise SystemExit(f"the batch did not end within {PATIENCE_S:g} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--share", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.share:
        mine_share(Path(asked.share[0]), int(asked.share[1]), int(asked.share[2]))
        return
    best: dict[tuple[str, int], float] = {}
    with tempfile.TemporaryDirectory() as place:
        tracks = Path(place) / "tracks"
        make(tracks)
        for turn in range(asked.repeat):
            for workers in (1, 2):
                wall_s, cpu_s, between_s = batch(tracks, Path(place) / f"home-{workers}-{turn}", workers)
                best["workers", workers] = min(wall_s, best.get(("workers", workers), wall_s))
                _print(f"{workers} workers", wall_s, cpu_s, f"{between_s:.1f} s between")
                wall_s, cpu_s = plain(tracks, workers)
                best["processes", workers] = min(wall_s, best.get(("processes", workers), wall_s))
                _print(f"{workers} plain processes", wall_s, cpu_s, "")
    for what in ("processes", "workers"):
        print(f"{what}, two over one: {best[what, 1] / best[what, 2]:.2f}x (target {TARGET:g}x)")


def _print(what: str, wall_s: float, cpu_s: float, more: str) -> None:
    print(f"{what:18s} {wall_s:6.1f} s wall, {cpu_s:6.1f} s CPU, load {os.getloadavg()[0]:.1f}  {more}", flush=True)


if __name__ == "__main__":
    main()
