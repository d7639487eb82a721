"""Mixes beside their peers, one command: ``python -m bench.mix [--ffmpeg PATH] [--normalize PATH]``.

CPU is user and system time on one thread. The peers: ffmpeg's acrossfade chain and concat demuxer, and ffmpeg-normalize
(`pip install imageio-ffmpeg ffmpeg-normalize` brings both without a system package). One that is not there is said to
be missing. Sound is made here, so that the truth about it is known: noise with a kick for what costs time, hits on
known grids for what is measured. A limit that is not kept is printed with `FAILS`, and the command ends with 1.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyebur128
import soundfile as sf
from pyebur128 import MeasurementMode

from bench.mix_heard import bench_beatmatch, bench_laws
from bench.mix_report import RATE, failures, say
from handlers.audio.files import read

FADE_S = 4.0
LENGTHS_S = (60, 60, 60, 60, 60, 30, 30, 30)
ONE_THREAD = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
OURS = """
import json, resource, sys
from pathlib import Path
from bench.mix_report import Quiet, cpu_s
from handlers.contract import InputFile
what, keys, out, *paths = sys.argv[1:]
keys = json.loads(keys)
inputs = [InputFile(Path(path), Path(path).stem, "") for path in paths]
before = cpu_s()
if what == "sound":
    from handlers.audio.files import Writer, probe
    from handlers.mix.blend import blend
    from handlers.mix.params import MixParams
    from handlers.mix.timeline import Source, plan
    params = MixParams.model_validate({"order": ["set"], **keys})
    sources = [Source(file, probe(file.path)) for file in inputs]
    timeline = plan(sources, [params.transition] * (len(sources) - 1), [lambda rate: None] * len(sources))
    with Writer(Path(out) / "mix.wav", timeline.sample_rate, timeline.channels, subtype="PCM_16") as writer:
        for block in blend(timeline):
            writer.write(block)
    facts = {"frames": timeline.frames}
else:
    from handlers.mix.mixdown import run
    from handlers.mix.params import MixParams
    context = Quiet(Path(out), {"set": inputs})
    run(MixParams.model_validate({"order": ["set"], **keys}), context)
    facts = context.primary
peak_mb = int(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))) / 1024
print(json.dumps({"cpu_s": cpu_s() - before, "start_s": before, "peak_mb": peak_mb, "facts": facts}))
"""


def cpu_of(command: Sequence[str | Path], **environment: str) -> float:
    """User and system time of a command and what it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        list(map(str, command)), env={**os.environ, **ONE_THREAD, **environment}, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{Path(command[0]).name}: {done.stderr.strip()[-300:]}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def ours(what: str, keys: dict, out: Path, paths: Sequence[Path]) -> dict[str, Any]:
    """Run a mix in a process of its own; `total_s` is its CPU from the first instruction to the last."""
    command = [sys.executable, "-c", OURS, what, json.dumps(keys), str(out), *map(str, paths)]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    out.mkdir(exist_ok=True)
    done = subprocess.run(
        command, env={**os.environ, **ONE_THREAD}, capture_output=True, text=True, cwd=Path(__file__).parents[1]
    )
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads(done.stdout.splitlines()[-1])
    return {**found, "total_s": after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime}


def write_stems(folder: Path) -> list[Path]:
    """Eight stems, 16-bit stereo: noise, a kick and a drone."""
    paths = []
    for number, length_s in enumerate(LENGTHS_S):
        time = np.arange(length_s * RATE) / RATE
        phase = time % (60 / (120 + number))
        audio = np.random.default_rng(number).standard_normal((2, len(time))) * 0.05
        audio += 0.5 * np.sin(2 * np.pi * (50 * phase + 12 * (1 - np.exp(-30 * phase)))) * np.exp(-12 * phase)
        audio += 0.1 * np.sin(2 * np.pi * (110 + 7 * number) * time)
        paths.append(folder / f"stem{number}.wav")
        sf.write(paths[-1], audio.T, RATE, subtype="PCM_16")
    return paths


