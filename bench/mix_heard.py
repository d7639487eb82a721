"""What is heard in a mix, measured on sound whose truth is known: levels, seams, beats and channels; part of `bench.mix`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile as sf

from bench.mix_report import RATE, Quiet, say
from handlers.audio.files import read
from handlers.contract import InputFile
from handlers.mix.mixdown import run
from handlers.mix.params import MixParams

PAIRS = ((128, 132), (126, 131), (140, 138))
BARS = 8


def mixed_here(folder: Path, pieces: Sequence[tuple[np.ndarray, dict | None]], **keys: Any) -> tuple[np.ndarray, dict]:
    """Mix arrays with their grids; return the audio and the manifest's facts."""
    inputs = []
    for number, (audio, grid) in enumerate(pieces):
        path = folder / f"piece{number}.wav"
        sf.write(path, audio.T, RATE, subtype="FLOAT")
        sidecars = {}
        if grid:
            sidecars["grid"] = folder / f"piece{number}.json"
            sidecars["grid"].write_text(json.dumps(grid))
        inputs.append(InputFile(path, f"piece{number}", "", sidecars=sidecars))
    context = Quiet(folder / "out", {"set": inputs})
    run(MixParams.model_validate({"order": ["set"], "formats": [{"wav": {"bits": 32}}], **keys}), context)
    if context.warnings:
        raise RuntimeError("; ".join(context.warnings))
    return read(context.primary["path"])[0], context.primary


def noise(seed: int, duration_s: float = 30.0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal((2, round(duration_s * RATE)))).astype(np.float32)


def flux(audio: np.ndarray) -> np.ndarray:
    """Rise of the log spectrum from frame to frame, of 1024 samples every 256."""
    frames = np.lib.stride_tricks.sliding_window_view(audio.mean(axis=0), 1024)[::256]
    power = np.abs(np.fft.rfft(frames * np.hanning(1024), axis=1)) ** 2
    return np.maximum(np.diff(np.log(power + 1e-9), axis=0), 0).mean(axis=1)


