"""Tracker modules with their own clock: rendered by libopenmpt, which tells the row at every moment.

The music is that of Debian packages, fetched by ``apt-get download`` into a folder of the build and never kept in the
project. Four rows are a beat by convention, sixteen a bar; what does not fit its own attacks is dropped.
"""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from training.beats.music import Piece

PACKAGES = (
    "bugsquish", "ceferino-data", "circuslinux-data", "criticalmass-data", "cuyo-data", "fb-music-high", "freedroid-data",
    "open-invaders-data", "redeclipse-data", "tecnoballz-data", "tuxmath-data", "tuxtype-data",
)  # fmt: skip
LIBRARIES = ("libopenmpt0", "libmpg123-0", "libvorbis0a", "libvorbisfile3", "libogg0")
SUFFIXES = (".mod", ".xm", ".it", ".s3m")
RATE = 44_100
BLOCK = 32
"""Samples between looks at the row: 0.7 ms."""
LONGEST_S = 180.0
ROWS_PER_BEAT = 4
SLOWEST_BPM, FASTEST_BPM = 60.0, 205.0
"""Faster than this, eight rows or sixteen are the beat; slower ones are left out."""


def fetch(folder: Path) -> list[str]:
    """Download and unpack what is not there yet; returns the packages that could not be had."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = []
    for package in (*PACKAGES, *LIBRARIES):
        unpacked = folder / package
        if unpacked.is_dir():
            continue
        done = subprocess.run(["apt-get", "download", package], cwd=folder, capture_output=True, check=False)
        found = sorted(folder.glob(f"{package}_*.deb"))
        if done.returncode or not found:
            missing.append(package)
            continue
        partial = folder / f"{package}.partial"
        subprocess.run(["dpkg-deb", "-x", found[0], partial], check=True)
        partial.rename(unpacked)
        found[0].unlink()
    return missing


def list_modules(folder: Path) -> list[Path]:
    """Every module in `folder`, each content once."""
    seen: dict[bytes, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() in SUFFIXES and path.is_file() and path.parts[len(folder.parts)] in PACKAGES:
            seen.setdefault(path.read_bytes(), path)
    return list(seen.values())


def render_modules(folder: Path) -> Iterator[Piece]:
    """Render the modules that were fetched, those whose grid fits."""
    for number in range(len(list_modules(folder))):
        if piece := render_number(folder, number):
            yield piece


def render_number(folder: Path, number: int) -> Piece | None:
    """Render one of :func:`list_modules`; None where its rows are no likely beat."""
    return render(_load(folder), list_modules(folder)[number], folder)


def _load(folder: Path) -> ctypes.CDLL:
    found = {path.name: path for path in sorted(folder.rglob("*.so.*"))}
    # What it needs first, so that it is found without a search path.
    for name in ("libogg.so.0", "libvorbis.so.0", "libvorbisfile.so.3", "libmpg123.so.0"):
        if name in found:
            ctypes.CDLL(str(found[name]), mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(found.get("libopenmpt.so.0", "libopenmpt.so.0")))
    library.openmpt_module_create_from_memory.restype = ctypes.c_void_p
    library.openmpt_module_create_from_memory.argtypes = [ctypes.c_char_p, ctypes.c_size_t, *[ctypes.c_void_p] * 3]
    library.openmpt_module_read_float_stereo.restype = ctypes.c_size_t
    library.openmpt_module_read_float_stereo.argtypes = [
        ctypes.c_void_p,
        ctypes.c_int32,
        ctypes.c_size_t,
        *[ctypes.c_void_p] * 2,
    ]
    for name in ("row", "order", "pattern"):
        getattr(library, f"openmpt_module_get_current_{name}").argtypes = [ctypes.c_void_p]
    library.openmpt_module_destroy.argtypes = [ctypes.c_void_p]
    library.openmpt_module_destroy.restype = None
    return library


def render(library: ctypes.CDLL, path: Path, folder: Path) -> Piece | None:
    """Render one module; None where four rows are no likely beat."""
    data = path.read_bytes()
    module = library.openmpt_module_create_from_memory(data, len(data), None, None, None)
    if not module:
        return None
    count = int(LONGEST_S * RATE) // BLOCK
    audio = np.zeros((2, count * BLOCK), np.float32)
    left, right = (np.zeros(BLOCK, np.float32) for _ in range(2))
    pointers = [side.ctypes.data for side in (left, right)]
    rows: list[tuple[int, int]] = []
    before: tuple[int, int] | None = None
    done = 0
    for number in range(count):
        got = library.openmpt_module_read_float_stereo(module, RATE, BLOCK, *pointers)
        if not got:
            break
        audio[0, done : done + got], audio[1, done : done + got] = left[:got], right[:got]
        now = (library.openmpt_module_get_current_order(module), library.openmpt_module_get_current_row(module))
        if now != before:
            # The row began within this block.
            rows.append((number * BLOCK, now[1]))
            before = now
        done += got
    library.openmpt_module_destroy(module)
    audio = audio[:, :done]
    starts = np.array([start for start, _ in rows]) + BLOCK / 2
    starts[:1] = 0
    number = np.array([row for _, row in rows])
    if len(starts) < 64 or np.abs(audio).max() < 1e-3:
        return None
    rows_per_beat = ROWS_PER_BEAT
    row_s = np.median(np.diff(starts)) / RATE
    while 60 / row_s / rows_per_beat > FASTEST_BPM:
        rows_per_beat *= 2
    on_beat = number % rows_per_beat == 0
    beats = starts[on_beat] / RATE
    downbeats = np.flatnonzero(number[on_beat] % (4 * rows_per_beat) == 0)
    gaps = np.diff(beats)
    if len(beats) < 16 or 60 / np.median(gaps) < SLOWEST_BPM:
        return None
    steady = bool(np.abs(gaps - np.median(gaps)).max() < 0.004)
    source = f"modules/{path.relative_to(folder).parts[0]}"
    return Piece(audio, RATE, beats, downbeats, "4/4", path.name, source, steady)
