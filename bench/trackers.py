"""Beat trackers as people call them: ours and librosa's here, others in a Python that has them."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import soundfile as sf

from handlers.audio.grid.track import find_grid
from handlers.audio.resample import resample

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
elif name in ("essentia-degara", "essentia-multifeature"):
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
elif name == "essentia-key":
    import essentia.standard as es
    find = es.KeyExtractor(profileType="edma")
    def track(audio, rate):
        return " ".join(find(audio)[:2]), [], []
else:
    import sys, types
    # Only its microphone mode needs it.
    sys.modules["pyaudio"] = types.ModuleType("pyaudio")
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


def run_here(track: Callable[[np.ndarray, int], Found], paths: list[Path]) -> Iterator[tuple[Found, float]]:
    """Track files in this process; yields what was found and the CPU seconds it took."""
    for path in paths:
        audio, sample_rate = sf.read(path, dtype="float32", always_2d=True)
        before = time.process_time()
        found = track(audio.T, sample_rate)
        yield found, time.process_time() - before


def run_peer(pythons: list[str], name: str, paths: list[Path]) -> Iterator[tuple[Found, float]]:
    """Track files in the first of other environments that can.

    Raises
    ------
    RuntimeError
        When none can; says why for each.
    """
    reasons = []
    for python in pythons:
        done = subprocess.run([python, "-c", PEER, name, *map(str, paths)], capture_output=True, text=True, check=False)
        lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
        if len(lines) == len(paths):
            for line in lines:
                tempo, beats, downbeats, seconds = json.loads(line)
                yield (tempo, np.array(beats), np.array(downbeats)), seconds
            return
        reasons.append((done.stderr.strip().splitlines() or ["no answer"])[-1])
    raise RuntimeError("; ".join(dict.fromkeys(reasons)) or "no Python with it is given")
