"""The engine: every texture that is wanted of one recording, made, measured, and one by one handed over.

A texture that its measures refuse is made again from another place, a little further from the recording each time; what
none of the attempts could give is dropped with the last reason. No passage serves twice. Where the recording is short,
each takes less of it. The same recording and wants always give the same textures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from handlers.audio.levels import find_true_peak
from handlers.audio.loop import SLACK_S, choose_start, cut_loop
from handlers.textures.deposit import Deposit
from handlers.textures.judge import Verdict, judge
from handlers.textures.makers import (
    Made,
    hiss_band,
    make_cloud,
    make_flicker,
    make_hiss,
    make_pad,
    make_swell,
)
from handlers.textures.params import Kind
from handlers.textures.profiles import Profile
from handlers.textures.regions import STEADY_DB, Aim, Region
from handlers.textures.wanted import Want

ATTEMPTS = 8
ATTEMPTS_BARREN = 2
"""Of a kind that all attempts have failed for once: a lone tone gives no hiss, wherever one looks."""
MISLED = 2
"""After so many failures before a success, later ones of the kind begin where that one came from."""
REGION_S: dict[Kind, float] = {"pads": 4.0, "swells": 3.0, "clouds": 4.0, "hiss": 1.5, "flickers": 0.6}
"""How much of a recording each takes, if it has enough."""
LEAST_REGION_S = 0.2
FILL = 0.7
"""Share of what is not silent that may be planned for: places do not lie seamlessly."""
PEAK_MARGIN_DB: dict[Kind, float] = {"pads": 0.5, "swells": 0.5, "clouds": 0.5, "hiss": 1.0, "flickers": 1.0}
"""Under the peak that is asked for: a meter whose filter ends a little below half the rate reads as much more of what
reaches up there."""
LOOPS: tuple[Kind, ...] = ("pads", "clouds", "hiss")
SPARKLING: tuple[Kind, ...] = ("hiss", "flickers")


@dataclass(frozen=True)
class Texture:
    """One texture, delivered by its measures."""

    place: int
    """Of its want."""
    audio: np.ndarray
    """float32 ``(channels, samples)`` at the source's rate, full scale ±1."""
    loop: bool
    """Whether its last sample leads to its first."""
    facts: dict[str, Any]
    """`how` (`cut`, `freeze` or `grains`), `source_spans` in seconds, `measures`, and what was done besides."""


@dataclass(frozen=True)
class Dropped:
    """A want that could not be met."""

    place: int
    reason: str


def mine(
    path: Path,
    wants: Sequence[Want],
    *,
    profile: Profile,
    crossfade_s: float,
    peak_dbtp: float,
    drums: Sequence[Path] = (),
    taken: Sequence[tuple[float, float]] = (),
    listen: Callable[[np.ndarray], None] = lambda block: None,
    pulse: Callable[[float], None] = lambda share: None,
) -> Iterator[Texture | Dropped]:
    """Yield every want as a texture, or why it is dropped.

    Parameters
    ----------
    path
        The recording. All of it is read once, and again where it is taken from.
    drums
        Percussion from which hiss and flickers are taken first.
    taken
        Spans in seconds that serve already.
    listen
        Given every block of the recording, ``(channels, samples)``.
    pulse
        Called with the share done, 0..1; may raise to stop.

    Raises
    ------
    Invalid
        When the recording or a percussion file is damaged, truncated, holds NaN, is silent or too short.
    """
    with ExitStack() as opened:
        deposit = Deposit(path, listen, lambda share: pulse(0.4 * share))
        opened.callback(deposit.close)
        percussion = []
        if any(want.kind in SPARKLING for want in wants):
            for drum in drums:
                percussion.append(Deposit(drum, pulse=lambda share: pulse(0.4)))
                opened.callback(percussion[-1].close)
        for start_s, end_s in taken:
            deposit.choice.take(math.floor(start_s * deposit.sample_rate), math.ceil(end_s * deposit.sample_rate))
        free_s = deposit.choice.usable_s - sum(end_s - start_s for start_s, end_s in taken)
        miner = _Miner(deposit, percussion, profile, crossfade_s, peak_dbtp, wants, free_s)
        for number, want in enumerate(wants):
            pulse(0.4 + 0.6 * number / len(wants))
            yield miner.meet(want)


