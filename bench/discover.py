"""A catalogue of 200 recordings beside librosa: ``python -m bench.discover [--files 200] [--folder FOLDER]``.

CPU seconds (user + system) of one process, libraries imported before, files in the page cache. Without a folder, FLAC, WAV,
OGG and MP3 of one minute are made up. First: nothing is remembered. Again: nothing has changed. The peer reads the length of
every file by `librosa.get_duration(path=...)`: that alone, where a catalogue also has rate, channels, codec, depth and hash.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import soundfile as sf

from handlers.archaeology import discover, recording
from handlers.archaeology.params import DiscoverParams

SUFFIXES = (".flac", ".wav", ".ogg", ".mp3")
TARGET_FIRST_S, TARGET_AGAIN_S = 0.3, 0.05
RUNS = 5


class Quiet:
    """As much of a context as a catalogue needs; nothing is flushed to a disk."""

    def __init__(self, root: Path, scratch: Path) -> None:
        self.folders = {"root": root}
        self.workdir, self.cache_dir = scratch / "work", scratch / "cache"
        self.completed: dict[int, Any] = {}
        self.facts: dict[str, Any] = {}
        for folder in (self.workdir, self.cache_dir):
            folder.mkdir(parents=True, exist_ok=True)

    def emit(self, item: int, path: Path, kind: str = "primary", *, label: str = "", **facts: Any) -> None:
        self.facts = facts

    def progress(self, *_: Any) -> None: ...
    def log(self, *_: Any, **__: Any) -> None: ...
    def warn(self, *_: Any) -> None: ...
    def check_cancelled(self) -> None: ...


def make(folder: Path, count: int) -> None:
    """Made-up music: one file of each type, copied."""
    rng = np.random.default_rng(0)
    audio = np.clip(rng.standard_normal((60 * 44_100, 2)) * 0.1, -1, 1)
    for number in range(count):
        suffix = SUFFIXES[number % len(SUFFIXES)]
        path = folder / f"album {number // 20}" / f"track {number:03d}{suffix}"
        path.parent.mkdir(exist_ok=True)
        first = folder / "album 0" / f"track {number % len(SUFFIXES):03d}{suffix}"
        if path != first:
            shutil.copy(first, path)
            continue
        with sf.SoundFile(path, "w", 44_100, 2) as file:
            for start in range(0, len(audio), 65_536):  # libsndfile's Vorbis crashes on long arrays.
                file.write(audio[start : start + 65_536])


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    began = time.process_time()
    result = work()
    return time.process_time() - began, result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--files", type=int, default=200)
    parser.add_argument("--folder", type=Path)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        scratch = Path(place)
        folder = asked.folder or scratch / "disk"
        if not asked.folder:
            folder.mkdir()
            make(folder, asked.files)
        params = DiscoverParams(root="root")
        discover.run(params, Quiet(folder, scratch / "warm"))  # Imports, and the page cache.
        firsts, agains = [], []
        for number in range(RUNS):
            context = Quiet(folder, scratch / f"{number}")
            firsts.append(timed(lambda context=context: discover.run(params, context))[0])
            agains.append(timed(lambda context=context: discover.run(params, context))[0])
            assert context.facts["read"] == 0
        files = [path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES]
        size = sum(path.stat().st_size for path in files)
        whole, _ = timed(lambda: [recording.hash_content(str(path), path.stat().st_size, "sha256") for path in files])
        librosa.get_duration(path=files[0])
        peer, _ = timed(lambda: [librosa.get_duration(path=path) for path in files])
        first, again = sorted(firsts)[RUNS // 2], sorted(agains)[RUNS // 2]
        print(f"{context.facts['files']} files, {size / 1e6:.0f} MB, median of {RUNS}")
        print(f"first run         {first:6.3f} s   (target {TARGET_FIRST_S} s)")
        print(f"nothing changed   {again:6.3f} s   (target {TARGET_AGAIN_S} s)")
        print(
            f"librosa, lengths  {peer:6.3f} s   {peer / first:.1f} times the first run, {peer / again:.0f} times the next"
        )
        print(f"sha256 of all     {whole:6.3f} s   (hash: sha256 adds this; `quick` is in the figures above)")


if __name__ == "__main__":
    main()
