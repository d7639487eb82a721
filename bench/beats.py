"""Beat tracking beside its peers: ``python -m bench.beats [--peers PYTHON] [--modules FOLDER] [--pieces 80]``.

Exam: made-up pieces of seeds that the ranker's training never used, and tracker modules where they were fetched (which the
shipped ranker has seen; `python -m training.beats` prints what it reaches on those it has not). librosa runs in this
environment; aubio, essentia, madmom and BeatNet where the other environment, a Python that has them, has them.
Metrics by mir_eval: F at 70 ms, continuity at the right and at an allowed level (CMLt, AMLt), tempo within 4 %, the same
allowing octaves (Acc2) and within 0.5 %, F of downbeats, median offset, seconds of audio per CPU second on one thread.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile as sf

from handlers.audio.grid.track import find_grid
from handlers.audio.resample import resample
from training.beats.modules import render_modules
from training.beats.music import Piece, make_beatless, make_piece

FIRST_SEED = 90_000
RATE = 44_100
OCTAVES = (1, 2, 0.5, 3, 1 / 3)
Found = tuple[float | None, np.ndarray, np.ndarray]
"""Tempo, beats and downbeats in seconds; no downbeats where a tracker has none."""

PEER = r"""
import json, resource, sys
import numpy as np, soundfile as sf
name, paths = sys.argv[1], sys.argv[2:]
if name == "aubio":
    import aubio
    def track(audio, rate):
        tempo = aubio.tempo("default", 1024, 512, rate)
        beats = [tempo.get_last_s() for i in range(0, len(audio) - 512, 512) if tempo(audio[i:i + 512])[0]]
        return tempo.get_bpm(), beats, []
elif name.startswith("essentia"):
    import essentia.standard as es
    tracker = es.RhythmExtractor2013(method=name.split("-")[1])
    def track(audio, rate):
        found = tracker(audio)
        return float(found[0]), found[1].tolist(), []
elif name == "madmom":
    import collections, collections.abc  # What madmom 0.16 expects of an older Python and numpy.
    for kind in ("MutableSequence", "Iterable", "Sequence"):
        setattr(collections, kind, getattr(collections.abc, kind))
    np.float, np.int, np.complex, np.object = float, int, complex, object
    from madmom.features.downbeats import DBNDownBeatTrackingProcessor, RNNDownBeatProcessor
    network, chain = RNNDownBeatProcessor(), DBNDownBeatTrackingProcessor(beats_per_bar=[3, 4], fps=100)
    def track(audio, rate):
        found = chain(network(audio))
        return 60 / float(np.median(np.diff(found[:, 0]))), found[:, 0].tolist(), found[found[:, 1] == 1, 0].tolist()
else:
    from BeatNet.BeatNet import BeatNet
    net = BeatNet(1, mode="offline", inference_model="DBN", plot=[], thread=False)
    def track(audio, rate):
        found = net.process(path)
        return 60 / float(np.median(np.diff(found[:, 0]))), found[:, 0].tolist(), found[found[:, 1] == 1, 0].tolist()
def used():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime
for path in paths:
    audio, rate = sf.read(path, dtype="float32", always_2d=True)
    audio = np.ascontiguousarray(audio.mean(axis=1))
    before = used()
    print(json.dumps([*track(audio, rate), used() - before]), flush=True)
"""


def ours(audio: np.ndarray, sample_rate: int) -> Found:
    """This project's grid."""
    grid = find_grid(audio, sample_rate)
    return grid.tempo_bpm, grid.beats_s, grid.downbeats_s


def librosa_beat_track(audio: np.ndarray, sample_rate: int) -> Found:
    """librosa as people call it: mono at 22.05 kHz."""
    import librosa

    mono = resample(audio.mean(axis=0), sample_rate, 22_050)
    tempo, beats = librosa.beat.beat_track(y=mono, sr=22_050, units="time")
    return float(np.atleast_1d(tempo)[0]), beats, np.zeros(0)


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


def run_here(track: Callable[[np.ndarray, int], Found], paths: list[Path]) -> Iterator[tuple[Found, float]]:
    """Track files in this process; yields what was found and the CPU seconds it took."""
    for path in paths:
        audio, sample_rate = sf.read(path, dtype="float32", always_2d=True)
        before = time.process_time()
        found = track(audio.T, sample_rate)
        yield found, time.process_time() - before


