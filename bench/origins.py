"""Whether a texture tells where it comes from: ``python -m bench.origins [--seed 1] [styles made songs]``.

Ten tracks of 70 seconds of each kind of music (the instrument's styles; made-up pieces; arranged songs) are mined for
all kinds; each texture is then given to the track with the nearest fingerprint, taken from the whole track. Printed is
the share of right ones by kind of texture; chance is 10 %. No code of the miner's is used to compare. Fingerprints:

- ``shape``: mean power in third octaves in dB, and amplitude of the pitch classes from 80 to 2500 Hz; each by its
  correlation with the track's, as one compares the course of two curves.
- ``timbre``: the mean of 19 MFCCs (the first left out) and librosa's chroma, each feature standardised over the ten
  tracks, by cosine.
- ``strict``: third octaves and that chroma, standardised over the ten tracks, by cosine. A hiss, which may hold a quarter
  of its energy below 4 kHz, differs from every track by the same step in level there, and the step counts here.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import librosa
import numpy as np
import soundfile as sf

from bench.arrangements import arrange
from daemon.settings import CHECKOUT
from handlers.stems.instrument.render import SAMPLE_RATE, render
from handlers.stems.styles import list_styles, load_style
from handlers.textures.engine import Texture, mine
from handlers.textures.params import KINDS, TexturesParams
from handlers.textures.profiles import Profile
from handlers.textures.wanted import list_wants
from training.beats.music import make_piece

TRACKS, LENGTH_S = 10, 70.0
WINDOW = 4096
STYLES = CHECKOUT / "config" / "styles"
Print = dict[str, np.ndarray]


def main() -> None:
    """Print a table for each kind of music, and one for all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("music", nargs="*", help="of styles, made, songs; all without one")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    wants = list_wants(TexturesParams(input="a"), Profile(), None)
    over_all: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
    for music in asked.music or MUSIC:
        hits: dict[str, dict[str, list[bool]]] = defaultdict(lambda: defaultdict(list))
        made = missing = 0
        with tempfile.TemporaryDirectory() as folder:
            paths = [Path(folder) / f"{number}.wav" for number in range(TRACKS)]
            for path, (audio, rate) in zip(paths, MUSIC[music](asked.seed), strict=False):
                sf.write(path, audio[:, : round(LENGTH_S * rate)].T, rate, subtype="FLOAT")
            tracks = [take_print(*sf.read(path, dtype="float32")) for path in paths]
            for number, path in enumerate(paths):
                rate = sf.info(path).samplerate
                for one in mine(path, wants, profile=Profile(), crossfade_s=1.5, peak_dbtp=-3.0):
                    if not isinstance(one, Texture):
                        missing += 1
                        continue
                    made += 1
                    own = take_print(one.audio.T, rate)
                    for name, nearest in FINGERPRINTS.items():
                        right = nearest(own, tracks) == number
                        for table, kind in itertools.product((hits, over_all), (wants[one.place].kind, "all")):
                            table[name][kind].append(right)
        _print(f"{music}: {made} of {made + missing} textures", hits)
    _print("all", over_all)


def _print(title: str, hits: dict[str, dict[str, list[bool]]]) -> None:
    kinds = [*KINDS, "all"]
    print(f"{title:30s}" + "".join(f"{kind:>10s}" for kind in kinds))
    for name, of in hits.items():
        print(f"  {name:28s}" + "".join(f"{np.mean(of[kind]):10.0%}" for kind in kinds), flush=True)


def play_styles(seed: int) -> Iterator[tuple[np.ndarray, int]]:
    """Ten of the thirty styles, drawn by the seed."""
    names = list_styles(STYLES)
    for number, place in enumerate(np.random.default_rng(seed).permutation(len(names))[:TRACKS]):
        yield render(load_style(STYLES, names[place]), LENGTH_S, 100 * seed + number).audio, SAMPLE_RATE


def make_pieces(seed: int) -> Iterator[tuple[np.ndarray, int]]:
    """Ten made-up pieces."""
    for number in range(TRACKS):
        piece = make_piece(81_000 + 1000 * seed + number, duration_s=LENGTH_S + 6)
        yield _widen(piece.audio), piece.sample_rate


