"""`drophammer styles`: which styles there are, and the words that a seed makes of one. Light until it previews."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Annotated

import typer

from handlers.contract import Invalid
from handlers.stems.styles import StyleError, list_styles, load_style
from handlers.stems.table import print_table

if TYPE_CHECKING:
    from pathlib import Path

    from handlers.contract import Desk


def styles(
    ctx: typer.Context,
    style: Annotated[
        str | None, typer.Argument(metavar="[STYLE]", help="Show the prompts of this one; without it, list all.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="The job's seed.")] = 0,
    count: Annotated[int, typer.Option(min=1, max=64, help="How many stems.")] = 3,
    step: Annotated[str, typer.Option(help="The step's name, if the job gives it one.")] = "stems",
    whole: Annotated[bool, typer.Option("--whole", help="Without `vary: true`: one prompt for all stems.")] = False,
) -> None:
    """List the styles, or show the words that a seed makes of one with `vary: true`.

    Example: ./drophammer styles

    Example: ./drophammer styles darkwave/peak --seed 7 --count 4
    """
    desk: Desk = ctx.obj
    folder = desk.world.config_dir / "styles"
    if style is None:
        _list(folder)
        return
    from handlers.stems.musicgen.prompt import final_prompt
    from handlers.stems.params import StemsParams

    try:
        found = load_style(folder, style)
    except StyleError as error:
        raise Invalid(str(error)) from error
    params = StemsParams(style=style, vary=not whole)
    print(f"{style}: {found.character.summary}")
    for item in range(1, (1 if whole else count) + 1):
        print(f"\n{step}/{item}, seed {seed}:")
        print(
            textwrap.fill(
                final_prompt(params, found, seed, step, item), 100, initial_indent="  ", subsequent_indent="  "
            )
        )


def _list(folder: Path) -> None:
    rows = []
    for name in list_styles(folder):
        style = load_style(folder, name)
        lowest, highest = style.tempo
        rows.append((name, f"{lowest:g}-{highest:g}", style.character.form, style.character.summary))
    print_table(("style", "bpm", "form", "what it is"), rows)
