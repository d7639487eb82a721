"""`new`: words to a job file a person can go on editing. What was not understood is said, not guessed at."""

from __future__ import annotations

import difflib
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from daemon.cli import terminal
from daemon.cli.failure import CommandError
from daemon.jobs import slug

BED_S, TRANSITION_S, CROSSFADE_S = 60.0, 30.0, 4.0
BEDS = 5
MOST_BEDS, LONGEST_BED_S, SHORTEST_BED_S = 64, 600.0, 10.0
SINGLE = {"stem", "stems", "bed", "beds", "track", "tracks", "loop", "loops", "piece", "pieces"}
WHOLE = {"set", "mix", "sets", "mixes", "continuous"}
FILLERS = {
    "a",
    "an",
    "the",
    "and",
    "with",
    "of",
    "at",
    "in",
    "for",
    "some",
    "very",
    "long",
    "music",
    "please",
    "bpm",
    "me",
    "make",
    "style",
    "mood",
}
FAMILY_WORDS = {
    "ebm": "industrial", "house": "industrial", "mechanical": "industrial", "warehouse": "techno", "rave": "techno", "acid": "techno",
    "drone": "ambient", "chill": "ambient", "calm": "ambient", "goth": "darkwave", "gothic": "darkwave", "coldwave": "darkwave",
    "synthwave": "darkwave",
}  # fmt: skip
DARK = {"dark", "cold", "gloomy", "sinister", "bleak", "sad", "melancholic"}
BRIGHT = {"bright", "happy", "uplifting", "warm", "hopeful"}
FAST = {"fast", "hard", "aggressive", "energetic", "driving", "furious"}
SLOW = {"slow", "relaxed", "lazy", "heavy", "doomy"}
NOTE = re.compile(r"\b([a-g](?:#|b| sharp| flat)?) (minor|major)\b")
LENGTH = re.compile(r"\b(\d+(?:\.\d+)?)\s*-?(hours?|hrs?|h|minutes?|mins?|min|m|seconds?|secs?|sec|s)\b")
TEMPO = re.compile(r"\b(\d{2,3}(?:\.\d+)?)\s*bpm\b")
COUNT = re.compile(r"\b(\d{1,2})(?=(?:\s+[a-z-]+){0,2}\s+(?:stems?|beds?|tracks?|loops?|pieces?)\b)")


@dataclass
class Wish:
    """What the words asked for, and why each was read so."""

    family: str = ""
    tempo_bpm: float | None = None
    key: str | None = None
    length_s: float | None = None
    count: int | None = None
    whole: bool = True
    reasons: dict[str, str] = field(default_factory=dict)
    unknown: list[str] = field(default_factory=list)


def read_families(folder: Path) -> dict[str, dict[str, Any]]:
    """Style families by name: their tempo range, keys and styles."""
    families = {}
    for path in sorted(folder.glob("*.yaml")):
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise CommandError(f"{path}: cannot be read: {error}") from None
        if isinstance(content, dict) and isinstance(content.get("styles"), dict) and "bed" in content["styles"]:
            families[path.stem] = content
    if not families:
        raise CommandError(f"{folder}: holds no style family with a `bed`; ./drophammer doctor says more")
    return families


def understand(words: str, families: dict[str, dict[str, Any]]) -> Wish:
    """Read a wish in plain words."""
    wish = Wish()
    text = words.lower()
    text = _take(TEMPO, text, lambda found: _set(wish, "tempo_bpm", float(found[1]), found[0]))
    text = _take(LENGTH, text, lambda found: _set(wish, "length_s", float(found[1]) * _unit(found[2]), found[0]))
    text = _take(
        COUNT, text, lambda found: (_set(wish, "count", int(found[1]), found[0]), setattr(wish, "whole", False))
    )
    text = _take(NOTE, text, lambda found: _set(wish, "key", _note(found[1], found[2]), found[0]))
    for word in re.findall(r"[^\s,;.!]+", text):
        _word(word, wish, families)
    if not wish.family:
        wish.family = "industrial" if "industrial" in families else next(iter(families))
        wish.reasons["family"] = "no style was named"
    family = families[wish.family]
    mood = wish.reasons.pop("mood", None)
    if mood and wish.key is None:
        wish.key = family["keys"][0] if mood in DARK else "C major"
        wish.reasons["key"] = mood
    pace = wish.reasons.pop("pace", None)
    if pace and wish.tempo_bpm is None:
        low, high = family["tempo"]
        wish.tempo_bpm = float(high if pace in FAST else low)
        wish.reasons["tempo_bpm"] = pace
    _limit(wish)
    return wish


