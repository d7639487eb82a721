"""Build: examples of every source, kept in build/beats-training/ until they are removed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile as sf

from handlers.audio.resample import resample
from training.beats import examples, modules
from training.beats.examples import Example, make_example
from training.beats.instrument import render_stems
from training.beats.music import Piece, make_beatless, make_piece

MADE, BEATLESS, STEM_SEEDS, VARIANTS = 800, 100, 2, 5
"""Pieces of each source; variants of each module."""


def build(folder: Path, source: str, modules_folder: Path) -> list[Example]:
    """Return the examples of a source, ``made``, ``stems`` or ``modules``, made once."""
    path = folder / f"{source}.npz"
    if not path.is_file():
        pieces = {"made": _made, "stems": _stems, "modules": lambda: _modules(modules_folder)}[source]()
        found = [one for piece in pieces if (one := make_example(piece)) is not None]
        examples.save(found, path)
    return examples.load(path)


def _made() -> Iterator[Piece]:
    for seed in range(MADE):
        piece = make_piece(seed)
        yield through_mp3(piece) if seed % 12 == 0 else piece
    for seed in range(BEATLESS):
        yield make_beatless(seed)


def _stems() -> Iterator[Piece]:
    for number, piece in enumerate(render_stems(range(STEM_SEEDS))):
        yield vary(piece, number) if number % 2 else piece


def _modules(folder: Path) -> Iterator[Piece]:
    for number, piece in enumerate(modules.render_modules(folder)):
        yield piece
        for turn in range(1, VARIANTS):
            yield vary(piece, 100 * number + turn)


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
