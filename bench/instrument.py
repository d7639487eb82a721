"""The built-in instrument: how long it takes on one core, and how far its stems lie apart.

Run it as ``python -m bench.instrument``. The peer, once: ``pip install --no-deps tinysoundfont pretty_midi``.

Speed is in seconds of CPU (user and system, all threads, the median of three) for a minute of stereo at 44.1 kHz,
rendered in memory with its grid and its MIDI. The peer plays the same MIDI through TinySoundFont, a sampler written in
C, with the General MIDI sound font that pretty_midi brings: what people use who have notes and want to hear them. It
mixes samples that somebody recorded, without effects; the instrument composes and synthesises what it plays.

Variety is measured on eight stems a style. Timbre: the mean and the spread of 20 MFCCs. Onsets: how strongly each of
the 16 steps of a bar is struck, in three bands, by spectral flux. Either distance is Euclidean, between features scaled
to unit variance over all stems; for both together each is divided by its mean. A style's spread is the mean distance
between its own stems over the mean distance from them to the stems of the other styles: 0 would be eight copies, 1 no
style at all. Wanted: 0.3 to 1.
"""

from __future__ import annotations

import argparse
import io
import math
import statistics
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from librosa import feature, power_to_db

from handlers.stems.instrument.notation import write_notes
from handlers.stems.instrument.render import SAMPLE_RATE, Rendered, render
from handlers.stems.instrument.score import STEPS
from handlers.stems.styles import Style, list_styles, load_style

STYLES = Path(__file__).parent.parent / "config" / "styles"
MINUTE_S = 60.0
SHORT_S = 30.0
STEMS = 8
REPEATS = 3
BANDS_HZ = ((30, 150), (150, 2500), (2500, 16_000))
HOP, WINDOW = 512, 2048
LEAST, MOST = 0.3, 1.0


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("styles", nargs="*", help="only these, such as industrial/bed")
    parser.add_argument("--skip-variety", action="store_true")
    chosen = parser.parse_args()
    styles = [load_style(STYLES, name) for name in chosen.styles or list_styles(STYLES)]
    speed(styles)
    if not chosen.skip_variety:
        variety(styles)


def speed(styles: list[Style]) -> None:
    """Print CPU seconds a minute of each style takes, and what the peer takes for the same notes."""
    peer = find_spec("tinysoundfont") and find_spec("pretty_midi")
    print(f"CPU seconds for {MINUTE_S:g} s of stereo, one core, median of {REPEATS}; peer: TinySoundFont, same notes")
    render(styles[0], 2.0, 1)
    own_all, peer_all = [], []
    for style in styles:
        own = cpu_s(lambda style=style: write(render(style, MINUTE_S, 7), style))
        layered = cpu_s(lambda style=style: render(style, MINUTE_S, 7, layers=True), 1)
        line = f"  {style.name:26} {own:5.2f}   with layers {layered:5.2f}"
        own_all.append(own)
        if peer:
            midi = write(render(style, MINUTE_S, 7), style)
            took = cpu_s(lambda midi=midi: play_by_soundfont(midi))
            peer_all.append(took)
            line += f"   peer {took:5.2f}   ratio {took / own:4.2f}"
        print(line, flush=True)
    print(
        f"  worst {max(own_all):.2f}, mean {statistics.mean(own_all):.2f}"
        + (f"; peer's mean {statistics.mean(peer_all):.2f}" if peer_all else "; no peer is installed")
    )


def write(stem: Rendered, style: Style) -> bytes:
    """The stem's MIDI."""
    return write_notes(stem.score, style.name, snare=style.character.snare, lead=style.character.lead)


def cpu_s(act: Callable[[], object], repeats: int = REPEATS) -> float:
    """Seconds of user and system time."""
    took = []
    for _ in range(repeats):
        began = time.process_time()
        act()
        took.append(time.process_time() - began)
    return statistics.median(took)


