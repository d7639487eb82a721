"""A batch of ten recordings through the real daemon, with one worker and with two: ``python -m bench.archaeology``.

`config/jobs/archaeology.yaml` over ten made-up tracks of 70 seconds, one of them damaged. Wall time from the first run of
`textures` to the end of its last, so that neither the start of a worker nor the report counts; CPU seconds as the workers
measured them. Wall times mean something only on a machine that does nothing else: its load is printed beside them.
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

from daemon.settings import CHECKOUT

TRACKS, LENGTH_S, RATE = 10, 70, 44_100
TARGET = 1.8
PATIENCE_S = 600.0
SPAN = """
SELECT (julianday(max(ended_at)) - julianday(min(attempts.started_at))) * 86400, sum(attempts.cpu_s), count(*)
FROM attempts JOIN runs ON runs.id = run_id JOIN steps ON steps.id = step_id WHERE steps.name = 'textures'
"""


def make(folder: Path) -> None:
    """Ten old tracks: a drone with slow overtones, hiss, and a beat in the middle. The first is damaged."""
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
    first = folder / "old track 00.flac"
    first.write_bytes(first.read_bytes()[:4096] + bytes(4096))


def batch(tracks: Path, home: Path, workers: int) -> tuple[float, float]:
    """Wall and CPU seconds of the step `textures`."""
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
    threads = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    environment = {**os.environ, **threads, "DROPHAMMER_HOME": str(home), "PYTHONPATH": str(CHECKOUT)}
    with open(home / "daemon.log", "wb") as log:
        daemon = subprocess.Popen(
            [sys.executable, "-m", "daemon.service"], env=environment, cwd=home, stdout=log, stderr=log
        )
    try:
        return _ended(home / "state" / "ledger.sqlite3")
    finally:
        daemon.send_signal(signal.SIGTERM)
        daemon.wait()


def _ended(ledger: Path) -> tuple[float, float]:
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
                wall_s, cpu_s, runs = connection.execute(SPAN).fetchone()
                assert runs == TRACKS
                return wall_s, cpu_s
        except sqlite3.OperationalError:  # It is just being made.
            continue
        finally:
            connection.close()
    raise SystemExit(f"the batch did not end within {PATIENCE_S:g} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeat", type=int, default=1)
    asked = parser.parse_args()
    best: dict[int, float] = {}
    with tempfile.TemporaryDirectory() as place:
        tracks = Path(place) / "tracks"
        make(tracks)
        for turn in range(asked.repeat):
            for workers in (1, 2):
                wall_s, cpu_s = batch(tracks, Path(place) / f"home-{workers}-{turn}", workers)
                best[workers] = min(wall_s, best.get(workers, wall_s))
                print(
                    f"{workers} workers: {wall_s:6.1f} s wall, {cpu_s:6.1f} s CPU, load {os.getloadavg()[0]:.1f}",
                    flush=True,
                )
    print(f"two over one: {best[1] / best[2]:.2f}x (target {TARGET:g}x)")


if __name__ == "__main__":
    main()
