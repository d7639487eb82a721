"""Form: which sections a stem has, how long each is, and which parts play in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from handlers.stems.instrument.score import Section

_ENERGY = {
    "intro": 0.45, "groove": 0.65, "build": 0.75, "drop": 1.0, "strip": 0.6, "breakdown": 0.35, "outro": 0.45,
    "surge": 0.9, "fall": 0.4, "rise": 0.75, "impact": 1.0, "aftershock": 0.4,
    "still": 0.3, "drift": 0.5, "swell": 0.8, "haze": 0.45, "glow": 0.65, "settle": 0.3,
}  # fmt: skip

# For each label: the parts that always play in it where the style has them, and those that may.
_PARTS: dict[str, tuple[str, str]] = {
    "intro": ("drone texture", "kick hats metal lead"),
    "groove": ("kick bass hats", "snare metal drone texture pad"),
    "build": ("kick snare hats drone riser", "bass lead pad texture"),
    "drop": ("kick snare hats metal bass impact", "lead drone pad texture"),
    "strip": ("kick bass metal", "texture drone snare"),
    "breakdown": ("drone pad lead texture riser", "metal hats"),
    "outro": ("kick drone texture", "hats metal lead"),
    "surge": ("kick snare hats metal bass impact", "texture lead"),
    "fall": ("drone pad texture riser impact", "metal lead hats"),
    "rise": ("kick snare riser drone bass", "lead hats texture"),
    "impact": ("kick snare hats metal bass lead impact", "drone"),
    "aftershock": ("drone texture impact metal", "kick pad"),
    "still": ("drone pad", "texture"),
    "drift": ("drone pad texture", "lead bass"),
    "swell": ("drone pad bass riser texture", "lead metal impact kick"),
    "haze": ("texture pad lead", "metal"),
    "glow": ("drone pad lead bass", "metal kick hats"),
    "settle": ("drone texture", "lead"),
}

_AFTER = {
    "intro": ("groove", "build", "groove"),
    "groove": ("build", "drop", "strip", "breakdown"),
    "build": ("drop",),
    "drop": ("strip", "breakdown", "groove", "breakdown"),
    "strip": ("build", "drop", "groove", "breakdown"),
    "breakdown": ("build", "drop", "build"),
}


def draw_sections(form: str, bars: int, parts: Sequence[str], rng: np.random.Generator) -> tuple[Section, ...]:
    """Draw the sections of a stem.

    Parameters
    ----------
    form
        ``track``, ``transition`` or ``drift``.
    bars
        Whole bars to fill, 1 or more.
    parts
        The parts a style has.
    rng
        The stem's stream for its form.

    Returns
    -------
    sections
        One after the other without a gap; neighbours differ in their parts, and so do all sections of a stem as far
        as the style's parts allow.
    """
    unit = 8 if bars >= 96 else 4 if bars >= 22 else 2 if bars >= 8 else 1
    units = max(1, bars // unit)
    labels = {"track": _track, "transition": _transition, "drift": _drift}[form](units, rng)
    lengths = [1] * len(labels)
    growth = [label for label in ("drop", "groove", "swell", "drift", "surge", "rise", "impact") if label in labels]
    for extra in range(units - len(labels)):
        wanted = growth[extra % len(growth)] if growth else labels[extra % len(labels)]
        places = [place for place, label in enumerate(labels) if label == wanted]
        lengths[min(places, key=lambda place: (lengths[place], place))] += 1
    lengths = [length * unit for length in lengths]
    lengths[-1] += bars - sum(lengths)
    playing = _cast(labels, parts, rng)
    starts = np.cumsum([0, *lengths[:-1]])
    return tuple(
        Section(label, int(start), length, cast, _ENERGY[label])
        for label, start, length, cast in zip(labels, starts, lengths, playing, strict=True)
    )


def _track(units: int, rng: np.random.Generator) -> list[str]:
    if units < 4:
        return [["groove"], ["groove", "drop"], ["intro", "build", "drop"]][units - 1]
    # Seldom more than two units a section: a minute that stays the same for long is no arrangement.
    fewest = 4 if units < 6 else max(5, round(0.7 * units))
    count = min(units, int(rng.integers(fewest, max(fewest, units) + 1)))
    # Drawn again until the middle holds a drop and a rest from it; every second draw or so does.
    while True:
        labels = [str(rng.choice(("intro", "intro", "groove")))]
        while len(labels) < count - 1:
            labels.append(str(rng.choice(_AFTER[labels[-1]])))
        labels.append("outro")
        if "drop" in labels and labels[-2] != "build" and (count < 5 or {"strip", "breakdown"} & set(labels)):
            return labels


def _transition(units: int, rng: np.random.Generator) -> list[str]:
    if units < 4:
        return [["rise"], ["rise", "impact"], ["fall", "rise", "impact"]][units - 1]
    if units == 4:
        return [["surge", "fall", "rise", "impact"], ["fall", "rise", "impact", "aftershock"]][int(rng.integers(2))]
    arc = ["surge", "fall", "rise", "impact", "aftershock"]
    return arc if units < 9 else ["surge", "fall", "rise", "impact", "fall", "rise", "surge", "aftershock"]


def _drift(units: int, rng: np.random.Generator) -> list[str]:
    if units < 3:
        return ["still", "swell"][:units]
    count = min(units, int(rng.integers(4, 7)) if units < 12 else units // 2)
    labels = ["still" if rng.random() < 0.6 else "haze"]
    while len(labels) < count - 1:
        middle = [label for label in ("drift", "swell", "haze", "glow") if label not in labels[-2:]]
        labels.append(str(rng.choice(middle)))
    return [*labels, "settle"]


def _cast(labels: Sequence[str], parts: Sequence[str], rng: np.random.Generator) -> list[tuple[str, ...]]:
    """Choose who plays in each section.

    Every part of the style that has a place in these sections is heard; a cast that was there already has a part
    added or taken.
    """
    casts = []
    for label in labels:
        always, may = (words.split() for words in _PARTS[label])
        cast = {part for part in always if part in parts} | {
            part for part in may if part in parts and rng.random() < 0.5
        }
        casts.append(cast or {parts[0]})
    for part in parts:
        places = [place for place, label in enumerate(labels) if part in " ".join(_PARTS[label]).split()]
        if places and not any(part in cast for cast in casts):
            casts[max(places, key=lambda place: (_ENERGY[labels[place]], -place))].add(part)
    for place, label in enumerate(labels):
        # What makes a section what it is stays; the rest may change to keep it unlike the others.
        fixed = {*_PARTS[label][0].split()[:2], "kick", "lead", "riser", "impact"}
        spare = [str(part) for part in rng.permutation(list(parts)) if part not in fixed]
        choices = [casts[place], *(casts[place] ^ {part} for part in spare)]
        choices += [choice ^ {part} for choice in choices[1:] for part in spare]
        others = [_steady(cast) for number, cast in enumerate(casts) if number != place]
        casts[place] = next((cast for cast in choices if _steady(cast) and _steady(cast) not in others), casts[place])
    return [tuple(part for part in parts if part in cast) for cast in casts]


def _steady(cast: Iterable[str]) -> set[str]:
    """The parts that are heard all through a section; a riser or an impact alone makes no new section."""
    return set(cast) - {"riser", "impact"}