def play_by_soundfont(midi: bytes) -> np.ndarray:
    """Play a MIDI file through TinySoundFont: ``(2, samples)``."""
    import mido
    import tinysoundfont

    (font,) = (Path(find_spec("pretty_midi").origin).parent).glob("*.sf2")
    synth = tinysoundfont.Synth(gain=-12, samplerate=SAMPLE_RATE)
    loaded = synth.sfload(str(font))
    for channel in range(16):
        synth.program_select(channel, loaded, 128 if channel == 9 else 0, 0, channel == 9)
    blocks, due = [], 0.0
    for message in mido.MidiFile(file=io.BytesIO(midi)):
        due += message.time * SAMPLE_RATE
        if whole := int(due):
            blocks.append(np.frombuffer(synth.generate(whole), np.float32).copy())
            due -= whole
        if message.type == "program_change":
            synth.program_select(message.channel, loaded, 0, message.program)
        elif message.type == "note_on":
            synth.noteon(message.channel, message.note, message.velocity)
        elif message.type == "note_off":
            synth.noteoff(message.channel, message.note)
    audio = np.concatenate(blocks).reshape(-1, 2).T
    assert np.abs(audio).max() > 0.01, "the peer is heard"
    return audio


def variety(styles: list[Style]) -> None:
    """Print each style's spread."""
    print(
        f"\nSpread of {STEMS} stems of {SHORT_S:g} s; distance within / distance to other styles, {LEAST:g} to {MOST:g}"
    )
    timbre, onsets, owner = [], [], []
    for number, style in enumerate(styles):
        for index in range(1, STEMS + 1):
            stem = render(style, SHORT_S, 7, step="bench", index=index)
            spectrum = power(stem)
            timbre.append(timbre_of(spectrum))
            onsets.append(onsets_of(spectrum, stem))
            owner.append(number)
    owner = np.array(owner)
    tables = [distances(np.array(features)) for features in (timbre, onsets)]
    tables.append((tables[0] / tables[0].mean() + tables[1] / tables[1].mean()) / 2)
    good = 0
    print(f"  {'':26} {'timbre':>7} {'onsets':>7} {'both':>7}")
    ratios = []
    for number, style in enumerate(styles):
        mine = owner == number
        row = []
        for table in tables:
            within = table[np.ix_(mine, mine)]
            row.append(within.sum() / (within.size - len(within)) / table[np.ix_(mine, ~mine)].mean())
        ratios.append(row)
        good += LEAST <= row[2] < MOST
        print(f"  {style.name:26} " + " ".join(f"{ratio:7.2f}" for ratio in row), flush=True)
    print(f"  {'mean':26} " + " ".join(f"{ratio:7.2f}" for ratio in np.mean(ratios, axis=0)))
    print(f"  {good} of {len(styles)} styles lie within {LEAST:g} to {MOST:g} by both together")


def power(stem: Rendered) -> np.ndarray:
    """Power spectrogram of the middle, ``(bins, frames)``."""
    mono = stem.audio.mean(axis=0)
    frames = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[::HOP] * np.hanning(WINDOW).astype(np.float32)
    return (np.abs(np.fft.rfft(frames, axis=1)) ** 2).T


def timbre_of(spectrum: np.ndarray) -> np.ndarray:
    """Means and spreads of 20 MFCCs."""
    mel = feature.melspectrogram(S=spectrum, sr=SAMPLE_RATE, n_mels=64)
    mfcc = feature.mfcc(S=power_to_db(mel, ref=1.0, top_db=80), n_mfcc=20)
    return np.concatenate([mfcc.mean(axis=1), mfcc.std(axis=1)])


def onsets_of(spectrum: np.ndarray, stem: Rendered) -> np.ndarray:
    """How strongly each step of a bar is struck, band by band, as shares of the band's whole flux: ``(48,)``."""
    hertz = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE)
    # The first frame's middle lies half a window after the start; an onset shows a little before its frame's middle.
    steps = ((np.arange(spectrum.shape[1] - 1) + 1) * HOP + WINDOW * 0.75) / stem.score.meter.step_frames
    place = np.floor(steps + 0.25).astype(int) % STEPS
    found = []
    for low, high in BANDS_HZ:
        band = np.log1p(1e3 * spectrum[(hertz >= low) & (hertz < high)].sum(axis=0))
        flux = np.maximum(0, np.diff(band))
        folded = np.bincount(place, flux, STEPS)
        found.append(folded / (folded.sum() + 1e-9))
    return np.concatenate(found)


def distances(features: np.ndarray) -> np.ndarray:
    """Euclidean, between all pairs of rows, each column scaled to unit variance."""
    scaled = (features - features.mean(axis=0)) / (features.std(axis=0) + 1e-9)
    return np.sqrt(np.maximum(0, ((scaled[:, None] - scaled[None]) ** 2).sum(axis=2))) / math.sqrt(features.shape[1])


if __name__ == "__main__":
    main()
