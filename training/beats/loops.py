"""Plain loops: drums alone, one pattern all through, as people drop them to hear whether a tracker can be trusted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from training.beats import voices
from training.beats.music import Piece
from training.beats.voices import RATE, Synth

PATTERNS = {
    "kick": "x...x...x...x... ................ ................",
    "kick-hat": "x...x...x...x... ................ ..x...x...x...x.",
    "kick-snare": "x...x...x...x... ....x.......x... ................",
    "kick-snare-hat": "x...x...x...x... ....x.......x... ..x...x...x...x.",
    "kick-hats": "x...x...x...x... ................ x.x.x.x.x.x.x.x.",
    "backbeat": "x.......x....... ....x.......x... x.x.x.x.x.x.x.x.",
    "break": "x.....x...x..... ....x.......x... x.x.x.x.x.x.x.x.",
    "clicks": "................ ................ x...x...x...x...",
}
"""Kick, snare, hat: sixteenths of a bar."""
LEAD_S = 0.7


def make_loop(seed: int) -> Piece:
    """Make one loop, of 8 to 60 s, with or without a held chord or a low drone, a chance of silence before."""
    rng = np.random.default_rng([40_421, seed])
    name = str(rng.choice(list(PATTERNS)))
    tempo = float(round(rng.uniform(70, 178), int(rng.choice((0, 2)))))
    step_s = 60 / tempo / 4
    bars = max(2, int(rng.uniform(8, 60) / step_s / 16))
    lead = round(rng.uniform(0, LEAD_S) * RATE) if rng.random() < 0.6 else 0
    sound = np.zeros(round(bars * 16 * step_s * RATE) + RATE, np.float32)
    rows = PATTERNS[name].split()
    shots = (voices.kick(rng), voices.snare(rng), voices.hat(rng))
    gains = (rng.uniform(0.5, 1), rng.uniform(0.2, 0.9), rng.uniform(0.05, 0.5))
    for step in range(bars * 16):
        start = round(step * step_s * RATE)
        for row, shot, gain in zip(rows, shots, gains, strict=True):
            if row[step % 16] == "x":
                sound[start : start + len(shot)] += np.float32(gain) * shot[: len(sound) - start].astype(np.float32)
    sound = sound[: round(bars * 16 * step_s * RATE)]
    if rng.random() < 0.4:
        synth, root = Synth(rng, "pad"), int(rng.integers(36, 60))
        for above in (0, 3, 7)[: int(rng.integers(1, 4))]:
            sound += np.float32(rng.uniform(0.05, 0.3)) * synth.note(root + above, len(sound))[: len(sound)]
    sound = np.concatenate([np.zeros(lead, np.float32), sound])
    beats = np.arange(bars * 4) * 4 * step_s + lead / RATE
    sound = (sound / np.abs(sound).max() * rng.uniform(0.2, 0.98)).astype(np.float32)
    piece = Piece(sound, RATE, beats, np.arange(0, len(beats), 4), "4/4", f"{name}-{seed}", f"made/loop-{name}")
    return replace(piece, downbeats=np.zeros(0, int)) if name in ("kick", "kick-hat", "kick-hats", "clicks") else piece
