"""The results of several seeds side by side: `compare.md`, and the same at the top of `index.html`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from daemon.pages.formats import size
from daemon.pages.markdown import escape, table
from daemon.pages.markup import Html, tag
from daemon.pages.view import FIRST, Item, Page

BARS = "▁▂▃▄▅▆▇█"
RANGE_DB = 24.0
"""From the loudest slice of all that is compared down to nothing."""
WIDE, HIGH = 192, 32
"""Of the picture on the page, in its own units."""
HEAD = ("Seed", "Length", "Tempo", "Key", "Loudness", "True peak", "Gate", "Energy", "File")
SCALE = (
    f"Energy is the loudness of each slice of a piece, over {RANGE_DB:.0f} dB, on one scale for all seeds of an item."
)


@dataclass(frozen=True)
class Comparison:
    """One item as each seed made it."""

    label: str
    """As a job of one seed calls it: `beds/3`."""
    items: Sequence[tuple[int, Item | None]]
    """By seed; None: not made."""

    @property
    def top_db(self) -> float:
        return max((value for _, item in self.items if item for value in item.energy_db), default=0.0)


def comparisons(page: Page) -> Iterator[Comparison]:
    """What is compared: what people came for first, then the rest in the order of the job file."""
    by_label: dict[str, dict[int, Item]] = {}
    for step in page.steps:
        for item in step.items:
            if step.seed is not None:
                by_label.setdefault(item.label.removeprefix(step.folder), {})[step.seed] = item
    result = page.result.name.removeprefix(page.result.folder) if page.result else ""
    for label in sorted(by_label, key=lambda label: label.rpartition("/")[0] != result):
        yield Comparison(label, [(seed, by_label[label].get(seed)) for seed in page.seeds])


def write(page: Page) -> str:
    """Return the text of `compare.md`."""
    blocks = [f"# {escape(page.name)}: {len(page.seeds)} seeds side by side"]
    found = list(comparisons(page))
    for comparison in found:
        rows = [_row(seed, item, comparison.top_db) for seed, item in comparison.items]
        blocks += [f"## {escape(comparison.label)}", table(HEAD, rows)]
    blocks += [SCALE] if any(item and item.energy_db for each in found for _, item in each.items) else []
    return "\n\n".join(blocks if found else [*blocks, "Nothing was made."]) + "\n"


def _row(seed: int, item: Item | None, top_db: float) -> tuple[str, ...]:
    if item is None:
        return (str(seed), "not made", *[""] * (len(HEAD) - 2))
    if item.energy_db:
        energy = sparkline(item.energy_db, top_db)
    else:
        energy = f"![energy]({item.energy.href})" if item.energy else ""
    file = f"[{escape(PurePath(item.primary.name).name)}]({item.primary.href})" if item.primary else ""
    measured = [escape(item.measured(key)) for key in (*FIRST, "gate")]
    return str(seed), item.length, *measured, energy, file


def sparkline(energy_db: Sequence[float], top_db: float) -> str:
    """A row of block characters, one a slice; `top_db` is a full block."""
    return "".join(BARS[min(int(level * len(BARS)), len(BARS) - 1)] for level in _levels(energy_db, top_db))


def _levels(energy_db: Sequence[float], top_db: float) -> list[float]:
    """0 (nothing) to 1 (the loudest)."""
    return [min(max((value - top_db) / RANGE_DB + 1, 0.0), 1.0) for value in energy_db]


def section(page: Page) -> Html:
    """All comparisons on the page, with a player for each."""
    tables = [(tag("h3", comparison.label), _table(comparison)) for comparison in comparisons(page)]
    words = tag("p", f"{len(page.seeds)} seeds side by side", class_="dim")
    return tag(
        "section", tag("div", tag("h2", "Compare"), words, class_="head"), tables, id="compare", class_="compare"
    )


def _table(comparison: Comparison) -> Html:
    rows = [_table_row(seed, item, comparison) for seed, item in comparison.items]
    head = tag("thead", tag("tr", [tag("th", word, scope="col") for word in ("Seed", "Listen", *HEAD[1:-1])]))
    return tag(
        "div", tag("table", head, tag("tbody", rows)), class_="scroll", tabindex="0", role="region", aria_label=comparison.label
    )  # fmt: skip


def _table_row(seed: int, item: Item | None, comparison: Comparison) -> Html:
    if item is None:
        return tag("tr", tag("td", seed), tag("td", "not made", class_="dim", colspan=len(HEAD) - 1))
    name = f"{comparison.label} of seed {seed}"
    sources = [tag("source", src=file.href, type=file.media_type) for file in item.audio]
    player = sources and tag("audio", sources, controls=True, preload="none", aria_label=f"Player: {name}")
    if not sources and item.primary:
        player = tag(
            "a", item.primary.caption, " ", tag("small", size(item.primary.size_bytes)), href=item.primary.href
        )
    measured = [item.measured(key) for key in (*FIRST, "gate")]
    energy = item.energy_db and picture(item.energy_db, comparison.top_db, name)
    if not energy and item.energy:
        energy = tag("img", src=item.energy.href, alt=f"Energy of {name}", loading="lazy")
    cells = (tag("a", seed, href=f"#{item.anchor}"), player, item.length, *measured, energy)
    duration = None if item.duration_s is None else f"{item.duration_s:.6f}"
    return tag("tr", [tag("td", cell) for cell in cells], class_="take", data_duration=duration)


def picture(energy_db: Sequence[float], top_db: float, name: str) -> Html:
    """The same as a small drawing."""
    step = WIDE / len(energy_db)
    bars = [
        tag("rect", x=f"{index * step:.1f}", y=f"{HIGH * (1 - level):.1f}", width=f"{step * 0.8:.1f}", height=f"{HIGH * level:.1f}")
        for index, level in enumerate(_levels(energy_db, top_db))
    ]  # fmt: skip
    box = f"0 0 {WIDE} {HIGH}"
    return tag("svg", tag("title", f"Energy of {name}"), bars, viewBox=box, width=WIDE, height=HIGH, role="img")
