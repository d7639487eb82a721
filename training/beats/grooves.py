"""Grooves: what styles of music do with drums, bass and chords, for songs; unlike :mod:`patterns` in all but notation.

A pattern is one bar or two: x is a hit, o a softer one, ? one that comes and goes, . none. Steps are sixteenths, or
thirds of a beat.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from training.beats.patterns import Rng

SIGNS = {"x": 1.0, "o": 0.45, "?": 0.5, ".": 0.0}
BASSES = ("roots", "fifths", "octaves", "eighths", "off", "pushed", "long", "walking", "riff")
COMPS = ("held", "off", "eighths", "stabs", "pushed", "broken", "after", "quarters")


@dataclass(frozen=True)
class Groove:
    """A style of accompaniment."""

    tempo: tuple[float, float]
    parts: dict[str, str]
    """For each drum, patterns to choose from."""
    meter: str = "4/4"
    steps: int = 4
    """Of each beat."""
    bass: tuple[str, ...] = BASSES
    comp: tuple[str, ...] = COMPS
    swing: float = 0.0
    """How much later every other step may be, as a share of a step."""
    weight: float = 1.0


_BACK = "....x.......x..."
_FOUR = "x...x...x...x..."
_HATS = "x.x.x.x.x.x.x.x. xxxxxxxxxxxxxxxx x...x...x...x..."
GROOVES: dict[str, Groove] = {
    "disco": Groove((108, 132), {"kick": _FOUR, "snare": _BACK, "open": "..x...x...x...x.", "hat": _HATS}, bass=("octaves", "riff", "eighths"), weight=1.2),
    "funk": Groove((88, 118), {"kick": "x..x......x..x.. x.x.......x..x.. x.....x...x.x..x", "snare": "....x..o.o..x..o ....x..o....x.o.", "hat": "xxxxxxxxxxxxxxxx x.xxx.xxx.xxx.xx"}, bass=("riff", "pushed"), swing=0.25),
    "rock": Groove((88, 184), {"kick": "x.......x.x..... x...x...x.x..... x.....x.x....... x.x.....x.x...x.", "snare": _BACK, "hat": _HATS, "crash": "x..............................."}, bass=("eighths", "roots", "riff"), weight=1.6),
    "ballad": Groove((60, 94), {"kick": "x.......x....... x.....x.x.......", "snare": _BACK + " ............x...", "hat": "x.x.x.x.x.x.x.x. x...x...x...x..."}, bass=("long", "roots", "fifths"), comp=("held", "broken", "quarters")),
    "metal": Groove((92, 190), {"kick": "x.x.x.x.x.x.x.x. xxxxxxxxxxxxxxxx x.xxx.xxx.xxx.xx x..xx..xx..xx.x.", "snare": _BACK, "hat": "x...x...x...x... x.x.x.x.x.x.x.x."}, bass=("eighths", "riff"), comp=("eighths", "stabs", "held")),
    "onedrop": Groove((66, 96), {"kick": "....x.......x...", "snare": "....o.......o... ................", "hat": "x.x.x.x.x.x.x.x. ..x...x...x...x."}, bass=("riff", "roots"), comp=("off",), swing=0.2, weight=0.6),
    "ska": Groove((112, 156), {"kick": "x.......x....... x...x...x...x...", "snare": _BACK, "hat": "x.x.x.x.x.x.x.x."}, bass=("walking", "riff"), comp=("off",), weight=0.5),
    "bossa": Groove((104, 156), {"kick": "x.....x.x.....x.", "rim": "x.....x.....x.......x.....x.....", "hat": "x.x.x.x.x.x.x.x."}, bass=("fifths",), comp=("stabs", "pushed"), weight=0.6),
    "samba": Groove((84, 116), {"kick": "x..xx..xx..xx..x", "tom": "....x.......x..x", "hat": "xxxxxxxxxxxxxxxx xoxxxoxxxoxxxoxx"}, bass=("fifths", "pushed"), weight=0.5),
    "son": Groove((78, 108), {"rim": "x..x..x...x.x... ..x.x...x..x..x. x..x...x..x.x...", "tom": "....x.......x.xx ...xx..x....x.xx", "hat": "x...x...x...x... x.ooxooox.ooxooo"}, bass=("pushed",), comp=("pushed", "stabs"), weight=0.6),
    "afro": Groove((108, 128), {"kick": _FOUR, "rim": "x..x..x...x.x...", "tom": "..x..x....x..x.. ...x..x....x..x.", "hat": "xxxxxxxxxxxxxxxx"}, weight=0.7),
    "trance": Groove((128, 144), {"kick": _FOUR, "snare": _BACK, "open": "..x...x...x...x.", "hat": "xxxxxxxxxxxxxxxx ................"}, bass=("off", "eighths"), comp=("held", "stabs", "broken"), weight=1.2),
    "eurodance": Groove((122, 152), {"kick": _FOUR, "snare": _BACK, "open": "..x...x...x...x."}, bass=("off", "octaves"), comp=("stabs", "held")),
    "gabber": Groove((150, 200), {"kick": _FOUR, "snare": "................ ....x.......x...", "hat": "..x...x...x...x."}, bass=("off", "riff"), weight=0.6),
    "trap": Groove((126, 168), {"kick": "x.....x....x.... x.........x.x... x.....?...x.....", "snare": "........x.......", "hat": "x.x.x.x.x.x.xxxx xxx.x.xxx.x.x.x. x.x.x.x.x.x.x.x."}, bass=("long", "riff"), weight=0.8),
    "jungle": Groove((152, 178), {"kick": "x.x.......xx.... x.x.......x.....", "snare": "....x..x.x..x..x ....x..o.o..x...", "hat": "x.x.x.x.x.x.x.x."}, bass=("long", "riff", "roots"), weight=0.8),
    "synthpop": Groove((96, 138), {"kick": "x.......x....... x...x...x...x... x.......x.x.....", "snare": _BACK, "hat": _HATS}, bass=("eighths", "octaves", "riff"), weight=1.3),
    "industrial": Groove((96, 144), {"kick": "x..x..x.x..x..x. x...x...x...x..x x.x...x.x.x...x.", "snare": "....x.......x..x ....x..x....x... " + _BACK, "metal": "..x..x....x..x.. x......x....x... ..........x.....", "hat": _HATS}, bass=("eighths", "riff", "off"), weight=1.4),
    "electro": Groove((104, 140), {"kick": "x.....x...x..... x..x....x.x..... x.....x..x......", "snare": _BACK, "hat": _HATS, "metal": "..x...x....x..x. ................"}, bass=("riff", "octaves")),
    "chip": Groove((100, 184), {"kick": "x.......x....... x.....x.x....... x...x...x...x...", "snare": _BACK, "hat": "x.x.x.x.x.x.x.x. ..x...x...x...x. ................"}, bass=("octaves", "eighths", "riff", "fifths"), comp=("broken",), weight=2.0),
    "country": Groove((96, 176), {"kick": "x.......x.......", "snare": "ooxooox.ooxooox. o.o.x.o.o.o.x.o. ....x.......x..."}, bass=("fifths",), comp=("after", "off"), weight=0.6),
    "halftime": Groove((128, 172), {"kick": "x.......?....... x..x........x...", "snare": "........x.......", "hat": _HATS}, bass=("long", "riff", "roots"), weight=0.8),
    "dub": Groove((104, 132), {"kick": _FOUR, "hat": "..x...x...x...x.", "rim": "......x......x.. ..........x....."}, bass=("long", "riff"), comp=("off", "stabs", "pushed")),
    "procession": Groove((84, 132), {"kick": "x.......x....... x...x...x...x...", "snare": "x..xx..xx..xx.xx ooooxooooooox.x. x.xxx.x.x.xxx.x.", "crash": "x..............................."}, bass=("fifths", "roots"), comp=("after", "quarters"), weight=0.7),
    "bare": Groove((66, 168), {"hat": "x...x...x...x... ................"}, weight=2.4),
    "ostinato": Groove((76, 160), {"tom": "x.......x....... x..x..x.x..x..x. ................"}, bass=("roots", "long", "eighths"), comp=("broken", "quarters", "stabs"), weight=1.2),
    "shuffle": Groove((84, 160), {"kick": "x.....x..... x..x..x..x.. x....xx.....", "snare": "...x.....x..", "hat": "x.xx.xx.xx.x x..x..x..x.."}, steps=3, bass=("walking", "roots", "eighths"), comp=("off", "quarters", "stabs"), weight=1.2),
    "swing": Groove((96, 200), {"hat": "x..x.xx..x.x", "rim": "...x.....x..", "kick": "o..o..o..o.. ............"}, steps=3, bass=("walking",), comp=("stabs", "pushed", "off"), weight=0.9),
    "twelve": Groove((48, 84), {"kick": "x....xx..... x.....x.....", "snare": "...x.....x..", "hat": "xxxxxxxxxxxx"}, steps=3, bass=("roots", "long", "riff"), comp=("eighths", "held", "broken"), weight=0.8),
    "triplets": Groove((72, 150), {"kick": "x..x..x..x.. x.....x.....", "snare": "...x.....x.. ............", "hat": "xxxxxxxxxxxx x.xx.xx.xx.x ............"}, steps=3, comp=("broken", "held"), weight=0.8),
    "waltz": Groove((84, 196), {"kick": "x........... ............", "snare": "....x...x... ............", "hat": "x...x...x... x.x.x.x.x.x. ............"}, "3/4", bass=("roots", "long", "fifths"), comp=("after", "broken", "held"), weight=1.4),
    "rockwaltz": Groove((84, 168), {"kick": "x........... x.....x.....", "snare": "........x... ....x.......", "hat": "x.x.x.x.x.x. xxxxxxxxxxxx"}, "3/4", weight=0.7),
    "swungwaltz": Groove((96, 180), {"kick": "x........", "rim": "...x..x.. ......x..", "hat": "x..x.xx.x x..x..x.x"}, "3/4", 3, bass=("walking", "long"), comp=("stabs", "after"), weight=0.5),
    "sixeight": Groove((44, 84), {"kick": "x..... x....x x....xx.x...", "snare": "...x..", "hat": "xxxxxx x.xx.x"}, "6/8", 3, bass=("long", "roots", "eighths"), comp=("broken", "held", "eighths"), weight=1.2),
    "jig": Groove((80, 132), {"kick": "x..x.. x.....", "snare": "...... ..x..x ...x..", "tom": "x.xx.x ......"}, "6/8", 3, bass=("roots", "fifths"), comp=("after", "quarters", "broken"), weight=0.7),
}  # fmt: skip


def draw_parts(groove: Groove, rng: Rng, steps: int) -> dict[str, np.ndarray]:
    """Chances of a hit for each drum, ``(2, steps)``: of the even and of the odd bars."""
    rows = {}
    for part, text in groove.parts.items():
        chance = np.array([SIGNS[sign] for sign in str(rng.choice(text.split()))])
        row = (
            np.resize(chance, 2 * steps) if len(chance) % steps == 0 else np.resize(np.resize(chance, steps), 2 * steps)
        )
        row = row.reshape(2, steps).copy()
        if rng.random() < 0.3:
            row[1, rng.integers(steps)] = rng.choice((0.0, 1.0))
        rows[part] = row
    return rows
