"""Mining beside its peer: ``python -m bench.textures [--peers PYTHON] [--minutes 5] [--hour] [FILE ...]``.

Each file (without any: made-up music, stereo FLAC at 44.1 kHz) is mined for all kinds in a process of its own with one
thread: CPU seconds with decoding and writing, peak memory, how many of the wanted textures came, and how many of their
loops pass `handlers.audio.seam`. Where the other environment, a Python that has it, has PyMusicLooper, its best ten
loops of the same file are cut as it cuts them, without a fade, and pass the same measures or not.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf

from handlers.audio.resample import resample
from handlers.audio.seam import measure_seam
from handlers.audio.writer import Writer
from handlers.textures.engine import Texture, mine
from handlers.textures.params import TexturesParams
from handlers.textures.profiles import Profile
from handlers.textures.wanted import list_wants
from training.beats.music import make_piece

RATE = 44_100
LOOPS = 10
CPU_S = 2.5
PEER = """
import json, resource, sys
from pymusiclooper.core import MusicLooper
pairs = MusicLooper(sys.argv[1]).find_loop_pairs()[:int(sys.argv[2])]
used = resource.getrusage(resource.RUSAGE_SELF)
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(json.dumps({"loops": [[int(pair.loop_start), int(pair.loop_end)] for pair in pairs],
                  "cpu_s": used.ru_utime + used.ru_stime, "memory_mb": int(peak.split()[1]) / 1024}))
"""


def main() -> None:
    """Print one line for each file and system."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--peers", type=Path, default=Path("build/peers/bin/python"))
    parser.add_argument("--minutes", type=float, default=5.0)
    parser.add_argument("--hour", action="store_true", help="mine an hour too, for memory and linearity")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(mine_one(arguments.one)))
        return
    with tempfile.TemporaryDirectory() as folder:
        files = arguments.files or [
            _make(Path(folder) / f"made-{seed}.flac", seed, arguments.minutes) for seed in (1, 2, 3)
        ]
        for path in files:
            ours = _run([sys.executable, "-m", "bench.textures", "--one", str(path)])
            _print(path, "ours", ours, f"{ours['made']} of {ours['wanted']} textures, target {CPU_S:g} CPU s")
            if arguments.peers.exists():
                peer = _run([str(arguments.peers), "-c", PEER, str(path), str(LOOPS)])
                if peer:
                    audio = sf.read(path, dtype="float32")[0].T
                    peer["held"] = sum(_holds(audio[:, start:end]) for start, end in peer["loops"])
                    peer["loops"] = len(peer["loops"])
                    _print(path, "PyMusicLooper", peer, "")
        if arguments.hour:
            path = _make(Path(folder) / "hour.flac", 4, 60.0)
            ours = _run([sys.executable, "-m", "bench.textures", "--one", str(path)])
            _print(path, "ours", ours, f"{ours['made']} of {ours['wanted']} textures, an hour")


def _print(path: Path, system: str, found: dict, more: str) -> None:
    print(
        f"{path.name:24s} {system:14s} {found['cpu_s']:6.2f} CPU s {found['memory_mb']:6.0f} MB  "
        f"{found['held']} of {found['loops']} loops hold  {more}",
        flush=True,
    )


def _make(path: Path, seed: int, minutes: float) -> Path:
    """Pieces of two minutes, one after the other, a little apart in stereo."""
    with sf.SoundFile(path, "w", RATE, 2, subtype="PCM_16") as file:
        wanted = round(minutes * 60 * RATE)
        for part in range(100 * seed, 100 * seed + 100):
            piece = make_piece(70_000 + part, duration_s=120.0)
            mono = np.atleast_2d(piece.audio).mean(axis=0, dtype=np.float32)
            mono = resample(mono, piece.sample_rate, RATE)[: wanted - file.frames]
            file.write(np.stack([mono, 0.8 * np.roll(mono, 11)], axis=1))
            if file.frames >= wanted:
                return path
    raise ValueError(f"{minutes:g} minutes are more than can be made")


def mine_one(path: Path) -> dict:
    """Mine a file into a folder that is thrown away; the loops are judged after the clock has stopped."""
    wants = list_wants(TexturesParams(input="a"), Profile(), None)
    rate, loops, made = sf.info(path).samplerate, [], 0
    before = resource.getrusage(resource.RUSAGE_SELF)
    with tempfile.TemporaryDirectory() as folder:
        for one in mine(path, wants, profile=Profile(), crossfade_s=1.5, peak_dbtp=-3.0):
            if isinstance(one, Texture):
                made += 1
                target = Path(folder) / f"{one.place}.wav"
                with Writer(target, rate, one.audio.shape[0], subtype="PCM_24") as writer:
                    writer.write(one.audio)
                loops += [target] if one.loop else []
        used = resource.getrusage(resource.RUSAGE_SELF)
        # Not ru_maxrss: a process that was just started inherits that of the one that started it.
        peak = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        memory_mb = int(peak.split()[1]) / 1024
        held = sum(_holds(sf.read(loop, dtype="float32")[0].T) for loop in loops)
    cpu_s = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
    return {
        "cpu_s": cpu_s, "memory_mb": memory_mb, "made": made, "wanted": len(wants),
        "held": held, "loops": len(loops),
    }  # fmt: skip


def _holds(loop: np.ndarray) -> bool:
    return not list(measure_seam(loop, RATE, loop.shape[1] // 8).faults())


def _run(command: list[str]) -> dict:
    threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")}
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | threads)
    if done.returncode:
        print(f"{command[0]}: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return {}
    return json.loads(done.stdout.strip().splitlines()[-1])


if __name__ == "__main__":
    main()
