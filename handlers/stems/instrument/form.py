"""Form: which sections a stem has, how long each is, and which parts play in it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from handlers.stems.instrument.score import Section

_ENERGY = {
    "intro": 0.45, "groove": 0.65, "build": 0.75, "drop": 1.0, "strip": 0.6, "breakdown": 0.35, "outro": 0.45,
    "surge": 0.9, "fall": 0.4, "hold": 0.3, "rise": 0.75, "impact": 1.0, "aftershock": 0.4,
    "still": 0.3, "drift": 0.5, "swell": 0.8, "haze": 0.45, "glow": 0.65, "settle": 0.3,
}  # fmt: skip

# For each label: the parts that always play in it where the style has them, and those that may.
_PARTS: dict[str, tuple[str, str]] = {
    "intro": ("drone texture", "kick hats metal lead arp stab"),
    "groove": ("kick bass hats", "snare metal drone texture pad arp stab"),
    "build": ("kick snare toms hats drone riser", "bass lead pad texture arp"),
    "drop": ("kick snare hats metal bass impact", "lead drone pad texture arp stab toms"),
    "strip": ("kick bass metal", "texture drone snare arp stab"),
    "breakdown": ("drone pad lead texture riser", "metal hats arp stab"),
    "outro": ("kick drone texture", "hats metal lead arp stab"),
    "surge": ("kick snare hats metal bass impact", "texture lead arp stab"),
    "fall": ("drone pad texture riser impact", "metal lead hats stab"),
    "hold": ("pad drone arp", "lead texture bass stab"),
    "rise": ("kick snare toms riser drone bass", "lead hats texture arp"),
    "impact": ("kick snare hats metal bass lead impact", "drone arp stab pad"),
    "aftershock": ("drone texture impact metal", "kick pad arp"),
    "still": ("drone pad", "texture"),
    "drift": ("drone pad texture", "lead bass arp"),
    "swell": ("drone pad bass riser texture", "lead metal impact kick snare hats toms arp"),
    "haze": ("texture pad lead", "metal"),
    "glow": ("drone pad lead bass", "metal kick snare hats arp stab"),
    "settle": ("drone texture", "lead"),
}

_GROWING = ("drop", "groove", "swell", "drift", "surge", "rise", "impact")
"""Sections that take the bars that are left over, in this order."""

_AFTER = {
    "intro": ("groove", "build", "groove"),
    "groove": ("build", "drop", "strip", "breakdown"),
    "build": ("drop",),
    "drop": ("strip", "breakdown", "groove", "breakdown"),
    "strip": ("build", "drop", "groove", "breakdown"),
    "breakdown": ("build", "drop", "build"),
}


def unit_bars(bars: int) -> int:
    """Return the bars that sections are counted in: 8 in a long stem, 1 in one of a few bars."""
    return 8 if bars >= 96 else 4 if bars >= 22 else 2 if bars >= 8 else 1


def draw_labels(form: str, bars: int, rng: np.random.Generator) -> tuple[str, ...]:
    """Draw the order of a stem's sections: for a form, and whole bars to fill, 1 or more."""
    units = max(1, bars // unit_bars(bars))
    return tuple({"track": _track, "transition": _transition, "drift": _drift}[form](units, rng))


def lay_out(
    labels: Sequence[str], bars: int, parts: Sequence[str], intensity: float, rng: np.random.Generator
) -> tuple[Section, ...]:
    """Turn an order of sections into sections.

    Parameters
    ----------
    labels
        From :func:`draw_labels`.
    bars
        Whole bars to fill, 1 or more.
    parts
        The parts a style has.
    intensity
        0..1: at 0.5 each kind of section has its usual energy.
    rng
        The stem's stream for its form.

    Returns
    -------
    sections
        One after the other without a gap; neighbours differ in their parts, and so do all sections of a stem as far
        as the style's parts allow.
    """
    unit = unit_bars(bars)
    lengths = [1] * len(labels)
    growth = [label for label in _GROWING if label in labels]
    for extra in range(max(1, bars // unit) - len(labels)):
        wanted = growth[extra % len(growth)] if growth else labels[extra % len(labels)]
        places = [place for place, label in enumerate(labels) if label == wanted]
        lengths[min(places, key=lambda place: (lengths[place], place))] += 1
    lengths = [length * unit for length in lengths]
    lengths[-1] += bars - sum(lengths)
    playing = _cast(labels, parts, rng)
    starts = np.cumsum([0, *lengths[:-1]])
    return tuple(
        Section(label, int(start), length, cast, _ENERGY[label] ** (1.5 - intensity) * min(1.0, 0.8 + 0.4 * intensity))
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
    """One arc that falls, rises and lands, or in long stems several; around the three, some of what may be there."""
    if units < 4:
        return [["rise"], ["rise", "impact"], ["fall", "rise", "impact"]][units - 1]
    labels: list[str] = []
    arcs = max(1, round(units / 8))
    for arc in range(arcs):
        room = units // arcs - 3
        fewest = min(room, 1 if units < 6 else 2)
        while True:
            before, hold, again, after, ring = (bool(flag) for flag in rng.random(5) < 0.5)
            if fewest <= before + hold + 2 * again + after + ring <= room:
                break
        labels += ["surge"] * (before and labels[-1:] != ["surge"]) + ["fall"] + ["hold"] * hold + ["rise"]
        labels += ["fall", "rise"] * again + ["impact"] + ["surge"] * after
        labels += ["aftershock"] * (ring and arc == arcs - 1)
    return labels


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
        # One part alone may leave gaps of a second between its hits.
        spare = [part for part in (*always, *may, "bass", "hats", *parts) if part in parts and part not in cast]
        while spare and len(_steady(cast)) < 2:
            cast.add(spare.pop(0))
        casts.append(cast)
    for part in parts:
        places = [place for place, label in enumerate(labels) if part in " ".join(_PARTS[label]).split()]
        if places and not any(part in cast for cast in casts):
            casts[max(places, key=lambda place: (_ENERGY[labels[place]], -place))].add(part)
    for place, label in enumerate(labels):
        others = [_steady(cast) for number, cast in enumerate(casts) if number != place]
        beside = [_steady(cast) for cast in (*casts[max(0, place - 1) : place], *casts[place + 1 : place + 2])]
        # What makes a section what it is stays; the rest may change to keep it unlike the others, or its neighbours.
        fixed = {_PARTS[label][0].split()[0], "kick", "lead", "riser", "impact"}
        order = [str(part) for part in rng.permutation(list(parts))]
        for kept, avoided in ((fixed, others), (fixed, beside), (fixed - {"lead"}, beside)):
            spare = [part for part in order if part not in kept]
            choices = [casts[place], *(casts[place] ^ {part} for part in spare)]
            choices += [choice ^ {part} for choice in choices[1:] for part in spare]
            fewest = min(2, len(_steady(parts)))
            found = [cast for cast in choices if len(_steady(cast)) >= fewest and _steady(cast) not in avoided]
            if found:
                casts[place] = found[0]
                break
    return [tuple(part for part in parts if part in cast) for cast in casts]


def _steady(cast: Iterable[str]) -> set[str]:
    """The parts that are heard all through a section; a riser or an impact alone makes no new section."""
    return set(cast) - {"riser", "impact"}
