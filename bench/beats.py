"""Beat tracking beside its peers, and what else `beats` finds: ``python -m bench.beats [--pieces 80]``.

Exam: made-up pieces of seeds that the ranker's training never used, tracker modules where ``--modules FOLDER`` says
that they were fetched (the shipped ranker has seen those; `python -m training.beats` prints what it reaches on others),
songs of :mod:`bench.arrangements` and stems of the instrument for sections, labels and keys. librosa runs in this
environment; aubio, essentia, madmom and BeatNet where one of ``--peers`` has them: Pythons, by default those of
build/peers*. As of 2026 madmom 0.16 wants Python 3.9 and numpy 1.23.
Metrics by mir_eval: F at 70 ms, continuity at the right and at an allowed level (CMLt, AMLt), tempo within 4 %, that
allowing octaves (Acc2) and within 0.5 %, F of downbeats, median offset, seconds of audio per CPU second on a thread,
and how many times as fast ours is. Sections: F of the boundaries inside a piece at 0.5 and 3 s; labels: share of time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf

from bench.parts import FIRST_SEED, RATE, hear_parts, parts
from bench.trackers import Found, librosa_beat_track, ours, run_here, run_peer
from handlers.audio.files import Writer
from handlers.audio.grid.track import find_grid
from handlers.audio.resample import resample
from training.beats.modules import list_modules, render_number
from training.beats.music import Piece, make_beatless, make_piece
from training.beats.songs import make_song

NAMES_OF_TRACKERS = ("ours", "librosa", "aubio", "essentia-degara", "essentia-multifeature", "madmom", "BeatNet")
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
OCTAVES = (1, 2, 0.5, 3, 1 / 3)
MOVES = ("ramp", "change", "sway", "gentle", "step")


def judge(piece: Piece, found: Found) -> list[float]:
    """F, CMLt, AMLt, Acc1, Acc2, Acc2 at 0.5 %, downbeat F, median offset in ms (NaN where F is under 0.8)."""
    import mir_eval

    tempo, beats, downbeats = found
    true = piece.beats_s
    inside = [
        times[(times > true[0] - 0.1) & (times < true[-1] + 0.1)] for times in map(np.asarray, (beats, downbeats))
    ]
    beats, downbeats = (np.maximum.accumulate(times) if len(times) else times for times in inside)
    f_measure = mir_eval.beat.f_measure(true, beats) if len(beats) else 0.0
    levels = mir_eval.beat.continuity(true, beats) if len(beats) > 1 else (0, 0, 0, 0)
    true_bpm = 60 / float(np.mean(np.diff(true))) if piece.steady else 60 / float(np.median(np.diff(true)))
    ratio = (tempo or 0.0) / true_bpm
    exact = [min(abs(ratio / other - 1) for other in OCTAVES) < within for within in (0.04, 0.005)]
    down = np.nan if not len(downbeats) else mir_eval.beat.f_measure(true[piece.downbeats], downbeats)
    offset = np.nan
    if f_measure > 0.8:
        near = true[np.abs(beats[:, None] - true).argmin(axis=1)]
        offset = 1000 * float(np.median((beats - near)[np.abs(beats - near) < 0.07]))
    return [f_measure, levels[1], levels[3], float(abs(ratio - 1) < 0.04), *map(float, exact), down, offset]


def exams(pieces: int, modules: Path | None) -> dict[str, list[Piece]]:
    """Music by what is asked of it."""
    seeds = range(FIRST_SEED, FIRST_SEED + pieces)
    found = {
        "made up, one tempo": [make_piece(seed) for seed in seeds],
        "songs, one tempo": [make_song(seed) for seed in seeds],
        "made up, 15 s": [make_piece(seed, duration_s=15) for seed in seeds[::4]],
        "tempo moves": [
            (make_piece, make_song)[seed % 2](seed, drift=MOVES[number % len(MOVES)], duration_s=75)
            for number, seed in enumerate(seeds[::2])
        ],
        "it pauses": [(make_piece, make_song)[seed % 2](seed, drift="pause", duration_s=75) for seed in seeds[::4]],
    }
    if modules:
        rendered = (render_number(modules, number) for number in range(len(list_modules(modules))))
        found["modules"] = [piece for piece in rendered if piece is not None]
    return found


def compare(pieces: list[Piece], names: list[str], pythons: list[str]) -> None:
    """Print a row for each tracker; one that does not run here is taken out of `names`."""
    print(f"{'':22s}    F   CMLt  AMLt  Acc1  Acc2  0.5%    dF   bias  off ms  speed  ours is")
    with tempfile.TemporaryDirectory() as folder:
        paths = [write(piece, Path(folder) / f"{number}.wav") for number, piece in enumerate(pieces)]
        length_s = sum(sf.info(path).duration for path in paths)
        our_speed = 0.0
        for name in list(names):
            runner = {"ours": ours, "librosa": librosa_beat_track}.get(name)
            if runner:
                runner(np.sin(np.arange(RATE * 5, dtype=np.float32))[None], RATE)  # Warm.
            try:
                results = list(run_here(runner, paths) if runner else run_peer(pythons, name, paths))
            except RuntimeError as error:
                print(f"{name:22s} does not run here: {error}")
                names.remove(name)
                continue
            rows = np.array([judge(piece, found) for piece, (found, _) in zip(pieces, results, strict=True)])
            means = " ".join(
                f"{np.nanmean(rows[:, k]):5.3f}" if np.isfinite(rows[:, k]).any() else "    -" for k in range(7)
            )
            near = rows[np.isfinite(rows[:, 7]), 7]
            bias, off = (np.median(near), np.median(np.abs(near))) if len(near) else (np.nan, np.nan)
            speed = length_s / sum(seconds for _, seconds in results)
            our_speed = our_speed or speed
            print(f"{name:22s} {means}  {bias:+5.1f}  {off:5.1f}  {speed:6.0f}  {our_speed / speed:5.1f}x", flush=True)


def measure_costs() -> None:
    """Print speed and memory of whole runs, each in a process of its own on one thread."""
    environment = os.environ | THREADS
    with tempfile.TemporaryDirectory() as folder:
        five, hour = Path(folder) / "five.flac", Path(folder) / "hour.flac"
        piece = make_piece(FIRST_SEED + 1, duration_s=60, tempo_bpm=120)
        minute = np.repeat(resample(np.atleast_2d(piece.audio), piece.sample_rate, RATE), 2, axis=0)[:, : 60 * RATE]
        minute = np.pad(minute, ((0, 0), (0, 60 * RATE - minute.shape[1])))
        for path, minutes in ((five, 5), (hour, 60)):
            with Writer(path, RATE, 2, subtype="PCM_16") as writer:
                for _ in range(minutes):
                    writer.write(minute)
        code = (
            "import re, sys, time\nfrom pathlib import Path\nfrom handlers.audio.files import read\n"
            "from handlers.audio.grid.track import find_grid\nfrom handlers.beats.analyze import analyse\n"
            "five, hour = sys.argv[1:]\nanalyse(five)\nstart = time.process_time()\nanalyse(five)\n"
            "print(300 / (time.process_time() - start))\naudio, rate = read(five)\nstart = time.process_time()\n"
            "find_grid(audio, rate)\nprint(300 / (time.process_time() - start))\n"
        )
        peak = (
            "import re, sys\nfrom pathlib import Path\nfrom handlers.beats.analyze import analyse\n"
            "analyse(sys.argv[1])\n"
            "print(int(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text())[1]) / 1024)\n"
        )
        warm, grid = _ask(environment, code, five, hour)
        (memory_mb,) = _ask(environment, peak, hour)
        before = os.times()
        subprocess.run(
            [sys.executable, "-m", "daemon", "do", "beats", str(five), "--output", folder],
            check=True,
            capture_output=True,
        )
        after = os.times()
        cold_s = after.children_user + after.children_system - before.children_user - before.children_system
    print(f"\neverything, warm: {warm:.0f} s of audio a CPU second; the grid alone: {grid:.0f}")
    print(f"cold `drophammer do beats` on 5 minutes: {cold_s:.1f} s of CPU; an hour: {memory_mb:.0f} MB at most")


def _ask(environment: dict[str, str], code: str, *files: Path) -> list[float]:
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, files)], env=environment, check=True, capture_output=True, text=True
    )
    return [float(line) for line in done.stdout.split()]


def main() -> None:
    """Print a table for each exam."""
    if not all(os.environ.get(name) == "1" for name in THREADS):
        # numpy is here already, and has counted its threads: begin again.
        os.execve(sys.executable, [sys.executable, "-m", "bench.beats", *sys.argv[1:]], os.environ | THREADS)
    parser = argparse.ArgumentParser(description="Beat trackers beside each other.")
    found = [str(path) for path in sorted(Path("build").glob("peers*/bin/python"))]
    parser.add_argument(
        "--peers", nargs="*", default=found, help="Pythons that have aubio, essentia, madmom or BeatNet"
    )
    parser.add_argument("--names", nargs="*", default=list(NAMES_OF_TRACKERS), help="trackers to run")
    parser.add_argument("--modules", type=Path, help="the folder of modules that `make train-beats` fetched")
    parser.add_argument("--pieces", type=int, default=80)
    chosen = parser.parse_args()
    measure_costs()
    for exam, pieces in exams(chosen.pieces, chosen.modules).items():
        print(f"\n{exam}: {len(pieces)} pieces")
        compare(pieces, chosen.names, chosen.peers)
    for exam, songs in parts(chosen.pieces // 2).items():
        print(f"\n{exam}: {len(songs)}")
        hear_parts(songs, chosen.peers)
    count = max(4, chosen.pieces // 2)
    nothing = [
        find_grid(piece.audio, piece.sample_rate).has_beat
        for piece in map(make_beatless, range(FIRST_SEED, FIRST_SEED + count))
    ]
    print(f"\nwithout a beat: {count - sum(nothing)} of {count} are said to have none")


def write(piece: Piece, path: Path) -> Path:
    """Write a piece as people have it: 44.1 kHz, 16 bit, stereo."""
    audio = resample(np.atleast_2d(piece.audio), piece.sample_rate, RATE)
    sf.write(path, np.repeat(audio, 2, axis=0).T if len(audio) == 1 else audio.T, RATE, subtype="PCM_16")
    return path


if __name__ == "__main__":
    main()