def _take(pattern: re.Pattern[str], text: str, act: Any) -> str:
    """Act on the first place that fits and cut it out, so that its words are not read again."""
    found = pattern.search(text)
    if found is None:
        return text
    act(found)
    return text[: found.start()] + " " + text[found.end() :]


def _set(wish: Wish, name: str, value: Any, why: str) -> None:
    setattr(wish, name, value)
    wish.reasons[name] = why.strip()


def _unit(word: str) -> float:
    return {"h": 3600.0, "m": 60.0, "s": 1.0}[word[0]]


def _note(letter: str, mode: str) -> str:
    return f"{letter[0].upper()}{letter[1:].replace(' sharp', '#').replace(' flat', 'b')} {mode}"


def _word(word: str, wish: Wish, families: dict[str, dict[str, Any]]) -> None:
    family = word if word in families else FAMILY_WORDS.get(word, "")
    if family in families:
        # The style's own name counts for more than a word that only hints at it.
        if not wish.family or (word in families and wish.reasons["family"] not in families):
            _set(wish, "family", family, word)
    elif word in DARK | BRIGHT:
        wish.reasons.setdefault("mood", word)
    elif word in FAST | SLOW:
        wish.reasons.setdefault("pace", word)
    elif word in SINGLE:
        wish.whole = False
    elif word in WHOLE:
        wish.whole = True
    elif word not in FILLERS:
        near = difflib.get_close_matches(word, [*families, *FAMILY_WORDS, *DARK, *BRIGHT, *FAST, *SLOW], 1, 0.7)
        wish.unknown.append(f"{word} (did you mean {near[0]}?)" if near else word)


def _limit(wish: Wish) -> None:
    """Refuse what no job could honour."""
    if wish.tempo_bpm is not None and not 60 <= wish.tempo_bpm <= 200:
        raise CommandError(f"{wish.tempo_bpm:g} bpm: tempos go from 60 to 200")
    if wish.count is not None and not 1 <= wish.count <= MOST_BEDS:
        raise CommandError(f"{wish.count} pieces: from 1 to {MOST_BEDS}")
    if wish.length_s is not None:
        longest = MOST_BEDS * (LONGEST_BED_S - CROSSFADE_S) if wish.whole else LONGEST_BED_S
        if not SHORTEST_BED_S <= wish.length_s <= longest:
            raise CommandError(f"{wish.length_s:g} s: from {SHORTEST_BED_S:g} s to {longest:g} s")


def plan_set(length_s: float | None, *, transitions: bool) -> tuple[int, float]:
    """How many beds of which length make a continuous set of `length_s` seconds, overlaps counted.

    Between two beds lies a transition, if the family has one; every two neighbours overlap by the crossfade.
    """
    if length_s is None:
        return BEDS, BED_S
    between = TRANSITION_S - 2 * CROSSFADE_S if transitions else -CROSSFADE_S
    count = max(1, min(MOST_BEDS, round((length_s + between) / (BED_S + between))))
    while count > 1 and (length_s - (count - 1) * between) / count < SHORTEST_BED_S:
        count -= 1
    bed_s = (length_s - (count - 1) * between) / count
    if bed_s > LONGEST_BED_S:
        raise CommandError(f"{length_s:g} s is longer than {MOST_BEDS} beds of {LONGEST_BED_S:g} s can be")
    return count, round(bed_s, 3)