def run_peer(python: str, name: str, paths: list[Path]) -> Iterator[tuple[Found, float]]:
    """Track files in another environment."""
    done = subprocess.run([python, "-c", PEER, name, *map(str, paths)], capture_output=True, text=True, check=False)
    lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
    if len(lines) < len(paths):
        raise RuntimeError(f"{name}: {(done.stderr.strip().splitlines() or ['no answer'])[-1]}")
    for line in lines:
        tempo, beats, downbeats, seconds = json.loads(line)
        yield (tempo, np.array(beats), np.array(downbeats)), seconds


def exams(pieces: int, modules: Path | None) -> dict[str, list[Piece]]:
    """Music by what is asked of it."""
    seeds = range(FIRST_SEED, FIRST_SEED + pieces)
    found = {
        "made up, one tempo": [make_piece(seed) for seed in seeds],
        "made up, 15 s": [make_piece(seed, duration_s=15) for seed in seeds[::4]],
        "made up, tempo moves": [
            make_piece(seed, drift=("ramp", "change", "sway")[seed % 3], duration_s=75) for seed in seeds[::3]
        ],
    }
    if modules:
        found["modules"] = [piece for piece in render_modules(modules) if piece.steady]
    return found


def main() -> None:
    """Print a table for each exam."""
    os.environ["OMP_NUM_THREADS"] = "1"
    parser = argparse.ArgumentParser(description="Beat trackers beside each other.")
    parser.add_argument("--peers", help="a Python that has aubio, essentia, madmom or BeatNet")
    parser.add_argument("--modules", type=Path, help="the folder of modules that `make train-beats` fetched")
    parser.add_argument("--pieces", type=int, default=80)
    chosen = parser.parse_args()
    names = ["ours", "librosa"]
    if chosen.peers:
        names += ["aubio", "essentia-degara", "essentia-multifeature", "madmom", "BeatNet"]
    for exam, pieces in exams(chosen.pieces, chosen.modules).items():
        print(
            f"\n{exam}: {len(pieces)} pieces\n{'':22s}    F   CMLt  AMLt  Acc1  Acc2  0.5%    dF   bias  off ms  speed"
        )
        with tempfile.TemporaryDirectory() as folder:
            paths = [write(piece, Path(folder) / f"{number}.wav") for number, piece in enumerate(pieces)]
            length_s = sum(sf.info(path).duration for path in paths)
            for name in list(names):
                runner = {"ours": ours, "librosa": librosa_beat_track}.get(name)
                try:
                    results = list(run_here(runner, paths) if runner else run_peer(chosen.peers, name, paths))
                except RuntimeError as error:
                    print(f"{name:22s} does not run here: {error}")
                    names.remove(name)
                    continue
                rows = np.array([judge(piece, found) for piece, (found, _) in zip(pieces, results, strict=True)])
                means = " ".join(
                    f"{np.nanmean(rows[:, k]):5.3f}" if np.isfinite(rows[:, k]).any() else "    -" for k in range(7)
                )
                bias, off = np.nanmedian(rows[:, 7]), np.nanmedian(np.abs(rows[:, 7]))
                speed = length_s / sum(seconds for _, seconds in results)
                print(f"{name:22s} {means}  {bias:+5.1f}  {off:5.1f}  {speed:6.0f}", flush=True)
    nothing = [
        find_grid(piece.audio, piece.sample_rate).has_beat
        for piece in map(make_beatless, range(FIRST_SEED, FIRST_SEED + 40))
    ]
    print(f"\nwithout a beat: {40 - sum(nothing)} of 40 are said to have none")
    print(f"an hour: {hour_mb():.0f} MB at most")


def write(piece: Piece, path: Path) -> Path:
    """Write a piece as people have it: 44.1 kHz, 16 bit, stereo."""
    audio = resample(np.atleast_2d(piece.audio), piece.sample_rate, RATE)
    sf.write(path, np.repeat(audio, 2, axis=0).T if len(audio) == 1 else audio.T, RATE, subtype="PCM_16")
    return path


def hour_mb() -> float:
    """Peak memory of a process that tracks an hour, block by block."""
    code = (
        "import resource\n"
        "from handlers.audio.grid.features import features_of\n"
        "from handlers.audio.grid.track import find_grid_in\n"
        "from training.beats.music import make_piece\n"
        "piece = make_piece(90_001, duration_s=60)\n"
        "grid = find_grid_in(features_of((piece.audio for _ in range(60)), piece.sample_rate))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)\n"
    )
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout)


if __name__ == "__main__":
    main()
