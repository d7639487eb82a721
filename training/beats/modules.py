"""Tracker modules with their own clock: rendered by libopenmpt, which tells the row at every moment.

The music is that of Debian packages, fetched by ``apt-get download`` into a folder of the build and never kept in the
project. Four rows are a beat by convention, sixteen a bar; what does not fit its own attacks is dropped.
"""

from __future__ import annotations

import ctypes
import subprocess
from dataclasses import replace
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
ROWS_PER_BEAT, ROWS_PER_BAR = 4, 16
UNEVEN_S, LEAST_S = 0.008, 20.0
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


def render_number(folder: Path, number: int, turn: int = 0) -> Piece | None:
    """Render one of :func:`list_modules`; None where its rows are no likely beat.

    Parameters
    ----------
    folder
        Where :func:`fetch` put them.
    number
        Of the module.
    turn
        0 is the module as it is; any other draws a tempo, a pitch, and how loud each channel is, some of them mute.
    """
    return render(_load(folder), list_modules(folder)[number], folder, turn)


def _load(folder: Path) -> ctypes.CDLL:
    found = {path.name: path for path in sorted(folder.rglob("*.so.*"))}
    # What it needs first, so that it is found without a search path.
    for name in ("libogg.so.0", "libvorbis.so.0", "libvorbisfile.so.3", "libmpg123.so.0"):
        if name in found:
            ctypes.CDLL(str(found[name]), mode=ctypes.RTLD_GLOBAL)
    library = ctypes.CDLL(str(found.get("libopenmpt.so.0", "libopenmpt.so.0")))
    library.openmpt_module_ext_create_from_memory.restype = ctypes.c_void_p
    library.openmpt_module_ext_create_from_memory.argtypes = [ctypes.c_char_p, ctypes.c_size_t, *[ctypes.c_void_p] * 7]
    library.openmpt_module_ext_get_module.restype = ctypes.c_void_p
    library.openmpt_module_ext_get_module.argtypes = [ctypes.c_void_p]
    library.openmpt_module_ext_get_interface.argtypes = [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_void_p,
        ctypes.c_size_t,
    ]
    library.openmpt_module_get_num_channels.argtypes = [ctypes.c_void_p]
    library.openmpt_module_read_float_stereo.restype = ctypes.c_size_t
    library.openmpt_module_read_float_stereo.argtypes = [
        ctypes.c_void_p,
        ctypes.c_int32,
        ctypes.c_size_t,
        *[ctypes.c_void_p] * 2,
    ]
    for name in ("current_row", "current_order", "num_orders"):
        getattr(library, f"openmpt_module_get_{name}").argtypes = [ctypes.c_void_p]
    for name in ("order_pattern", "pattern_num_rows"):
        getattr(library, f"openmpt_module_get_{name}").argtypes = [ctypes.c_void_p, ctypes.c_int32]
    library.openmpt_module_ext_destroy.argtypes = [ctypes.c_void_p]
    library.openmpt_module_ext_destroy.restype = None
    return library


class _Interactive(ctypes.Structure):
    """What libopenmpt calls its interface ``interactive``, as far as it is used."""

    _fields_ = [
        ("set_current_speed", ctypes.c_void_p),
        ("set_current_tempo", ctypes.c_void_p),
        ("set_tempo_factor", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_double)),
        ("get_tempo_factor", ctypes.c_void_p),
        ("set_pitch_factor", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_double)),
        ("get_pitch_factor", ctypes.c_void_p),
        ("set_global_volume", ctypes.c_void_p),
        ("get_global_volume", ctypes.c_void_p),
        ("set_channel_volume", ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int32, ctypes.c_double)),
        ("rest", ctypes.c_void_p * 7),
    ]