def write_job(words: str, wish: Wish, families: dict[str, dict[str, Any]], name: str, seed: int) -> str:
    """The job file's text, with the reason beside every choice."""
    why = {key: f"   # from: {terminal.safe(reason)}" for key, reason in wish.reasons.items()}
    low, high = families[wish.family]["tempo"]
    shared = [
        f"style: {wish.family}/bed{why.get('family', '')}",
        "model: procedural   # the built-in instrument: no GPU, no download",
    ]
    if wish.tempo_bpm is not None:
        shared.append(f"tempo: {wish.tempo_bpm:g}{why.get('tempo_bpm', '')}")
    else:
        shared.append(f"# tempo: {(low + high) / 2:g}   # without it the seed draws one from {low} to {high} BPM")
    shared.append(
        f"key: {wish.key}{why.get('key', '')}"
        if wish.key
        else "# key: A minor   # without it the seed draws one of the style's keys"
    )
    head = [
        "# yaml-language-server: $schema=config/schema.json", "#", f"# Made from: {terminal.safe(words)}",
        *(f"# Not understood, and left out: {terminal.safe(word)}" for word in wish.unknown), "",
        f"name: {name}", f"seed: {seed}   # same seed, same music; remove the line for a new one each time", "",
    ]  # fmt: skip
    if not wish.whole:
        length = f"{wish.length_s or BED_S:g}"
        body = [
            "do: stems",
            *shared,
            f"duration: {length}   # seconds, each{why.get('length_s', '').replace('   # ', ', ')}",
            f"count: {wish.count or 1}",
        ]
        return "\n".join([*head, *body]) + "\n"
    has_transition = "transition" in families[wish.family]["styles"]
    count, bed_s = plan_set(wish.length_s, transitions=has_transition)
    has_transition = has_transition and count > 1
    body = [
        "steps:",
        "  beds:   # the long pieces that carry the set",
        "    do: stems",
        *(f"    {line}" for line in shared),
    ]
    body += [
        f"    duration: {bed_s:g}   # seconds, each{why.get('length_s', '').replace('   # ', ', ')}",
        f"    count: {count}",
        "",
    ]
    if has_transition:
        lines = [line.replace("/bed", "/transition") for line in shared]
        body += [
            "  transitions:   # what leads from one bed to the next",
            "    do: stems",
            *(f"    {line}" for line in lines),
        ]
        body += [f"    duration: {TRANSITION_S:g}", f"    count: {count - 1}", ""]
    order = [f"beds/{index}" for index in range(1, count + 1)]
    if has_transition:
        order = [entry for index, bed in enumerate(order, 1) for entry in (bed, f"transitions/{index}")][:-1]
    body += [
        "  mix:   # all of it, as one continuous piece",
        "    do: mix",
        "    order:   # what is played, first to last",
    ]
    body += [f"      - {entry}" for entry in order]
    body += [f"    transition: {{kind: crossfade, duration: {CROSSFADE_S:g}}}", "    loudness: -16   # LUFS, of the whole",
             "    formats: [flac, mp3]   # the first is the result itself", "", "  grid:   # where its beats are", "    do: beats", "    input: mix"]  # fmt: skip
    return "\n".join([*head, *body]) + "\n"


def new(
    words: Annotated[
        list[str],
        typer.Argument(metavar="WORDS...", help='What it should be: "industrial set, 128 bpm, dark, 20 minutes".'),
    ],
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="The file to write; - prints it. Default: NAME.yaml here.")
    ] = None,
    seed: Annotated[
        int | None, typer.Option(help="Where everything random comes from; drawn without it.", min=0, max=2**32 - 1)
    ] = None,
) -> None:
    """Write a commented job file from plain words, and say which words were not understood.

    Understands a style (the families of config/styles), a tempo (128 bpm), a key (A minor), a length (20 minutes),
    moods (dark, bright: the key; fast, slow: the tempo), and set or stems (5 beds).

    Example: ./drophammer new "industrial set, 128 bpm, dark"
    """
    from daemon.settings import locate

    text = " ".join(words)
    families = read_families(locate().config / "styles")
    wish = understand(text, families)
    name = slug(f"{wish.family}-{'set' if wish.whole else 'stems'}")
    job = write_job(text, wish, families, name, secrets.randbelow(2**32) if seed is None else seed)
    for word in wish.unknown:
        terminal.note(f"not understood: {word}")
    if output == "-":
        print(job, end="")
        return
    path = Path(output or f"{name}.yaml")
    try:
        with open(path, "x", encoding="utf-8") as stream:
            stream.write(job)
    except FileExistsError:
        raise CommandError(f"{path} is there already; choose another with --output") from None
    print(
        f"{terminal.safe(path)} written; next: ./drophammer check {terminal.safe(path)}, then ./drophammer submit {terminal.safe(path)}"
    )
