"""Rhythms for made-up music: which steps of a bar are hit, as chances, by genre; steps are sixteenths or triplets."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

Rng = np.random.Generator


@dataclass(frozen=True)
class Feel:
    """How a genre's bar is counted."""

    meter: str = "4/4"
    steps: int = 4
    """Of each beat."""
    tempo: tuple[float, float] = (90, 170)
    drums: tuple[str, ...] = ()
    """Patterns of kick, snare, hat, one of each list: x is a hit, o a softer one, ? a chance, . none."""
    swing: float = 0.0
    """How much later every other step is, as a share of a step, at most."""
    weight: float = 1.0


GENRES: dict[str, Feel] = {
    "house": Feel(tempo=(112, 134), weight=1.4, swing=0.3, drums=(
        "x...x...x...x... x...x...x..?x.?. x...x...x...x..o", "....x.......x... ....x..?....x... ....x.......x..o ................",
        "..x...x...x...x. x.x.x.x.x.x.x.x. ..xo..xo..xo..xo xxxxxxxxxxxxxxxx")),
    "techno": Feel(tempo=(124, 152), weight=1.4, drums=(
        "x...x...x...x... x...x...x...x.?.", "................ ....x.......x... ..........x.....", "..x...x...x...x. xoxoxoxoxoxoxoxo ..?...?.?.?...?.")),
    "psy": Feel(tempo=(134, 150), weight=0.8, drums=("x...x...x...x...", "....o.......o... ................", "..x...x...x...x. xoxoxoxoxoxoxoxo")),
    "breaks": Feel(tempo=(120, 145), weight=1.0, swing=0.2, drums=(
        "x.....x...x..... x..x......x..... x.x.......x..?.. x.........x.....", "....x.......x... ....x..o.o..x..o ....x.......x.o.", "x.x.x.x.x.x.x.x. xxxxxxxxxxxxxxxx x.xxx.xxx.xxx.xx")),
    "dnb": Feel(tempo=(160, 180), weight=1.3, drums=(
        "x.........x..... x.x.......x..... x.....?...xx....", "....x.......x... ....x..o.o..x... ....x..o....x..o", "x.x.x.x.x.x.x.x. xxxxxxxxxxxxxxxx ..x...x...x...x.")),
    "halftime": Feel(tempo=(130, 160), weight=0.8, drums=(
        "x.....?.....?... x..x........x... x.........?.....", "........x....... ........x......o", "x.x.x.x.x.x.x.x. x...x...x...x... xxxxxxxxxxxxxxxx")),
    "hiphop": Feel(tempo=(78, 104), weight=1.0, swing=0.35, drums=(
        "x..?....x.x..... x......xx..?.... x.....x.x.......", "....x.......x... ....x.......x..o", "x.x.x.x.x.x.x.x. x.xox.xox.xox.xo ..x...x...x...x.")),
    "rock": Feel(tempo=(92, 176), weight=1.6, drums=(
        "x.......x....... x.......x.x..... x.....x.x....... x..x..x...x.....", "....x.......x... ....x.......x.o.", "x.x.x.x.x.x.x.x. x...x...x...x... ................")),
    "march": Feel(tempo=(90, 150), weight=0.5, drums=(
        "x.......x.......", "x..xx..xx..xx.xx ....x.......x... x.xxx.x.x.xxx.x.", "................ x...x...x...x...")),
    "electro": Feel(tempo=(108, 136), weight=1.0, drums=(
        "x.....x...x..... x..x..x......... x.........x..x.. x..x....x.x.....", "....x.......x...", "x.x.x.x.x.x.x.x. x.xxx.xxx.xxx.xx")),
    "dembow": Feel(tempo=(86, 128), weight=0.6, drums=(
        "x...x...x...x... x.......x.......", "...x..x....x..x. ...x..x....x..o.", "x.x.x.x.x.x.x.x. ................")),
    "ebm": Feel(tempo=(104, 140), weight=1.0, drums=(
        "x...x...x...x... x.......x.......", "....x.......x...", "x.x.x.x.x.x.x.x. ................ ..x...x...x...x.")),
    "twostep": Feel(tempo=(126, 138), weight=0.7, swing=0.35, drums=(
        "x.........x..... x.....?...x.....", "....x.......x... ....x..o.o..x..o", "..x...x...x...x. x.xxx.xxx.xxx.xx")),
    "sparse": Feel(tempo=(70, 150), weight=0.7, drums=("x............... x.......?....... ................", "........x....... ................ ....o.......o...", "................ ....x.......x... x...x...x...x...")),
    "none": Feel(tempo=(70, 160), weight=1.3, drums=("................", "................", "................")),
    "odd": Feel(tempo=(80, 176), weight=1.2, drums=("", "", "")),
    "shuffle": Feel(steps=3, tempo=(90, 170), weight=0.5, drums=(
        "x..x..x..x.. x.....x..... x....xx.....", "...x.....x..", "x.xx.xx.xx.x x..x..x..x.. xxxxxxxxxxxx")),
    "triplet": Feel(steps=3, tempo=(70, 140), weight=0.4, drums=("x.....x..... x..x..x..x.. x....x......", "...x.....x.. ......x.....", "xxxxxxxxxxxx x.xx.xx.xx.x ............")),
    "waltz": Feel(meter="3/4", tempo=(84, 190), weight=0.5, drums=("x........... x.......?... ............", "....x...x... ............ ....o...x...", "x...x...x... x.x.x.x.x.x. ............")),
    "slow3": Feel(meter="3/4", tempo=(76, 140), weight=0.3, drums=("x.....x..... x....x...... x...........", "........x... ....x.......", "x.x.x.x.x.x. xxxxxxxxxxxx")),
    "sixeight": Feel(meter="6/8", steps=3, tempo=(56, 120), weight=0.35, drums=("x..... x..x.. x....?", "...x.. ......", "xxxxxx x.xx.x ......")),
}  # fmt: skip


