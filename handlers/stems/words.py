"""Words to settings: what the built-in instrument takes from a prompt, and what it does not. Light: no numpy.

A prompt is read phrase by phrase, the longest that is known first. Words pull at settings (`hard` at intensity,
`sparse` at density), name parts and how they play (`no drums`, `gated snare`, `bells`), or say tempo and key. `no`,
`without`, `not`, `less` turn round all that follows up to the next comma or full stop, `but` or `with`; `very` and
`slightly` say how much. Pulls at one setting add up and never pass its end, so that more words of a kind always mean
more of it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from handlers.stems import words_vocabulary as vocabulary
from handlers.stems.styles import PARTS, Style
from handlers.stems.theory import parse_key

_BPM = re.compile(
    r"\b(\d{2,3}(?:\.\d+)?)\s*(?:(?:-|–|to|and)\s*(\d{2,3}(?:\.\d+)?)|(\+))?\s*(?:bpm|beats per minute)\b",
    re.IGNORECASE,
)
_KEY = re.compile(r"\b([A-G])(?:\s?([#♯b♭])|[ -](sharp|flat))?[ -](minor|major)\b", re.IGNORECASE)
_WORD = re.compile(r"[a-z0-9'#]+|[,.;:!?()]", re.IGNORECASE)
_SLOWEST, _FASTEST = 40.0, 240.0
_LONGEST = 4
"""Words of the longest phrase."""
_ENDS = (*",.;:!?()", "but", "with")
"""What ends a negation."""
_FILLERS = frozenset(vocabulary.FILLERS.split())

Found = TypeVar("Found")

# What a pull at intensity or darkness does to the settings of a style.
_MOVES = {
    "intensity": {"intensity": 1.0, "drive": 0.5, "density": 0.35, "brightness": 0.3, "pump": 0.3, "weight": 0.15},
    "darkness": {"brightness": -0.85},
    **{name: {name: 0.9} for name in ("density", "drive", "room", "weight", "pump", "width", "swing")},
}


@dataclass(frozen=True)
class Reading:
    """What a prompt says."""

    tempo: tuple[float, float] | None = None
    """BPM, lowest and highest."""
    key: str | None = None
    scale: str | None = None
    pulls: Mapping[str, float] = field(default_factory=dict)
    """Of each axis (intensity, darkness, density, drive, ..., tempo) the sum of what pulls at it."""
    parts: Mapping[str, bool] = field(default_factory=dict)
    """Parts that were asked for (true) or ruled out."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """How parts play: `snare: gated`."""
    understood: Mapping[str, str] = field(default_factory=dict)
    """Word or phrase, as written in the prompt, and its effect in words."""
    not_understood: tuple[str, ...] = ()

    def steer(self, style: Style) -> Style:
        """Return the style as the words want it.

        Raises
        ------
        ValueError
            When they leave no part that could play.
        """
        character = style.character
        parts = tuple(part for part in PARTS if self.parts.get(part, part in character.parts))
        if not parts:
            raise ValueError(f"the prompt leaves nothing to play: {style.name} has only {', '.join(character.parts)}")
        changes: dict[str, object] = {"parts": parts, **self.settings}
        for axis, moves in _MOVES.items():
            # Bounded, and still rising with every further word.
            pull = math.tanh(self.pulls.get(axis, 0.0))
            for name, share in moves.items():
                value = changes.get(name, getattr(character, name))
                amount = pull * share
                changes[name] = value + amount * (1 - value) if amount > 0 else value * (1 + amount)
        tempo = self.tempo
        if tempo is None and "tempo" in self.pulls:
            factor = math.exp(self.pulls["tempo"])
            tempo = tuple(min(_FASTEST, max(_SLOWEST, bpm * factor)) for bpm in style.tempo)
        return replace(
            style,
            tempo=tempo or style.tempo,
            keys=(self.key,) if self.key else style.keys,
            scale=self.scale or style.scale,
            character=character.model_copy(update=changes),
        )

    def pulls_only(self) -> Reading:
        """Return what pulls at settings alone, without tempo, key and parts, which the stems of a job share."""
        pulls = {axis: pull for axis, pull in self.pulls.items() if axis != "tempo"}
        return Reading(pulls=pulls, understood=self.understood, not_understood=self.not_understood)


def read_words(prompt: str) -> Reading:
    """Read a prompt; anything can be read, and what means nothing to the instrument is listed in `not_understood`."""
    reader = _Reader()
    tempo, rest = reader.take_out(
        _BPM, prompt, _tempo, lambda ends: " to ".join(f"{bpm:g}" for bpm in sorted({*ends})) + " BPM"
    )
    key, rest = reader.take_out(_KEY, rest, _key, str)
    reader.read(rest)
    return Reading(
        tempo, key, reader.scale, reader.pulls, reader.parts, reader.settings, reader.understood, tuple(reader.unknown)
    )


class _Reader:
    """Goes through a prompt once."""

    def __init__(self) -> None:
        self.scale: str | None = None
        self.pulls: dict[str, float] = {}
        self.parts: dict[str, bool] = {}
        self.settings: dict[str, str] = {}
        self.understood: dict[str, str] = {}
        self.unknown: list[str] = []

    def take_out(
        self,
        pattern: re.Pattern[str],
        text: str,
        mean: Callable[[re.Match[str]], Found | None],
        say: Callable[[Found], str],
    ) -> tuple[Found | None, str]:
        """Return what the first match that means something means, and the text without it."""
        for match in pattern.finditer(text):
            if found := mean(match):
                self.understood[match[0]] = say(found)
                return found, f"{text[: match.start()]} {text[match.end() :]}"
        return None, text

    def read(self, text: str) -> None:
        """Go through a text."""
        tokens = _WORD.findall(text.lower().replace("-", " "))
        place, negation, strength = 0, "", 1.0
        strange: list[str] = []
        while place < len(tokens):
            word = tokens[place]
            taken = self._longest(tokens[place : place + _LONGEST], negation, strength)
            if taken or word in _FILLERS or not word[0].isalnum():
                self._list(strange)
            if taken:
                strength = 1.0
            elif word in _ENDS:
                negation, strength = "", 1.0
            elif word in vocabulary.NEGATIONS:
                negation = word
            elif word in vocabulary.HOW_MUCH:
                strength = vocabulary.HOW_MUCH[word]
            elif word not in _FILLERS:
                strange.append(word)
            place += taken or 1
        self._list(strange)

    def _list(self, strange: list[str]) -> None:
        """List words in a row as one."""
        if strange and (phrase := " ".join(strange)) not in self.unknown:
            self.unknown.append(phrase)
        strange.clear()

    def _longest(self, tokens: list[str], negation: str, strength: float) -> int:
        """Take the longest phrase that these words begin with; return how many words it has, 0 for none."""
        for count in range(len(tokens), 0, -1):
            written = " ".join(tokens[:count])
            if any(self._take(phrase, written, negation, strength) for phrase in _forms(written)):
                return count
        return 0

    def _take(self, phrase: str, written: str, negation: str, strength: float) -> bool:
        """Take a phrase if it is known."""
        said = f"{negation} {written}".strip()
        if pulls := _PULLS.get(phrase):
            self._pull(pulls, said, -0.6 if negation else strength)
        elif phrase in vocabulary.PARTS:
            self._name(phrase, said, bool(negation))
        elif phrase in vocabulary.SCALES:
            self.scale = phrase
            self.understood[said] = f"{phrase} scale"
        elif phrase in vocabulary.ALWAYS or (phrase in vocabulary.NEVER and negation):
            self.understood[said] = "always so"
        elif phrase in vocabulary.GENRES:
            self._list([written])
        else:
            return False
        return True

    def _pull(self, pulls: Mapping[str, float], said: str, strength: float) -> None:
        effects = []
        for axis, amount in pulls.items():
            self.pulls[axis] = self.pulls.get(axis, 0.0) + amount * strength
            effects.append(f"{'more' if amount * strength > 0 else 'less'} {axis}" if amount else f"{axis} as it is")
        self.understood[said] = ", ".join(effects)

    def _name(self, phrase: str, said: str, ruled_out: bool) -> None:
        parts, settings = vocabulary.PARTS[phrase]
        if ruled_out:
            parts = vocabulary.ALL_DRUMS if parts == vocabulary.DRUMS else parts
            self.understood[said] = f"no {', '.join(parts)}"
        else:
            self.settings.update(settings)
            playing = ", ".join(f"{name}: {value}" for name, value in settings.items())
            self.understood[said] = playing or f"with {', '.join(parts)}"
        self.parts.update((part, not ruled_out) for part in parts)


def _forms(written: str) -> tuple[str, ...]:
    """A phrase as written, and with its last word in the singular."""
    return (written, written[:-1]) if written.endswith("s") and not written.endswith("ss") else (written,)


def _collect() -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for axis, groups in vocabulary.AXES.items():
        for amount, words in groups.items():
            for word in words.split():
                found.setdefault(word, {})[axis] = amount
    found |= {phrase: {axis: amount} for phrase, (axis, amount) in vocabulary.PHRASES.items()}
    return found


_PULLS = _collect()
"""Of each word, what it pulls at."""


def _tempo(match: re.Match[str]) -> tuple[float, float] | None:
    lowest = float(match[1])
    highest = float(match[2]) if match[2] else lowest + 8 if match[3] else lowest
    lowest, highest = sorted((lowest, highest))
    return (lowest, highest) if lowest >= _SLOWEST and highest <= _FASTEST else None


def _key(match: re.Match[str]) -> str | None:
    before, after = match.string[: match.start()].rstrip().lower(), match.string[match.end() :].lstrip()
    if match[1] == "a" and not (before.endswith(("in", "key of")) and (not after or not after[0].isalpha())):
        return None  # The article: "a minor chord".
    sign = {"sharp": "#", "flat": "b"}.get((match[3] or "").lower(), match[2] or "")
    return str(parse_key(f"{match[1]}{sign} {match[4]}"))
