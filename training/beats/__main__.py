"""``make train-beats``: builds the examples, cross-validates by source, prints the table, writes the models.

    python -m training.beats [--folder build/beats-training] [--no-write]

Takes nearly two hours on two cores, 12 GB of memory and 15 GB of disk for the examples, which are kept in the
folder. Needs torch, as the tests do; what it makes is evaluated by numpy alone.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from handlers.audio.grid.network import pack_networks
from handlers.audio.grid.ranking import MODELS, pack
from training.beats import modules
from training.beats.build import PROCESSES, build
from training.beats.examples import Example, load
from training.beats.table import cross_validate

SOURCES = ("modules", "stems", "songs", "made", "moving")
KINDS = ("modules", "instrument", "songs", "made", "moving")
"""Kinds of examples, each held out in turn; the sources are the files they are kept in."""
ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    """Build, validate, fit, write."""
    parser = argparse.ArgumentParser(description="Train what ranks beat grids.")
    parser.add_argument(
        "--folder", type=Path, default=ROOT / "build" / "beats-training", help="where examples are kept"
    )
    parser.add_argument("--no-write", action="store_true", help="leave the models as they are")
    chosen = parser.parse_args()
    music = chosen.folder / "modules"
    if missing := modules.fetch(music):
        print(f"not to be had from apt: {', '.join(missing)}; going on without")
    for source in SOURCES:
        build(chosen.folder, source, music)
    folds = cross_validate(partial(load_all, chosen.folder), KINDS, PROCESSES)
    if not chosen.no_write:
        learned = folds[None].learned
        # As sure as those are right who never heard a module.
        models = learned.models | {
            name: replace(learned.models[name], temper=temper) for name, temper in folds["modules"].tempers.items()
        }
        np.savez_compressed(MODELS, **pack(models), **pack_networks(learned.networks))
        print(f"wrote {MODELS.relative_to(ROOT)}, {MODELS.stat().st_size / 1000:.0f} kB")


def load_all(folder: Path) -> list[Example]:
    """Every example there is."""
    return [one for source in SOURCES for one in load(folder / f"{source}.npz")]


if __name__ == "__main__":
    main()