def arrange_songs(seed: int) -> Iterator[tuple[np.ndarray, int]]:
    """Ten arranged songs that are long enough."""
    songs = (arrange(300 + 100 * seed + number) for number in itertools.count())
    long = (song for song in songs if len(song.audio) >= LENGTH_S * song.sample_rate)
    for song in itertools.islice(long, TRACKS):
        yield _widen(song.audio), song.sample_rate


def _widen(audio: np.ndarray) -> np.ndarray:
    mono = np.atleast_2d(audio).mean(axis=0, dtype=np.float32)
    return np.stack([mono, 0.8 * np.roll(mono, 11)])


def take_print(audio: np.ndarray, rate: int) -> Print:
    """Fingerprint of ``(samples, channels)``."""
    mono = np.atleast_2d(audio.T).mean(axis=0, dtype=np.float32)
    mono = np.pad(mono, (0, max(0, WINDOW - len(mono))))
    frames = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[:: WINDOW // 2]
    taper = np.hanning(WINDOW).astype(np.float32)
    parts = range(0, len(frames), 64)
    power = np.concatenate([np.abs(np.fft.rfft(frames[at : at + 64] * taper, axis=1)) ** 2 for at in parts])
    hertz, mean = np.fft.rfftfreq(WINDOW, 1 / rate), power.mean(axis=0)
    edges = 1000 * 2 ** ((np.arange(-13, 14) - 0.5) / 3)
    thirds = np.add.reduceat(mean, np.searchsorted(hertz, edges[edges < 0.46 * rate]))[:-1]
    mel = power @ librosa.filters.mel(sr=rate, n_fft=WINDOW, n_mels=40).T
    mel_db = 10 * np.log10(np.maximum(mel, power.max() * 1e-10))
    chroma = np.sqrt(power) @ librosa.filters.chroma(sr=rate, n_fft=WINDOW, tuning=0.0).T
    chroma /= np.maximum(chroma.max(axis=1, keepdims=True), 1e-12)
    tonal = (hertz > 80) & (hertz < 2500)
    classes = np.round(12 * np.log2(hertz[tonal] / 440)).astype(int) % 12
    thirds_db = 10 * np.log10(thirds / mean.sum() + 1e-9)
    return {
        "thirds": thirds_db - thirds_db.mean(),
        "mfcc": librosa.feature.mfcc(S=mel_db.T, n_mfcc=20).mean(axis=1)[1:],
        "chroma": _unit(chroma.mean(axis=0)),
        "pitches": _unit(np.bincount(classes, np.sqrt(mean[tonal]), 12)),
    }


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / max(float(np.linalg.norm(vector)), 1e-12)


def compare_shape(own: Print, tracks: list[Print]) -> int:
    """The track whose curves correlate best, both counting the same."""
    apart = np.zeros(len(tracks))
    for name in ("thirds", "pitches"):
        each = np.array([1 - np.corrcoef(own[name], track[name])[0, 1] for track in tracks])
        apart += each / each.mean()
    return int(np.argmin(apart))


def compare_standard(own: Print, tracks: list[Print], names: tuple[str, ...]) -> int:
    """The track of the highest cosine, every feature standardised over the tracks and each block of them weighed alike."""
    mine_, theirs = [], []
    for name in names:
        all_of = np.array([track[name] for track in tracks])
        mean, deviation = all_of.mean(axis=0), all_of.std(axis=0) + 1e-9
        weight = 1 / np.sqrt(all_of.shape[1])
        mine_.append((own[name] - mean) / deviation * weight)
        theirs.append((all_of - mean) / deviation * weight)
    one, others = np.concatenate(mine_), np.concatenate(theirs, axis=1)
    return int(np.argmax(others @ one / np.linalg.norm(others, axis=1)))


MUSIC = {"styles": play_styles, "made": make_pieces, "songs": arrange_songs}
FINGERPRINTS = {
    "shape": compare_shape,
    "timbre": lambda own, tracks: compare_standard(own, tracks, ("mfcc", "chroma")),
    "strict": lambda own, tracks: compare_standard(own, tracks, ("thirds", "chroma")),
}


if __name__ == "__main__":
    main()
