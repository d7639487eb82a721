"""How well `beats` hears sections, what each is for, and keys: on songs and stems whose parts are known."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import soundfile as sf
from scipy.optimize import linear_sum_assignment

from bench.arrangements import NAMES, Arrangement, arrange
from bench.trackers import run_peer
from handlers.audio.grid.features import FeatureStream
from handlers.audio.grid.labels import Section, find_sections
from handlers.audio.grid.pitches import Pitches
from handlers.audio.grid.repeats import bare
from handlers.audio.resample import resample
from handlers.beats.analyze import analyse
from handlers.stems.instrument.render import render
from handlers.stems.styles import list_styles, load_style

FIRST_SEED = 90_000
RATE = 44_100
STYLES = Path("config/styles")
LABELS = ("intro", "build", "drop", "breakdown", "outro")


def parts(count: int) -> dict[str, list[Arrangement]]:
    """Music whose sections and key are known."""
    styles = list_styles(STYLES)
    stems = []
    for number in range(count):
        stem = render(load_style(STYLES, styles[number % len(styles)]), 120.0, FIRST_SEED + number)
        sections, key = stem.grid["sections"], stem.score.common.key
        stems.append(
            Arrangement(
                stem.audio, stem.sample_rate, f"{NAMES[key.root % 12]} {key.mode}",
                np.array([one["start_s"] for one in sections]), tuple(one["label"] for one in sections),
                np.array(stem.grid["downbeats_s"]), True,
            )
        )  # fmt: skip
    seeds = range(FIRST_SEED, FIRST_SEED + count)
    return {
        "arranged songs": [arrange(seed) for seed in seeds],
        "tunes, parts differ in notes": [arrange(seed, tune=True) for seed in seeds],
        "songs whose loops begin off the tonic": [arrange(seed, turn=1 + seed % 3) for seed in seeds],
        "instrument's stems": stems,
    }


def hear_parts(pieces: list[Arrangement], pythons: list[str]) -> None:
    """Print how sections, labels and keys agree, ours on downbeats of our own."""
    rows, share, moved, rng = [], [], [], np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder:
        paths = []
        for number, piece in enumerate(pieces):
            paths.append(Path(folder) / f"{number}.wav")
            audio = resample(np.atleast_2d(piece.audio), piece.sample_rate, RATE)
            sf.write(paths[-1], audio.T, RATE, subtype="PCM_16")
            found = analyse(paths[-1])
            starts_s = np.array([one.start_s for one in found.sections[1:]])
            rows.append(
                [*(boundary_f(piece.starts_s[1:], starts_s, within) for within in (0.5, 3.0)),
                 found.key is not None and found.key.name == piece.key]
            )  # fmt: skip
            if piece.is_track:
                share.append(agreement(piece, found.sections))
            moved.append(follows(piece, audio, rng))
        f_half, f_three, key = np.mean(rows, axis=0)
        right, known = np.sum(share, axis=0) if share else (np.nan, 1)
        words, letters = np.nanmean(moved, axis=0)
        print(
            f"  sections F {f_half:.3f} at 0.5 s, {f_three:.3f} at 3 s; labels right {right / known:.3f} of the time; "
            f"shuffled, words follow their sound for {words:.3f} of it, letters for {letters:.3f}; key exact {key:.3f}"
        )
        try:
            keys = [found[0] for found, _ in run_peer(pythons, "essentia-key", paths)]
            print(
                f"  essentia (edma): key exact {np.mean([a == b.key for a, b in zip(keys, pieces, strict=True)]):.3f}"
            )
        except RuntimeError as error:
            print(f"  essentia's keys do not run here: {error}")


def boundary_f(true_s: np.ndarray, found_s: np.ndarray, within_s: float) -> float:
    """F-measure of boundaries, each matched at most once; both without the piece's start and end."""
    import mir_eval

    if not len(true_s) or not len(found_s):
        return float(len(true_s) == len(found_s))
    return 2 * len(mir_eval.util.match_events(true_s, found_s, within_s)) / (len(true_s) + len(found_s))


def agreement(piece: Arrangement, sections: list[Section]) -> tuple[int, int]:
    """At how many tenths of a second the label is right, and at how many the truth has one of our words."""
    moments = np.arange(piece.starts_s[0], sections[-1].end_s, 0.1)
    true = [piece.labels[place] for place in np.searchsorted(piece.starts_s, moments, side="right") - 1]
    places = np.searchsorted([one.start_s for one in sections], moments, side="right") - 1
    pairs = [(known, sections[max(place, 0)].label) for known, place in zip(true, places, strict=True)]
    return sum(a == b for a, b in pairs), sum(a in LABELS for a, _ in pairs)


def follows(piece: Arrangement, audio: np.ndarray, rng: np.random.Generator) -> tuple[float, float]:
    """Shares of the bars whose word, and whose letter, follows its sound when the piece's sections change places.

    What stands first or last may become an intro or an outro, and what stood there may become something else; that is
    what these words mean, so such time is not counted. Letters follow up to renaming.
    """
    shuffled, downbeats_s, moved_s = shuffle(piece, audio, rng)
    before, after = label_of(audio, piece.downbeats_s), label_of(shuffled, downbeats_s)
    middle_s = float(np.median(np.diff(piece.downbeats_s))) / 2
    pairs = [(before(old_s + middle_s), after(new_s + middle_s)) for old_s, new_s in moved_s]
    words = [one.label == other.label for one, other in pairs if {one.label, other.label} <= set(LABELS[1:-1])]
    counts = Counter((bare(one.letter), bare(other.letter)) for one, other in pairs)
    olds, news = (sorted({pair[side] for pair in counts}) for side in (0, 1))
    table = np.array([[counts[old, new] for new in news] for old in olds])
    same = table[linear_sum_assignment(-table)].sum() / table.sum()
    return float(np.mean(words)) if words else np.nan, float(same)


def shuffle(
    piece: Arrangement, audio: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, list[tuple[float, float]]]:
    """Let the sections of a piece change places: the audio, its downbeats, and where each bar was and is (seconds)."""
    edges = [*np.round(piece.starts_s * RATE).astype(int), audio.shape[1]]
    bar_s = float(np.median(np.diff(piece.downbeats_s)))
    parts, moved_s, at = [], [], 0
    for place in rng.permutation(len(edges) - 1):
        first, last = edges[place], edges[place + 1]
        inside = (piece.downbeats_s >= first / RATE - 0.01) & (piece.downbeats_s < last / RATE - bar_s / 2)
        moved_s += [(float(old_s), float(old_s + (at - first) / RATE)) for old_s in piece.downbeats_s[inside]]
        parts.append(audio[:, first:last])
        at += last - first
    return np.concatenate(parts, axis=1), np.array([new_s for _, new_s in moved_s]), moved_s


def label_of(audio: np.ndarray, downbeats_s: np.ndarray) -> Callable[[float], Section]:
    """The section at a moment, downbeats being known."""
    features, pitches = FeatureStream(RATE), Pitches(RATE)
    features.feed(audio)
    pitches.feed(audio)
    found = find_sections(features.finish(), pitches.finish(), downbeats_s, audio.shape[1] / RATE)
    starts_s = [one.start_s for one in found]
    return lambda moment_s: found[max(0, int(np.searchsorted(starts_s, moment_s, side="right")) - 1)]