class _Miner:
    """What is left of a recording, and what has been made of it."""

    def __init__(
        self,
        deposit: Deposit,
        percussion: list[Deposit],
        profile: Profile,
        crossfade_s: float,
        peak_dbtp: float,
        wants: Sequence[Want],
        free_s: float,
    ) -> None:
        self._deposit, self._percussion, self._profile = deposit, percussion, profile
        self._crossfade_s, self._peak_dbtp = crossfade_s, peak_dbtp
        self._colours: dict[str, list[np.ndarray]] = {}
        self._begins: dict[Kind, int] = {}
        self._patience: dict[Kind, int] = {}
        self._left_s = sum(REGION_S[want.kind] for want in wants)
        self._free_s = max(0.0, free_s)
        self._scale = min(1.0, FILL * self._free_s / max(self._left_s, 1e-9))

    def meet(self, want: Want) -> Texture | Dropped:
        """Make one texture, from as many places as it takes."""
        self._left_s -= REGION_S[want.kind]
        length = round(want.length_s * self._deposit.sample_rate)
        if want.kind in SPARKLING and hiss_band(self._profile, self._deposit.sample_rate) is None:
            top_hz = self._deposit.sample_rate / 2
            return Dropped(want.place, f"hiss lies above 4 kHz, and a recording at this rate ends at {top_hz:g} Hz")
        if want.kind == "pads" and (texture := self._cut(want, length)):
            return texture
        reason = ""
        first = self._begins.get(want.kind, 0)
        for attempt in range(first, min(first + self._patience.get(want.kind, ATTEMPTS), ATTEMPTS)):
            found = self._find(want, length)
            if found is None:
                reason = reason or f"no passage of {LEAST_REGION_S:g} s is left that is not silent and serves no other"
                break
            deposit, region, aim = found
            made = self._make(want, length, attempt, deposit, region)
            audio, verdict = self._finish(want, made, length // 4)
            if not verdict.faults:
                if attempt >= first + MISLED:
                    self._begins[want.kind] = attempt
                deposit.choice.remember(aim, region)
                return self._deliver(want, deposit, region, made, audio, verdict)
            deposit.choice.refuse(region)
            reason = ", ".join(verdict.faults)
        self._patience[want.kind] = ATTEMPTS_BARREN
        return Dropped(want.place, reason)

    def _cut(self, want: Want, length: int) -> Texture | None:
        """Cut a pad where the recording stands still, if that leaves enough for the others."""
        deposit = self._deposit
        rate = deposit.sample_rate
        fade = max(1, min(round(self._crossfade_s * rate), length // 2))
        span = min(fade + length + round(SLACK_S * rate), max(deposit.length, fade + length))
        for _ in range(2):
            region = deposit.choice.best("pads", span)
            if region is None or region.moving_db > STEADY_DB:
                return None
            if self._free_s - span / rate < self._left_s * self._scale / FILL:
                return None
            whole = deposit.read(region, rate, deposit.channels)
            start = choose_start(whole, fade, span - length - fade + 1)
            made = Made(cut_loop(whole, start, length, fade), "cut", [(start - fade, start + length)], {})
            audio, verdict = self._finish(want, made, fade)
            if not verdict.faults:
                deposit.choice.remember("pads", region)
                return self._deliver(want, deposit, region, made, audio, verdict)
            deposit.choice.refuse(region)
        return None

    def _find(self, want: Want, length: int) -> tuple[Deposit, Region, Aim] | None:
        """The best free place, of percussion first for what sparkles; shorter if there is none."""
        aim: Aim = want.variant or "warm" if want.kind == "swells" else want.kind  # type: ignore[assignment]
        for deposit in [*(self._percussion if want.kind in SPARKLING else []), self._deposit]:
            scale = self._scale if deposit is self._deposit else 1.0
            wanted_s = REGION_S[want.kind] * scale
            if want.kind not in ("clouds", "flickers"):
                wanted_s = min(wanted_s, length / self._deposit.sample_rate)
            while True:
                wanted_s = max(wanted_s, LEAST_REGION_S)
                region = deposit.choice.best(aim, round(wanted_s * deposit.sample_rate))
                if region is not None:
                    return deposit, region, aim
                if wanted_s <= LEAST_REGION_S:
                    break
                wanted_s /= 1.6
        return None

    def _make(self, want: Want, length: int, attempt: int, deposit: Deposit, region: Region) -> Made:
        rate, profile, portrait = self._deposit.sample_rate, self._profile, deposit.portrait
        band = hiss_band(profile, rate)
        audio = deposit.read(region, rate, self._deposit.channels)
        rng = np.random.default_rng([want.place, attempt, region.start, length])
        match want.kind:
            case "pads":
                return make_pad(audio, length, rate, rng, attempt, portrait=portrait)
            case "swells":
                return make_swell(
                    audio, length, rate, rng, attempt, variant=want.variant, profile=profile, portrait=portrait
                )
            case "clouds":
                return make_cloud(audio, length, rate, rng, attempt, profile=profile, portrait=portrait)
            case "hiss":
                return make_hiss(audio, length, rate, rng, attempt, number=want.number, band=band, portrait=portrait)
        return make_flicker(audio, length, rate, rng, attempt, band=band, portrait=portrait)

    def _finish(self, want: Want, made: Made, fade: int) -> tuple[np.ndarray, Verdict]:
        """Set its peak, and measure it."""
        audio = made.audio - made.audio.mean(axis=1, keepdims=True, dtype=np.float64).astype(np.float32)
        excess_db = find_true_peak(audio, self._deposit.sample_rate) - (self._peak_dbtp - PEAK_MARGIN_DB[want.kind])
        audio = audio * np.float32(10 ** (-max(excess_db, -180.0) / 20))
        others = self._colours.get(want.kind, [])
        return audio, judge(
            want.kind, audio, self._deposit.sample_rate, fade=fade, peak_dbtp=self._peak_dbtp, others=others
        )

    def _deliver(
        self, want: Want, deposit: Deposit, region: Region, made: Made, audio: np.ndarray, verdict: Verdict
    ) -> Texture:
        self._colours.setdefault(want.kind, []).append(verdict.colour)
        # Spans count at the rate of what is mined for; percussion may have another.
        ratio = deposit.sample_rate / self._deposit.sample_rate
        spans = [(region.start + round(start * ratio), region.start + round(end * ratio)) for start, end in made.spans]
        for start, end in spans:
            deposit.choice.take(start, end)
        if deposit is self._deposit:
            self._free_s -= sum(end - start for start, end in spans) / deposit.sample_rate
        facts: dict[str, Any] = {
            "how": made.how,
            "source_spans": [(start / deposit.sample_rate, end / deposit.sample_rate) for start, end in spans],
            **({"from_drums": deposit.path.name} if deposit is not self._deposit else {}),
            **made.facts,
            "measures": verdict.measures,
        }
        return Texture(want.place, audio, want.kind in LOOPS, facts)