def draw_drums(genre: str, rng: Rng, steps: int) -> list[np.ndarray]:
    """Chances of a hit for kick, snare and hat: ``(steps,)`` each, of a bar."""
    if genre == "odd":
        return _draw_odd(rng, steps)
    rows = []
    for text in GENRES[genre].drums:
        pattern = str(rng.choice(text.split()))
        chance = np.array([{"x": 1.0, "o": 0.45, "?": 0.5, ".": 0.0}[sign] for sign in pattern])
        rows.append(np.resize(chance, steps))
    if rng.random() < 0.3:
        # A few hits come or go.
        for row in rows:
            row[rng.integers(steps)] = rng.choice((0.0, 1.0, 0.5))
    return rows


def _draw_odd(rng: Rng, steps: int) -> list[np.ndarray]:
    """Random patterns that lean on strong places, as people's do."""
    strength = np.array(
        [
            1.0 if s == 0 else 0.75 if s % 8 == 0 else 0.6 if s % 4 == 0 else 0.35 if s % 2 == 0 else 0.15
            for s in range(steps)
        ]
    )
    rows = [strength ** rng.uniform(0.8, 2.0), np.roll(strength, 4) ** 2, strength**0.6]
    return [(rng.random(steps) < row).astype(float) * rng.choice((1.0, 0.5), size=steps, p=(0.8, 0.2)) for row in rows]


def draw_line(rng: Rng, steps: int, per_beat: int, density: float) -> np.ndarray:
    """A bar's rhythm for a melody or a bass: bool ``(steps,)``."""
    strength = np.where(
        np.arange(steps) % per_beat == 0, 1.0, np.where(np.arange(steps) % max(1, per_beat // 2) == 0, 0.8, 0.45)
    )
    hits = rng.random(steps) < strength * density
    hits[0] |= rng.random() < 0.75
    return hits
