"""By which rules recordings are chosen: files of ``config/selections/``, words in paths, points. Light.

Pure but for :func:`load_rules`, which reads a file.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from handlers.archaeology.params import Range, SelectParams, Wishes
from handlers.audio.yaml_files import explain, nearest, read_mapping

PATTERN_POINTS, FORMAT_POINTS = 10, 5
_LETTER = r"[^\W\d_]"
MEASURED = {
    "loudness": ("loudness_lufs", "LUFS"),
    "steadiness": ("steadiness", ""),
    "noisiness": ("noisiness", ""),
    "tempo": ("tempo_bpm", "BPM"),
}
"""The column that each measured rule looks at, and its unit."""


@dataclass(frozen=True)
class Verdict:
    """What the rules say of one recording."""

    rule: str = ""
    """The key that rejects it; empty where none does."""
    reason: str = ""
    score: int = 0
    reasons: list[str] = field(default_factory=list)
    """What the points are for: `masters +10`."""


def list_rules(config_dir: Path) -> list[str]:
    """Return the names of all rules files."""
    return sorted(path.stem for path in (config_dir / "selections").glob("*.yaml"))


def load_rules(config_dir: Path, name: str) -> Wishes:
    """Read ``selections/<name>.yaml``.

    Raises
    ------
    ValueError
        When it is not there (with the nearest name) or not well written (with the key and the nearest key).
    """
    known = list_rules(config_dir)
    if name not in known:
        raise ValueError(f"no rules {name!r}{nearest(name, known)} (there are: {', '.join(known) or 'none'})")
    path = config_dir / "selections" / f"{name}.yaml"
    try:
        return Wishes.model_validate(read_mapping(path))
    except ValidationError as error:
        raise ValueError(f"{path.name}: {explain(error, Wishes)}") from error


def merge(rules: Wishes, params: SelectParams) -> Wishes:
    """The rules with what the step itself says in their place.

    Raises
    ------
    ValueError
        When the two contradict each other: the step's `min_duration` over the file's `max_duration`.
    """
    own = {key: getattr(params, key) for key in Wishes.model_fields if getattr(params, key) is not None}
    both = {key: getattr(rules, key) for key in Wishes.model_fields} | own
    low, high = both["min_duration"], both["max_duration"]
    if low is not None and high is not None and low > high:
        other = "max_duration" if "min_duration" in own else "min_duration"
        raise ValueError(
            f"with rules {params.rules}: min_duration ({low:g} s) is over max_duration ({high:g} s): name {other} as well"
        )
    return Wishes(**both)


def judge(row: Mapping[str, Any], wishes: Wishes) -> Verdict:
    """Judge a row of a catalogue by everything that needs no listening.

    The first rule that rejects it is the one that is named: length, then `only`, then `skip`.
    """
    length_s, path = row.get("duration_sec"), row["rel_path"]
    if length_s is None and (wishes.min_duration is not None or wishes.max_duration is not None):
        return Verdict("min_duration", "its length is not known")
    if wishes.min_duration is not None and length_s < wishes.min_duration:
        return Verdict("min_duration", f"{length_s:g} s is under {wishes.min_duration:g} s")
    if wishes.max_duration is not None and length_s > wishes.max_duration:
        return Verdict("max_duration", f"{length_s:g} s is over {wishes.max_duration:g} s")
    if wishes.only is not None and not words_in(path, wishes.only):
        return Verdict("only", f"its path has none of {', '.join(wishes.only)}")
    if found := words_in(path, wishes.skip or ()):
        return Verdict("skip", f"its path has {', '.join(found)}")
    points = [(PATTERN_POINTS, word) for word in words_in(path, wishes.prefer or ())]
    if wishes.prefer_channels is not None and row.get("channels") == wishes.prefer_channels:
        points.append((FORMAT_POINTS, f"{wishes.prefer_channels} channels"))
    if wishes.prefer_sample_rate is not None and row.get("sample_rate") == wishes.prefer_sample_rate:
        points.append((FORMAT_POINTS, f"{wishes.prefer_sample_rate} Hz"))
    return Verdict(score=sum(count for count, _ in points), reasons=[f"{what} +{count}" for count, what in points])


def measured_rules(wishes: Wishes) -> dict[str, Range]:
    """The rules that need listening, by their keys."""
    return {key: wanted for key in MEASURED if (wanted := getattr(wishes, key)) is not None}


def judge_measured(measured: Mapping[str, float | None], wishes: Wishes) -> Verdict:
    """Judge what was measured of a recording, by column; `None` is what it has none of."""
    for key, wanted in measured_rules(wishes).items():
        column, unit = MEASURED[key]
        value = measured[column]
        if value is None:
            return Verdict(key, f"it has no {key}")
        low, high = wanted.min, wanted.max
        if low is not None and value < low:
            return Verdict(key, f"{key} {value:g} {unit}".rstrip() + f" is under {low:g}")
        if high is not None and value > high:
            return Verdict(key, f"{key} {value:g} {unit}".rstrip() + f" is over {high:g}")
    return Verdict()


def words_in(path: str, patterns: Sequence[str]) -> list[str]:
    """Return the patterns that a path has, case set aside.

    A pattern is a whole word: beside its first and its last letter stands no letter. A ``*`` at its end or beginning
    lifts that, and within it stands for any letters of one name.
    """
    plain = unicodedata.normalize("NFC", path)
    return [pattern for pattern in patterns if _expression(pattern).search(plain)]


def _expression(pattern: str) -> re.Pattern[str]:
    word = unicodedata.normalize("NFC", pattern)
    core = word.strip("*")
    body = "[^/]*".join(map(re.escape, core.split("*")))
    before = f"(?<!{_LETTER})" if not word.startswith("*") and re.match(_LETTER, core) else ""
    after = f"(?!{_LETTER})" if not word.endswith("*") and re.search(f"{_LETTER}$", core) else ""
    return re.compile(f"{before}{body}{after}", re.IGNORECASE)
