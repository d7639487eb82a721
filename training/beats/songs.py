"""Songs: a second kind of made-up music, of other styles, sounds and forms than :mod:`music`, so that neither is the measure.

A song has a groove, chords that go round, a bass, an accompaniment and a tune in phrases; instruments come and go by
section, fills lead over, some begin on an upbeat, some sound like an old sampler.
"""

from __future__ import annotations

import numpy as np

from training.beats import voices
from training.beats.canvas import Canvas, draw_clock
from training.beats.effects import crush, finish
from training.beats.grooves import GROOVES, Groove, draw_parts
from training.beats.instruments import draw_player
from training.beats.music import BEATS, SCALES, Piece, end_piece
from training.beats.patterns import Rng
from training.beats.voices import RATE

LOOPS = (
    (0, 5, 2, 6), (0, 3, 4, 0), (0, 4, 5, 3), (0, 5, 3, 4), (0, 6, 5, 6), (0, 0, 3, 4), (0, 2, 3, 4), (0,), (0, 3),
    (0, 6), (1, 4, 0, 0), (0, 0, 5, 6), (0, 5, 1, 4), (0, 4, 5, 2, 3, 0, 3, 4), (0, 0, 0, 0, 3, 3, 0, 0, 4, 3, 0, 4),
)  # fmt: skip
"""Degrees of chords that go round, the twelve-bar blues last."""
PARTS = ("bass", "comp", "pad", "tune", "arp")


def make_song(
    seed: int, *, style: str | None = None, drift: str | None = None, duration_s: float | None = None
) -> Piece:
    """Make one song.

    Parameters
    ----------
    seed
        Decides everything that is not given.
    style
        One of :data:`training.beats.grooves.GROOVES`.
    drift
        As in :func:`training.beats.music.make_piece`.
    duration_s
        About how long.
    """
    rng = np.random.default_rng([40_423, seed])
    weights = np.array([groove.weight for groove in GROOVES.values()])
    style = style or str(rng.choice(list(GROOVES), p=weights / weights.sum()))
    groove = GROOVES[style]
    low, high = groove.tempo
    tempo = float(
        rng.uniform(low, high) if rng.random() < 0.8 else rng.uniform(max(44, low * 0.85), min(204, high * 1.15))
    )
    tempo = float(round(tempo)) if rng.random() < 0.6 else tempo
    per_bar = BEATS[groove.meter]
    duration = duration_s or float(rng.choice((15, 30, 50, 75, 110), p=(0.05, 0.15, 0.3, 0.35, 0.15)))
    bars = max(4, round(duration * tempo / 60 / per_bar))
    beat_s = draw_clock(rng, bars * per_bar, tempo, drift)
    song = _Song(rng, groove, beat_s, bars)
    sound = finish(rng, song.play(), 60 / tempo)
    if rng.random() < 0.25:
        sound = crush(rng, sound)
    beats = beat_s[:-1]
    downbeats = np.arange(0, len(beats), per_bar)
    if rng.random() < 0.3:
        # It begins on an upbeat, or somewhere in a bar.
        upbeats = int(rng.integers(1, per_bar))
        cut = round(beats[upbeats] * RATE)
        sound, beats, downbeats = sound[cut:], beats[upbeats:] - cut / RATE, downbeats[1:] - upbeats
    piece = Piece(sound, RATE, beats, downbeats, groove.meter, f"{style}-{seed}", f"songs/{style}", drift is None)
    return end_piece(rng, piece)


