"""Memory does not grow with the length of a mix."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import soundfile as sf

from tests.fixtures.sound import noise

ROOT = Path(__file__).parents[3]
GROWTH_LIMIT_MIB = 12
RATE = 11_025
PIECE_S = 150
"""Of mono: 6.3 MiB in memory; 35 minutes more of it are 88 MiB."""

PROGRAM = """
import resource, sys
from pathlib import Path
from handlers.contract import InputFile
from handlers.mix.mixdown import run
from handlers.mix.params import MixParams

class Quiet:
    completed, job_name, emitted = {}, "test", None
    def __init__(self, workdir, inputs): self.workdir, self.inputs = workdir, inputs
    def progress(self, *amounts): pass
    def published_path(self, item, suffix): return self.workdir / f"mix{suffix}"
    log = warn = check_cancelled = progress
    def log(self, *told, **facts): pass
    def emit(self, item, path, kind="primary", **facts): self.emitted = facts

pieces = [InputFile(Path(sys.argv[1]), "piece", "")] * int(sys.argv[3])
context = Quiet(Path(sys.argv[2]), {"set": pieces})
run(MixParams.model_validate({"order": ["set"], "loudness": -23, "formats": ["wav"]}), context)
print(context.emitted["frames"], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


def peak_mib(piece: Path, workdir: Path, pieces: int) -> float:
    workdir.mkdir()
    command = [sys.executable, "-c", PROGRAM, str(piece), str(workdir), str(pieces)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    frames, mib = done.stdout.split()
    assert int(frames) == (pieces * PIECE_S - (pieces - 1) * 4) * RATE
    return float(mib)


def test_memory_of_forty_minutes_is_that_of_five(tmp_path: Path) -> None:
    sf.write(tmp_path / "piece.wav", noise(PIECE_S, RATE, channels=1).T, RATE)
    short = peak_mib(tmp_path / "piece.wav", tmp_path / "short", 2)
    long = peak_mib(tmp_path / "piece.wav", tmp_path / "long", 16)
    assert long - short < GROWTH_LIMIT_MIB, f"{short:.0f} MiB for 5 minutes, {long:.0f} MiB for 40"
