"""Build: examples of every source, kept in build/beats-training/ until they are removed."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import soundfile as sf

from handlers.audio.resample import resample
from training.beats import examples, modules
from training.beats.examples import Example, make_example
from training.beats.instrument import render_stems
from training.beats.loops import make_loop
from training.beats.music import Piece, make_beatless, make_piece
from training.beats.songs import make_song

MADE, SONGS, MOVING, LOOPS, BEATLESS, STEM_SEEDS, VARIANTS = 3000, 2200, 800, 400, 1000, 8, 16
"""Pieces of each source; variants of each module."""
DRIFTS = ("ramp", "sway", "gentle", "step", "change")
PROCESSES = 2


def build(folder: Path, source: str, modules_folder: Path) -> None:
    """Build the examples of a source, ``made``, ``songs``, ``moving``, ``stems`` or ``modules``, made once."""
    path = folder / f"{source}.npz"
    if not path.is_file():
        tasks: list[tuple[Callable[..., list[Example]], tuple]] = {
            "made": lambda: (
                [(_made, (seed,)) for seed in range(MADE)]
                + [(_loop, (seed,)) for seed in range(LOOPS)]
                + [(_beatless, (seed,)) for seed in range(BEATLESS)]
            ),
            "songs": lambda: [(_song, (seed,)) for seed in range(SONGS)],
            "moving": lambda: [(_moving, (seed,)) for seed in range(MOVING)],
            "stems": lambda: [(_stems, (seed,)) for seed in range(STEM_SEEDS)],
            "modules": lambda: [
                (_module, (modules_folder, number)) for number in range(len(modules.list_modules(modules_folder)))
            ],
        }[source]()
        with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
            waiting = [pool.submit(make, *given) for make, given in tasks]
            found = [
                one for number, task in enumerate(waiting) for one in _told(task.result(), source, number, len(tasks))
            ]
        examples.save(found, path)


def _told(made: list[Example], source: str, number: int, total: int) -> list[Example]:
    if number % max(1, total // 10) == 0:
        print(f"  {source}: {number} of {total}", flush=True)
    return made


def _learn(pieces: Iterable[Piece]) -> list[Example]:
    return [one for piece in pieces if (one := make_example(piece)) is not None]


def _made(seed: int) -> list[Example]:
    piece = make_piece(seed)
    return _learn([through_mp3(piece) if seed % 12 == 0 else piece])


def _moving(seed: int) -> list[Example]:
    rng = np.random.default_rng([40_424, seed])
    make = (make_piece, make_song)[seed % 2]
    piece = make(500_000 + seed, drift=str(rng.choice(DRIFTS)), duration_s=float(rng.choice((40, 75, 110))))
    return _learn([replace(piece, source=f"moving/{piece.source.replace('/', '-')}")])


def _loop(seed: int) -> list[Example]:
    return _learn([make_loop(seed)])


def _beatless(seed: int) -> list[Example]:
    return _learn([make_beatless(seed)])


def _stems(seed: int) -> list[Example]:
    pieces = render_stems(range(seed, seed + 1))
    return _learn(vary(piece, number) if number % 2 else piece for number, piece in enumerate(pieces))


def _song(seed: int) -> list[Example]:
    piece = make_song(seed)
    return _learn([through_mp3(piece) if seed % 12 == 0 else piece])


def _module(folder: Path, number: int) -> list[Example]:
    turns = [modules.render_number(folder, number, turn) for turn in range(VARIANTS)]
    return _learn(
        piece if not turn else vary(piece, 100 * number + turn) for turn, piece in enumerate(turns) if piece is not None
    )


def vary(piece: Piece, seed: int) -> Piece:
    """The same at another speed, from another place, of another tone, after other silence."""
    rng = np.random.default_rng([40_420, seed])
    # At a rate that is not its own it plays faster or slower, and its pitch moves along.
    speed = float(np.exp(rng.uniform(-0.16, 0.16)))
    rate = round(piece.sample_rate * speed / 50) * 50
    audio = resample(piece.audio, rate, piece.sample_rate) if rng.random() < 0.8 else piece.audio
    factor = audio.shape[-1] / piece.audio.shape[-1]
    beats, downbeats = piece.beats_s * factor, piece.downbeats
    if rng.random() < 0.5 and len(beats) > 48:
        length = max(15.0, float(rng.uniform(0.3, 0.9)) * beats[-1])
        start = float(rng.uniform(0, max(0.0, beats[-1] - length)))
        if rng.random() < 0.5:
            # A bar's beginning, as people cut.
            start = float(beats[downbeats][np.argmin(np.abs(beats[downbeats] - start))])
        kept = (beats >= start - 1e-6) & (beats < start + length)
        begins = np.isin(np.arange(len(beats)), downbeats)[kept]
        audio = audio[..., round(start * piece.sample_rate) : round((start + length) * piece.sample_rate)]
        beats, downbeats = beats[kept] - start, np.flatnonzero(begins)
    if rng.random() < 0.5:
        tilt = rng.uniform(-0.8, 0.8)
        spectrum = np.diff(audio, axis=-1, prepend=audio[..., :1])
        audio = audio + np.float32(tilt) * (spectrum if tilt > 0 else audio - np.diff(audio, axis=-1, prepend=0))
    silence = round(float(rng.uniform(0, 0.7)) * piece.sample_rate)
    audio = np.concatenate([np.zeros((*audio.shape[:-1], silence), np.float32), audio], axis=-1)
    audio = (audio * (0.8 / (np.abs(audio).max() + 1e-9))).astype(np.float32)
    varied = replace(
        piece,
        audio=audio,
        beats_s=beats + silence / piece.sample_rate,
        downbeats=downbeats,
        name=f"{piece.name}/{seed % 100}",
    )
    return through_mp3(varied) if rng.random() < 0.15 else varied


def through_mp3(piece: Piece) -> Piece:
    """The same after MP3 at about 96 kbit/s."""
    audio = np.atleast_2d(piece.audio)
    file = io.BytesIO()
    with sf.SoundFile(file, "w", piece.sample_rate, len(audio), format="MP3", compression_level=0.75) as writer:
        writer.write(audio.T)
    file.seek(0)
    decoded = sf.read(file, dtype="float32", always_2d=True)[0].T
    return replace(piece, audio=np.ascontiguousarray(decoded))
