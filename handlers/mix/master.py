"""From a planned mix to its files: its level found by listening, every format written in one pass, all of it measured.

The mix is rendered again for each pass rather than stored in between: decoding costs less than a measurement, and a
three-hour mix needs no scratch space.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from handlers.audio.columns import Columns
from handlers.audio.delivery.encode import encoding_of
from handlers.audio.formats import Encoding
from handlers.audio.levels import TruePeak
from handlers.audio.limiter import Limiter
from handlers.audio.loudness import decibels, integrated
from handlers.audio.picture import PLOT_WIDTH
from handlers.contract import Context
from handlers.mix.blend import Depth, blend
from handlers.mix.encode import Measured, encode, measure_files
from handlers.mix.level import Level, level_towards, level_under
from handlers.mix.params import MixParams
from handlers.mix.timeline import Timeline

LOSSY = ("MP3", "OGG")
ROOM_DB = 0.5
"""A lossy file is limited so far under its ceiling at first: encoders raise peaks, and to encode twice takes longer than
anything else here."""
DEEPER, MARGIN_DB = 1.25, 0.4
"""A lossy file that is too loud is limited deeper by so many times what it was over, and this: of a deeper limit about
four fifths arrive in the decoded peak (measured on noise at low bit rates), and the second time differs a little."""
TOLERANCE_LU = 0.1


@dataclass(frozen=True)
class Mix:
    """One mix, to be played any number of times."""

    timeline: Timeline
    depth: Depth
    context: Context
    _played_s: dict[str, float] = field(default_factory=dict)
    """By phase, what earlier passes took: progress never falls back."""

    def play(self, phase: str, gain_db: float = 0.0) -> Iterator[np.ndarray]:
        """Yield its blocks ``(channels, samples)``, telling how far it is and asking whether anyone still wants it."""
        rate, before_s, done = self.timeline.sample_rate, self._played_s.get(phase, 0.0), 0
        for block in blend(self.timeline, depth=self.depth):
            self.context.check_cancelled()
            yield block * block.dtype.type(10 ** (gain_db / 20)) if gain_db else block
            done += block.shape[1]
            self._played_s[phase] = before_s + done / rate
            self.context.progress(phase, before_s + done / rate, before_s + self.timeline.frames / rate, "s")

    def measure(self) -> tuple[float, float]:
        """Integrated loudness in LUFS and true peak in dBTP before any gain."""
        peak = TruePeak(self.timeline.sample_rate)

        def blocks() -> Iterator[np.ndarray]:
            for block in self.play("working"):
                peak.feed(block)
                yield block

        return integrated(blocks(), self.timeline.sample_rate, self.timeline.channels), decibels(peak.value)


@dataclass
class Written:
    """One file of the mix."""

    path: Path
    how: Encoding
    ceiling: float
    """Highest true peak it may have, in dBTP."""
    level: Level = field(default_factory=Level)
    limiter_db: float = 0.0
    """How deep the limiter went."""
    measured: Measured | None = None

    @property
    def limit(self) -> float:
        """Where the limiter holds it at first, in dBTP."""
        return self.ceiling - (ROOM_DB if self.how.format in LOSSY else 0.0)

    @property
    def facts(self) -> dict[str, Any]:
        """For the manifest, as JSON values."""
        done = {"gain_db": round(self.level.gain_db, 2), "limiter_db": round(self.limiter_db, 2)}
        return {"format": self.how.format, "subtype": self.how.subtype, **self.measured.facts(), **done}


class Master:
    """Writes the files of one mix.

    Parameters
    ----------
    mix
        What is played.
    params
        Formats, loudness and ceilings.
    shared_subtype
        How all pieces store their samples, if these may reach the files as they are.
    tags
        Written into every file.
    """

    def __init__(self, mix: Mix, params: MixParams, shared_subtype: str | None, tags: dict[str, str]) -> None:
        self.mix, self.params, self.tags = mix, params, tags
        self.columns = self._columns()
        self._measured_s = 0.0
        lossy = params.ceiling if params.lossy_ceiling is None else params.lossy_ceiling
        self.files = []
        for choice in params.formats:
            how = encoding_of(choice, shared_subtype)
            path = mix.context.workdir / f"mix.{choice.name}"
            self.files.append(Written(path, how, lossy if how.format in LOSSY else params.ceiling))

    def run(self) -> list[Written]:
        """Write and measure every file; the first is the result itself."""
        if self.params.loudness is None:
            self._keep_level()
            self._measure(self.files)
            return self.files
        quiet = self.mix.measure()
        for ceiling in dict.fromkeys(file.limit for file in self.files):
            files = [file for file in self.files if file.limit == ceiling]
            self._write(files, self._level(quiet, self.params.loudness, ceiling), ceiling)
        for warning in dict.fromkeys(file.level.warning for file in self.files if file.level.warning):
            self.mix.context.warn(warning)
        self._measure(self.files)
        for file in self.files:
            self._mend(file, quiet)
        return self.files

    def _keep_level(self) -> None:
        """Write at the levels the pieces have; once more, lower, where they add up to more than full scale."""
        peak = encode(self.mix.play("encoding"), self.mix.timeline, self._targets(self.files), self.columns, self.tags)
        level = level_under(peak, self.params.ceiling)
        if level.gain_db:
            self.mix.context.warn(level.warning)
            for file, choice in zip(self.files, self.params.formats, strict=True):
                file.how = encoding_of(choice)
            self._write(self.files, level, self.params.ceiling)

    def _mend(self, file: Written, quiet: tuple[float, float]) -> None:
        """Write a file once more where its encoder moved it away from what was asked for."""
        found = file.measured.loudness
        if not math.isfinite(found.integrated_lufs):
            return
        out_of_reach = file.level.warning is not None
        over_db = found.true_peak_dbtp - file.ceiling
        missing = 0.0 if out_of_reach else self.params.loudness - found.integrated_lufs
        if over_db <= 0 and abs(missing) <= TOLERANCE_LU:
            return
        ceiling = file.limit - (DEEPER * over_db + MARGIN_DB if over_db > 0 else 0.0)
        aim = self.params.loudness + (missing if abs(missing) > TOLERANCE_LU else 0.0)
        self._write([file], self._level(quiet, aim, ceiling), ceiling)
        self._measure([file])
        found = file.measured.loudness
        moved = f"{over_db:+.2f} dB from the ceiling and {-missing:+.2f} LU from the loudness"
        self.mix.context.log(f"{file.path.name}: written once more, because its encoder left it {moved}")
        if found.true_peak_dbtp > file.ceiling:
            self.mix.context.warn(
                f"ceiling: {file.path.suffix[1:]} encoding raises the true peak to {found.true_peak_dbtp:.2f} dBTP, over "
                f"{file.ceiling:g}, also limited at {ceiling:.2f}; lower the ceiling or loudness, or raise the bit rate"
            )
        if abs(found.integrated_lufs - self.params.loudness) > TOLERANCE_LU:
            self.mix.context.warn(
                f"loudness: {file.path.suffix[1:]} has {found.integrated_lufs:.2f} LUFS instead of {self.params.loudness:g}"
            )

    def _level(self, quiet: tuple[float, float], loudness: float, ceiling: float) -> Level:
        timeline = self.mix.timeline

        def listen(gain_db: float) -> float:
            limiter = Limiter(timeline.sample_rate, ceiling, gain_db=gain_db)
            return integrated(limiter.run(self.mix.play("working")), timeline.sample_rate, timeline.channels)

        return level_towards(*quiet, loudness, ceiling, listen)

    def _write(self, files: list[Written], level: Level, ceiling: float) -> None:
        timeline, columns = self.mix.timeline, None
        if self.files[0] in files:
            columns = self.columns = self._columns()
        limiter = Limiter(timeline.sample_rate, ceiling, gain_db=level.gain_db)
        played = limiter.run(self.mix.play("encoding")) if level.limited else self.mix.play("encoding", level.gain_db)
        encode(played, timeline, self._targets(files), columns, self.tags)
        for file in files:
            file.level, file.limiter_db = level, limiter.deepest_db

    def _measure(self, files: list[Written]) -> None:
        timeline = self.mix.timeline
        found = measure_files(self._targets(files), timeline, self.mix.context, before_s=self._measured_s)
        self._measured_s += len(files) * timeline.frames / timeline.sample_rate
        for file in files:
            file.measured = found[file.path]

    def _columns(self) -> Columns:
        return Columns(self.mix.timeline.frames, PLOT_WIDTH)

    @staticmethod
    def _targets(files: list[Written]) -> list[tuple[Path, Encoding]]:
        return [(file.path, file.how) for file in files]