class _Song:
    """One song while it is played."""

    def __init__(self, rng: Rng, groove: Groove, beat_s: np.ndarray, bars: int) -> None:
        self.rng, self.groove, self.bars = rng, groove, bars
        self.per_bar = BEATS[groove.meter]
        self.steps = self.per_bar * groove.steps
        self.drums, self.notes = Canvas(rng, beat_s), Canvas(rng, beat_s)
        self.swing = rng.uniform(0, groove.swing) if rng.random() < 0.6 else 0.0
        self.unit = int(rng.choice((4, 8, 8, 16))) if bars >= 16 else int(rng.choice((2, 4)))
        self.scale = SCALES[rng.integers(len(SCALES))]
        self.root = int(rng.integers(28, 41))
        loop = LOOPS[rng.integers(len(LOOPS))]
        per_chord = float(rng.choice((0.5, 1, 1, 1, 2, 4)))
        self.chords = self._lay(loop, per_chord)
        other = self._lay(LOOPS[rng.integers(len(LOOPS))], per_chord)
        for bar in range(bars):
            if bar // self.unit % 4 == 2 and rng.random() < 0.9:
                self.chords[bar] = other[bar]

    def _lay(self, loop: tuple[int, ...], per_chord: float) -> np.ndarray:
        """Chords of the first and second half of each bar, ``(bars, 2)``."""
        half = np.arange(2 * self.bars)
        return np.array(loop)[(half // max(1, round(2 * per_chord))) % len(loop)].reshape(-1, 2)

    def play(self) -> np.ndarray:
        """The whole, ``(samples,)``."""
        rng = self.rng
        sections = -(-self.bars // self.unit)
        often = {"drums": 0.85, "bass": 0.85, "comp": 0.7, "pad": 0.4, "tune": 0.6, "arp": 0.35}
        have = {part: rng.random() < min(1, share + 0.1) for part, share in often.items()}
        if not have["bass"] and not have["comp"] and not have["drums"]:
            have |= {"bass": True, "comp": True}
        plan = [{part: on and rng.random() < often[part] + 0.15 for part, on in have.items()} for _ in range(sections)]
        if rng.random() < 0.3:
            plan = [have] * sections
        for number in range(2, sections):
            if rng.random() < 0.5:
                plan[number] = plan[int(rng.integers(number))]
        if not any(plan[0].values()):
            plan[0] = have
        self._play_drums(plan)
        self._play_bass(plan)
        self._play_comp(plan)
        self._play_tune(plan)
        level = {"drums": rng.uniform(-9, 4), "notes": rng.uniform(-6, 3)}
        return self.drums.sound * 10 ** (level["drums"] / 20) + self.notes.sound * 10 ** (level["notes"] / 20)

    def _put(self, canvas: Canvas, bar: int, step: float, sound: np.ndarray, gain: float) -> None:
        late = self.swing / self.groove.steps if self.swing and step == int(step) and int(step) % 2 else 0.0
        canvas.put(bar * self.per_bar + step / self.groove.steps + late, sound, gain)

    def _samples(self, bar: int, steps: float) -> int:
        start = bar * self.per_bar
        length = self.notes.place(start + steps / self.groove.steps) - self.notes.place(start)
        return max(256, length // 128 * 128)

    def _play_drums(self, plan: list[dict[str, bool]]) -> None:
        rng = self.rng
        makers = {
            "kick": voices.kick, "snare": voices.snare, "hat": voices.hat, "rim": voices.tom, "tom": voices.tom,
            "metal": voices.tom, "crash": voices.crash, "open": lambda rng: voices.hat(rng, opened=True),
        }  # fmt: skip
        quiet = {
            "hat": 0.3,
            "open": 0.35,
            "rim": 0.4,
            "tom": 0.5,
            "metal": 0.4,
            "crash": 0.3,
            "snare": 0.7,
            "kick": 0.9,
        }
        rows = draw_parts(self.groove, rng, self.steps)
        shots = {part: makers[part](rng) for part in (*rows, "tom", "crash")}
        gain = {part: quiet[part] * float(np.exp(rng.normal(0, 0.4))) for part in shots}
        away = {part for part in rows if rng.random() < 0.12}
        human, fills, crash = rng.random() < 0.5, rng.random() < 0.6, rng.random() < 0.5
        back = [part for part in ("snare", "rim", "kick", "tom") if part in rows]
        fill_part = str(rng.choice([*back, "tom"]))
        shots[fill_part] = shots.get(fill_part, voices.tom(rng))
        for bar in range(self.bars):
            if not plan[bar // self.unit]["drums"]:
                continue
            last = (bar + 1) % self.unit == 0
            fill_from = self.steps - self.groove.steps * int(rng.integers(1, 3)) if last and fills else self.steps
            stop = last and rng.random() < 0.1
            for part, row in rows.items():
                if part in away:
                    continue
                for step in np.flatnonzero(row[bar % 2]):
                    chance = row[bar % 2, step]
                    if (chance == 0.5 and rng.random() < 0.5) or (stop and step >= self.steps // 2):
                        continue
                    if step >= fill_from and part in ("snare", "rim"):
                        continue
                    level = gain[part] * (0.4 if chance < 0.5 else 1.0) * (rng.uniform(0.65, 1.05) if human else 1)
                    self._put(self.drums, bar, step, shots[part], level)
            for step in range(fill_from, self.steps):
                if rng.random() < 0.7 and not stop:
                    self._put(self.drums, bar, step, shots[fill_part], 0.5 * rng.uniform(0.5, 1.1))
            if crash and bar % self.unit == 0:
                self._put(self.drums, bar, 0, shots["crash"], gain["crash"])

    def _pitch(self, degree: int, above: int) -> int:
        return self.root + above + 12 * (degree // 7) + self.scale[degree % 7]

    def _play_bass(self, plan: list[dict[str, bool]]) -> None:
        rng, steps, per_beat = self.rng, self.steps, self.groove.steps
        kind, play, gain = str(rng.choice(self.groove.bass)), draw_player(rng, "bass"), rng.uniform(0.3, 0.9)
        half = max(1, per_beat // 2)
        grid = np.arange(steps)
        riff = np.flatnonzero(rng.random(2 * steps) < np.where(np.arange(2 * steps) % per_beat == 0, 0.7, 0.3))
        degrees = rng.choice((0, 0, 0, 2, 4, 6, 7), len(riff))
        pushes = rng.random() < 0.3
        for bar in range(self.bars):
            if not plan[bar // self.unit]["bass"]:
                continue
            hits: list[tuple[int, int]]
            if kind == "riff":
                hits = [
                    (int(s) - steps * (bar % 2), int(d))
                    for s, d in zip(riff, degrees, strict=True)
                    if s // steps == bar % 2
                ]
            else:
                hits = {
                    "roots": lambda: [(int(s), 0) for s in grid[:: per_beat * max(1, self.per_bar // 2)]],
                    "fifths": lambda: [
                        (int(s), 4 * (n % 2)) for n, s in enumerate(grid[:: per_beat * max(1, self.per_bar // 2)])
                    ],
                    "octaves": lambda: [(int(s), 7 * (n % 2)) for n, s in enumerate(grid[::half])],
                    "eighths": lambda: [(int(s), 0) for s in grid[::half]],
                    "off": lambda: [(int(s) + half, 0) for s in grid[::per_beat]],
                    "pushed": lambda: [(0, 0), (steps // 2 - half, 4), (steps - half, 0)],
                    "long": lambda: [(0, 0)],
                    "walking": lambda: [(int(s), int(rng.integers(-2, 6)) if s else 0) for s in grid[::per_beat]],
                }[kind]()
            edges = [step for step, _ in hits] + [steps]
            for number, (step, above) in enumerate(hits):
                chord = int(self.chords[bar, int(step >= steps / 2)])
                if kind == "pushed" and step == steps - half and bar + 1 < self.bars:
                    chord = int(self.chords[bar + 1, 0])
                early = half if pushes and step == 0 and bar and per_beat == 4 and kind == "roots" else 0
                length = self._samples(bar, min(16, max(1, edges[number + 1] - step)) * 0.92)
                self._put(self.notes, bar, step - early, play(self._pitch(chord + above, 0), length, 4), gain)

    def _play_comp(self, plan: list[dict[str, bool]]) -> None:
        rng, steps, per_beat = self.rng, self.steps, self.groove.steps
        kind = str(rng.choice(self.groove.comp))
        players = {
            "comp": draw_player(rng, "pad" if kind == "held" else "chord"),
            "pad": draw_player(rng, "pad"),
            "arp": draw_player(rng, "pluck"),
        }
        gain = {"comp": rng.uniform(0.08, 0.3), "pad": rng.uniform(0.05, 0.2), "arp": rng.uniform(0.1, 0.4)}
        half, grid = max(1, per_beat // 2), np.arange(steps)
        stabs = np.flatnonzero(rng.random(steps) < np.where(grid % half == 0, 0.4, 0.12))
        order = rng.permutation(4) if rng.random() < 0.6 else np.array([0, 1, 2, 1])
        pace = 1 if per_beat == 3 or rng.random() < 0.4 else half
        for bar in range(self.bars):
            section = plan[bar // self.unit]
            if section["comp"]:
                starts = {
                    "held": [0, steps // 2] if self.chords[bar, 0] != self.chords[bar, 1] else [0],
                    "off": [int(s) + half for s in grid[::per_beat]], "eighths": list(grid[::half]), "stabs": list(stabs),
                    "pushed": [0, steps // 2 - half, steps - half], "broken": list(grid[::pace]),
                    "after": [int(s) for s in grid[per_beat::per_beat]], "quarters": list(grid[::per_beat]),
                }[kind]  # fmt: skip
                for number, step in enumerate(starts):
                    chord = int(self.chords[bar, int(step >= steps / 2)])
                    length = self._samples(
                        bar, {"held": steps / len(starts), "broken": pace * 1.5}.get(kind, half * 0.8)
                    )
                    tones = (0, 2, 4) if kind != "broken" else ((0, 2, 4, 7)[order[number % len(order)]],)
                    for tone in tones:
                        self._put(
                            self.notes,
                            bar,
                            step,
                            players["comp"](self._pitch(chord + tone, 24), length, 4),
                            gain["comp"] * (2 if kind == "broken" else 1),
                        )
            if section["pad"]:
                for tone in (0, 2, 4):
                    chord = int(self.chords[bar, 0])
                    self._put(
                        self.notes,
                        bar,
                        0,
                        players["pad"](self._pitch(chord + tone, 24), self._samples(bar, steps), 4),
                        gain["pad"],
                    )
            if section["arp"]:
                for number, step in enumerate(grid[::pace]):
                    tone = int(self.chords[bar, int(step >= steps / 2)]) + 2 * int(order[number % len(order)])
                    self._put(
                        self.notes,
                        bar,
                        step,
                        players["arp"](self._pitch(tone, 36), self._samples(bar, pace * 0.9), 3),
                        gain["arp"],
                    )

    def _play_tune(self, plan: list[dict[str, bool]]) -> None:
        """A tune in phrases of two bars, said and answered: long notes where they end, some upbeats."""
        rng, steps, per_beat = self.rng, self.steps, self.groove.steps
        play, gain = draw_player(rng, "lead"), rng.uniform(0.12, 0.45)
        lean = np.where(
            np.arange(steps) % per_beat == 0, 0.75, np.where(np.arange(steps) % max(1, per_beat // 2) == 0, 0.45, 0.12)
        )
        motifs = []
        for _ in range(3):
            hits = [np.flatnonzero(rng.random(steps) < lean * rng.uniform(0.6, 1.2)) for _ in range(2)]
            hits[1] = hits[1][hits[1] <= steps // 2]
            motifs.append([(row, np.cumsum(rng.integers(-2, 3, len(row)))) for row in hits])
        form, upbeat = rng.choice(("aaba", "abac", "abab", "aabc")), rng.random() < 0.3
        for bar in range(self.bars):
            if not plan[bar // self.unit]["tune"]:
                continue
            row, degrees = motifs["abc".index(form[bar // 2 % 4])][bar % 2]
            chord = int(self.chords[bar, 0])
            for number, step in enumerate(row):
                gap = (row[number + 1] if number + 1 < len(row) else steps) - step
                degree = chord + (int(degrees[number]) if step else 2 * int(rng.integers(0, 3)))
                sound = play(
                    self._pitch(degree + 7, 24), self._samples(bar, min(int(gap), 8) * 0.95), int(rng.integers(3, 5))
                )
                self._put(self.notes, bar, int(step), sound, gain)
            if upbeat and bar % 2 and bar + 1 < self.bars:
                for step in range(steps - per_beat, steps, max(1, per_beat // 2)):
                    self._put(self.notes, bar, step, play(self._pitch(chord + 7, 24), self._samples(bar, 1.5), 3), gain)