def bench_crossfade(folder: Path, stems: list[Path], ffmpeg: str | None) -> Path:
    print(f"\neight stems ({sum(LENGTHS_S)} s), equal-power crossfade of {FADE_S:g} s, 44.1 kHz stereo WAV, 16 bit")
    keys = {"transition": {"duration": FADE_S, "curve": "equal_power"}, "formats": [{"wav": {"bits": 16}}]}
    expected = sum(LENGTHS_S) * RATE - (len(stems) - 1) * round(FADE_S * RATE)
    sound = min((ours("sound", keys, folder / "sound", stems) for _ in range(3)), key=lambda found: found["cpu_s"])
    whole = ours("whole", keys, folder / "whole", stems)
    row = f"{'ours, the sound':34s} {sound['cpu_s']:6.2f} s CPU; with the start of a process {sound['total_s']:.2f} s"
    peer = None
    if ffmpeg:
        chain, last = [], "[0]"
        for number in range(1, len(stems)):
            name = f"[a{number}]" if number + 1 < len(stems) else ""
            chain.append(f"{last}[{number}]acrossfade=d={FADE_S:g}:c1=qsin:c2=qsin{name}")
            last = name
        inputs = [part for stem in stems for part in ("-i", stem)]
        single = ("-threads", "1", "-filter_threads", "1", "-filter_complex_threads", "1")
        command = [ffmpeg, "-v", "error", "-y", *single, *inputs]
        command += ["-filter_complex", ";".join(chain), folder / "acrossfade.wav"]
        peer = min(cpu_of(command) for _ in range(3))
        say(row, sound["cpu_s"] <= peer)
        frames = sf.info(folder / "acrossfade.wav").frames
        say(f"{'ffmpeg, acrossfade chain':34s} {peer:6.2f} s CPU, {frames} frames")
    else:
        say(row)
        say("ffmpeg: missing")
    say(f"{'ours, measured and drawn as well':34s} {whole['cpu_s']:6.2f} s CPU, {whole['peak_mb']:.0f} MB")
    say(f"frames: {whole['facts']['frames']}, expected {expected}", whole["facts"]["frames"] == expected)
    if ffmpeg:
        say(f"frames as ffmpeg's: {frames}", frames == expected)

    keys = {"transition": {"kind": "cut"}, "formats": ["wav"]}
    joined = ours("whole", keys, folder / "cut", stems)
    samples = np.concatenate([sf.read(stem, dtype="int16")[0] for stem in stems])
    same = np.array_equal(sf.read(joined["facts"]["path"], dtype="int16")[0], samples)
    say(f"cuts: {joined['cpu_s']:.2f} s CPU, the stems' samples bit for bit", same)
    if ffmpeg:
        listing = folder / "concat.txt"
        listing.write_text("".join(f"file '{stem}'\n" for stem in stems))
        command = [ffmpeg, "-v", "error", "-y", "-f", "concat", "-safe", "0", "-i", listing, "-c", "copy"]
        used = cpu_of([*command, folder / "concat.wav"])
        say(f"ffmpeg concat -c copy: {used:.2f} s CPU, neither measured nor drawn")
    return Path(whole["facts"]["path"])


def loudness_of(path: Path) -> tuple[float, float]:
    """Integrated loudness and true peak by libebur128, of the decoded file."""
    audio, rate = read(path)
    state = pyebur128.R128State(len(audio), rate, MeasurementMode.MODE_I | MeasurementMode.MODE_TRUE_PEAK)
    for start in range(0, audio.shape[1], 1 << 18):
        part = np.ascontiguousarray(audio[:, start : start + (1 << 18)].T)
        state.add_frames(part.ravel(), len(part))
    peak = max(pyebur128.get_true_peak(state, channel) for channel in range(len(audio)))
    return pyebur128.get_loudness_global(state), 20 * np.log10(peak)


