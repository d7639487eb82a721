"""``make train-beats``: builds the examples, cross-validates by source, prints the table, writes the models.

    python -m training.beats [--folder build/beats-training] [--no-write]

Takes about an hour on two cores, 8 GB of memory and 3 GB of disk for the examples, which are kept in the folder. Needs torch,
as the tests do; what it makes is evaluated by numpy alone.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

from handlers.audio.grid.network import pack_network
from handlers.audio.grid.ranking import MODELS, pack
from training.beats import modules
from training.beats.build import build
from training.beats.table import cross_validate, fit_all

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
    examples = [one for source in ("modules", "stems", "made") for one in build(chosen.folder, source, music)]
    tempers = cross_validate(examples)
    if not chosen.no_write:
        learned = fit_all(examples)
        models = learned.models | {
            name: replace(learned.models[name], temper=temper) for name, temper in tempers.items()
        }
        np.savez_compressed(MODELS, **pack(models), **pack_network(learned.network))
        print(f"wrote {MODELS.relative_to(ROOT)}, {MODELS.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