def _turn(library: ctypes.CDLL, opened: int, module: int, rng: np.random.Generator) -> float:
    """Draw another tempo, pitch and balance of a module; returns how much faster it is."""
    hands = _Interactive()
    if not library.openmpt_module_ext_get_interface(opened, b"interactive", ctypes.byref(hands), ctypes.sizeof(hands)):
        raise OSError("this libopenmpt has no interface 'interactive': modules cannot be varied")
    faster = float(np.exp(rng.uniform(-0.22, 0.22)))
    hands.set_tempo_factor(opened, faster)
    hands.set_pitch_factor(opened, float(2 ** (rng.integers(-5, 6) / 12)))
    channels = library.openmpt_module_get_num_channels(module)
    silent = rng.random() < 0.6
    for channel in range(channels):
        mute = silent and rng.random() < 0.3
        hands.set_channel_volume(opened, channel, 0.0 if mute else float(rng.uniform(0.35, 1.0)))
    return faster


def _in_bars(library: ctypes.CDLL, module: int) -> bool:
    """Whether every pattern is of whole bars: with 36 or 42 rows, as of music in threes, four are hardly a beat."""
    orders = range(library.openmpt_module_get_num_orders(module))
    patterns = [library.openmpt_module_get_order_pattern(module, order) for order in orders]
    return all(library.openmpt_module_get_pattern_num_rows(module, one) % ROWS_PER_BAR == 0 for one in patterns)


def render(library: ctypes.CDLL, path: Path, folder: Path, turn: int = 0) -> Piece | None:
    """Render one module; None where four rows are no likely beat."""
    data = path.read_bytes()
    opened = library.openmpt_module_ext_create_from_memory(data, len(data), *[None] * 7)
    if not opened:
        return None
    module = library.openmpt_module_ext_get_module(opened)
    if not _in_bars(library, module):
        library.openmpt_module_ext_destroy(opened)
        return None
    faster = _turn(library, opened, module, np.random.default_rng([40_422, len(data), turn])) if turn else 1.0
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
    library.openmpt_module_ext_destroy(opened)
    audio = audio[:, :done]
    starts = np.array([start for start, _ in rows]) + BLOCK / 2
    starts[:1] = 0
    number = np.array([row for _, row in rows])
    if len(starts) < 64 or np.abs(audio).max() < 1e-3:
        return None
    rows_per_beat = ROWS_PER_BEAT
    row_s = np.median(np.diff(starts)) / RATE * faster
    while 60 / row_s / rows_per_beat > FASTEST_BPM:
        rows_per_beat *= 2
    on_beat = number % rows_per_beat == 0
    beats = starts[on_beat] / RATE
    downbeats = np.flatnonzero(number[on_beat] % (4 * rows_per_beat) == 0)
    gaps = np.diff(beats)
    if len(beats) < 16 or 60 / np.median(gaps) < SLOWEST_BPM * faster:
        return None
    source = f"modules/{path.relative_to(folder).parts[0]}"
    name = f"{path.name}/{turn}" if turn else path.name
    return longest_even(Piece(audio, RATE, beats, downbeats, "4/4", name, source))


def longest_even(piece: Piece) -> Piece | None:
    """The longest stretch in which beats follow evenly; None where that is under `LEAST_S`.

    A pattern broken off within a beat, or a change of speed, moves the rows against the beat.
    """
    gaps = np.diff(piece.beats_s)
    even = np.abs(gaps - np.median(gaps)) < UNEVEN_S
    edges = np.flatnonzero(np.diff(np.concatenate([[False], even, [False]]).astype(int))).reshape(-1, 2)
    first, last = edges[np.argmax(edges[:, 1] - edges[:, 0])]
    start_s, end_s = piece.beats_s[first], piece.beats_s[last]
    if end_s - start_s < LEAST_S:
        return None
    if first == 0 and last == len(gaps):
        return piece
    # From a little before the first beat, so that its attack is whole.
    start = max(0, round((start_s - 0.02) * piece.sample_rate))
    begins = np.isin(np.arange(first, last + 1), piece.downbeats)
    return replace(
        piece,
        audio=piece.audio[..., start : round(end_s * piece.sample_rate)],
        beats_s=piece.beats_s[first:last] - start / piece.sample_rate,
        downbeats=np.flatnonzero(begins[:-1]),
    )