def bench_loudness(folder: Path, mixed: Path, normalize: str | None, ffmpeg: str | None) -> None:
    print(
        "\nloudness: one file of 362 s to -14 LUFS, -1 dBTP; as it is, and 12 dB softer, so that peaks stand in the way"
    )
    quiet = folder / "quiet.wav"
    audio, _ = read(mixed)
    audio *= 10 ** (-12 / 20)
    audio[:, :: RATE // 3] += 0.15
    sf.write(quiet, audio.T, RATE, subtype="PCM_16")
    for path in (mixed, quiet):
        formats = ["wav"] if path == mixed else ["wav", {"mp3": {"kbps": 192}}, {"ogg": {"quality": 6}}]
        peer = None
        if normalize and ffmpeg:
            command = [normalize, path, "-f", "-t", "-14", "-tp", "-1", "-o", folder / "normalized.wav"]
            peer = cpu_of(command, FFMPEG_PATH=ffmpeg)
            lufs, peak = loudness_of(folder / "normalized.wav")
            say(f"{'ffmpeg-normalize':34s} {peer:6.2f} s CPU   {lufs:7.2f} LUFS {peak:6.2f} dBTP")
        else:
            say("ffmpeg-normalize: missing")
        for some in ([formats[0]], formats) if len(formats) > 1 else (formats,):
            found = ours("whole", {"loudness": -14, "formats": some}, folder / f"loud{len(some)}", [path])
            names = ", ".join(choice if isinstance(choice, str) else next(iter(choice)) for choice in some)
            text = f"ours, {names}"
            row = f"{text:34s} {found['cpu_s']:6.2f} s CPU, with the start {found['total_s']:.2f} s"
            say(row, None if peer is None or len(some) > 1 else found["total_s"] <= peer / 5)
            for delivered in sorted((folder / f"loud{len(some)}").glob("mix.*")):
                if delivered.suffix not in (".wav", ".mp3", ".ogg"):
                    continue
                lufs, peak = loudness_of(delivered)
                kept = abs(lufs + 14) <= 0.1 and peak <= -1
                say(f"    {delivered.name:30s} {lufs:16.2f} LUFS {peak:6.2f} dBTP", kept)


def bench_memory(folder: Path) -> None:
    print("\nmemory: sixty tracks of 3:04, crossfaded, to -14 LUFS, FLAC: three hours")
    rng = np.random.default_rng(1)
    track = np.cumsum(rng.standard_normal((184 * RATE, 2), np.float32), axis=0)
    track -= np.linspace(track[0], track[-1], len(track))
    track = 0.2 * track / np.abs(track).max() + 0.02 * rng.standard_normal(track.shape, np.float32)
    paths = []
    for number in range(60):
        paths.append(folder / f"track{number:02d}.flac")
        if number < 2:
            sf.write(paths[-1], track * (0.5 + 0.5 * number), RATE, subtype="PCM_16")
        else:
            paths[-1].symlink_to(paths[number % 2])
    found = ours("whole", {"loudness": -14, "formats": ["flac"]}, folder / "long", paths)
    hours = found["facts"]["duration_s"] / 3600
    say(f"{hours:.2f} h: {found['peak_mb']:.0f} MB at most, {found['cpu_s']:.0f} s CPU", found["peak_mb"] <= 400)


def find_peers(ffmpeg: str | None, normalize: str | None) -> tuple[str | None, str | None]:
    """Look where peers usually are."""
    ffmpeg = ffmpeg or shutil.which("ffmpeg")
    if not ffmpeg and importlib.util.find_spec("imageio_ffmpeg"):
        from imageio_ffmpeg import get_ffmpeg_exe

        ffmpeg = get_ffmpeg_exe()
    return ffmpeg, normalize or shutil.which("ffmpeg-normalize")


def main() -> None:
    """Print every number, and end with 1 where a limit is not kept."""
    os.environ.update(ONE_THREAD)
    parser = argparse.ArgumentParser(description="Mixes beside their peers.")
    parser.add_argument("--ffmpeg", help="the program; else the one on the path, or imageio-ffmpeg's")
    parser.add_argument("--normalize", help="ffmpeg-normalize; else the one on the path")
    parser.add_argument("--only", nargs="*", default=["cost", "memory", "laws", "beats"], help="of these four")
    chosen = parser.parse_args()
    ffmpeg, normalize = find_peers(chosen.ffmpeg, chosen.normalize)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if "cost" in chosen.only:
            mixed = bench_crossfade(folder, write_stems(folder), ffmpeg)
            bench_loudness(folder, mixed, normalize, ffmpeg)
        if "memory" in chosen.only:
            bench_memory(folder)
        if "laws" in chosen.only:
            bench_laws(folder)
        if "beats" in chosen.only:
            bench_beatmatch(folder)
    print(f"\n{len(failures)} limits not kept" if failures else "\nall limits kept")
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