def bench_laws(folder: Path) -> None:
    print("\ntransitions on unlike noise: level in windows of 0.5 s beside the pieces' own; flux at the seams")
    settings = {
        "crossfade, keep_level": {"duration": 10},
        "crossfade, equal_power": {"duration": 10, "curve": "equal_power"},
        "crossfade, linear": {"duration": 10, "curve": "linear"},
        "crossfade, 10 s out, 3 s in": {"fade_out": 10, "fade_in": 3},
        "filter": {"kind": "filter", "duration": 10},
        "echo_out": {"kind": "echo_out", "duration": 4},
    }
    own = 10 * np.log10(np.mean(noise(1) ** 2))
    steady = piece("a", 120, 15)[1]
    for name, transition in settings.items():
        audio, facts = mixed_here(folder, [(noise(1), steady), (noise(2), steady)], transition=transition)
        joint = facts["transitions"][0]
        first, last = round(joint["start_s"] * RATE), round(joint["end_s"] * RATE)
        level = [
            10 * np.log10(np.mean(audio[:, at : at + RATE // 2] ** 2)) - own
            for at in range(first, last - RATE // 2 + 1, RATE // 2)
        ]
        change = flux(audio)
        seams = max(change[max(0, at // 256 - 4) : at // 256 + 5].max() for at in (first, last))
        within = seams <= np.percentile(change[: first // 256 - 8], 99.9)
        law = (
            max(map(abs, level)) <= 0.2
            if name in ("crossfade, keep_level", "crossfade, equal_power", "filter")
            else None
        )
        say(f"{name:30s} {min(level):+6.2f} .. {max(level):+5.2f} dB", law)
        say(f"{'':30s} flux at the seams within the pieces' own", bool(within))
    same = noise(3)
    # The second piece begins where the first begins to leave: sample on sample the same.
    after = np.concatenate([same[:, 20 * RATE :], noise(4)], axis=1)
    audio, _ = mixed_here(folder, [(same, None), (after, None)], transition={"duration": 10})
    level = 10 * np.log10(np.mean(audio[:, 24 * RATE : 26 * RATE] ** 2)) - own
    say(f"{'the same material, keep_level':30s} {level:+6.2f} dB in the middle", abs(level) <= 0.2)


def piece(name: str, tempo_bpm: float, bars: int, lead_s: float = 0.0) -> tuple[np.ndarray, dict]:
    """Hits on every beat, their own for each piece and louder on downbeats, a constant phase between the channels."""
    rng = np.random.default_rng(ord(name))
    hit = rng.standard_normal(700) * np.exp(-np.arange(700) / 150)
    hit = (hit / np.abs(hit).max()).astype(np.float32)
    beats_s = lead_s + np.arange(bars * 4) * 60 / tempo_bpm
    audio = np.zeros((2, round((lead_s + bars * 240 / tempo_bpm) * RATE)), np.float32)
    for number, time_s in enumerate(beats_s):
        place = round(time_s * RATE)
        room = audio[:, place : place + 700].shape[1]
        audio[:, place : place + room] += hit[:room] * (0.3 if number % 4 else 0.6)
    grid = {"tempo_bpm": tempo_bpm, "beats_s": beats_s.tolist(), "downbeats_s": beats_s[::4].tolist()}
    return audio, grid


def hit_of(name: str) -> np.ndarray:
    return piece(name, 60, 1)[0][0, :700]


def onsets(name: str, audio: np.ndarray, due: np.ndarray) -> Iterator[tuple[float, float]]:
    """Of a piece's hit near each place: how far off it is in ms, and how loud."""
    hit = hit_of(name)
    for place in due:
        first = max(0, round(place) - 1764)
        fit = np.abs(np.correlate(audio[first : round(place) + 1764 + 700], hit, "valid"))
        best = int(np.argmax(fit))
        # The peak between samples.
        left, middle, right = fit[max(0, best - 1)], fit[best], fit[min(len(fit) - 1, best + 1)]
        bent = left - 2 * middle + right
        fine = best + (0.5 * (left - right) / bent if bent else 0.0)
        yield 1000 * (first + fine - place) / RATE, float(middle)


def judge_overlap(audio: np.ndarray, start: float, before: float, after: float, hold: bool) -> dict[str, Any]:
    """Phase between the two pieces at every beat where both are heard, tempo, and whether downbeats meet."""
    beats = 4 * BARS
    blend = np.zeros(beats) if hold else (np.arange(beats) + 0.5) / beats
    steps = RATE * (60 / before * (1 - blend) + 60 / after * blend)
    due = start + np.concatenate([[0.0], np.cumsum(steps)])
    heard = slice(beats // 8, beats - beats // 8)
    first = np.array(list(onsets("a", audio, due[heard])))
    second = np.array(list(onsets("b", audio, due[heard])))
    apart = np.abs(first[:, 0] - second[:, 0])
    numbers = np.arange(beats)[heard]
    # Each piece's accent (the loudest of four beats) has to be the same beat.
    accents = [int(np.argmax([np.mean(part[numbers % 4 == beat, 1]) for beat in range(4)])) for part in (first, second)]
    ideal = 60 * RATE / steps[heard][: len(first) - 1]
    tempo = [60 / (np.diff(due[heard] / RATE + part[:, 0] / 1000)) for part in (first, second)]
    # Over the whole of what is heard: single beats carry the rounding of a sample.
    error = max(abs(float(np.mean(got) - np.mean(ideal))) for got in tempo)
    return {"median": float(np.median(apart)), "worst": float(apart.max()), "accents": accents, "bpm": error}


def bench_beatmatch(folder: Path) -> None:
    print(f"\nbeat-matched pairs with known grids, {BARS} bars: the pieces' beats against each other")
    for before, after in PAIRS:
        for tempo in ("ramp", "hold"):
            pieces = [piece("a", before, 32), piece("b", after, 32, lead_s=0.37)]
            wanted = {"kind": "beatmatch", "bars": BARS, "tempo": tempo, "bass_swap": False}
            audio, facts = mixed_here(folder, pieces, transition=wanted)
            joint = facts["transitions"][0]
            if joint["kind"] != "beatmatch":
                raise RuntimeError(str(joint))
            found = judge_overlap(audio[0], joint["start_s"] * RATE, before, after, tempo == "hold")
            kept = found["median"] <= 3 and found["worst"] <= 8 and found["bpm"] <= 0.02
            say(
                f"{before} to {after}, {tempo}: median {found['median']:.2f} ms, worst {found['worst']:.2f} ms, "
                f"tempo off by {found['bpm']:.4f} BPM",
                kept and found["accents"] == [0, 0],
            )
    # The check itself must be able to fail: a grid whose downbeats are one beat late is mixed off the beat.
    audio_b, grid = piece("b", 132, 32, lead_s=0.37)
    late = {**grid, "downbeats_s": grid["beats_s"][1::4]}
    wanted = {"kind": "beatmatch", "bars": BARS, "bass_swap": False}
    audio, facts = mixed_here(folder, [piece("a", 128, 32), (audio_b, late)], transition=wanted)
    found = judge_overlap(audio[0], facts["transitions"][0]["start_s"] * RATE, 128, 132, False)
    say(f"the same a beat late: accents on beats {found['accents']}: seen", found["accents"] != [0, 0])
    bench_channels(folder)


def bench_channels(folder: Path) -> None:
    """The stretch must keep what lies between the channels: a phase of 60 degrees, over the spectrum of real noise."""
    _, grid_a = piece("a", 128, 32)
    _, grid_b = piece("b", 132, 32)
    frames = round(32 * 240 / 128 * RATE)
    spectrum = np.fft.rfft(np.random.default_rng(9).standard_normal(frames))
    left = 0.1 * np.fft.irfft(spectrum, frames)
    right = 0.1 * np.fft.irfft(spectrum * np.exp(1j * np.pi / 3), frames)
    wanted = {"kind": "beatmatch", "bars": BARS, "bass_swap": False}
    both = np.stack([left, right]).astype(np.float32)
    silent = np.zeros((2, round(32 * 240 / 132 * RATE)), np.float32)
    audio, facts = mixed_here(folder, [(both, grid_a), (silent, grid_b)], transition=wanted)
    joint = facts["transitions"][0]
    first, last = (round(joint[name] * RATE) for name in ("start_s", "end_s"))
    part = audio[:, first : first + (last - first) * 3 // 4]
    windows = np.lib.stride_tricks.sliding_window_view(part, 4096, axis=1)[:, ::1024] * np.hanning(4096)
    one, other = np.fft.rfft(windows, axis=2)
    band = slice(10, 1500)
    cross = (other * one.conj()).sum(axis=0)[band]
    coherence = np.abs(cross) / np.sqrt((np.abs(one) ** 2).sum(axis=0) * (np.abs(other) ** 2).sum(axis=0))[band]
    phase = np.degrees(np.angle(cross))
    say(
        f"channels 60 degrees apart: {np.median(phase):.1f} after the stretch (90 % within "
        f"{np.percentile(np.abs(phase - 60), 90):.1f}), coherence {np.median(coherence):.3f}",
        bool(abs(np.median(phase) - 60) < 3 and np.median(coherence) > 0.9),
    )
