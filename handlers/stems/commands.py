"""The commands that the stems handler adds to `drophammer`. Light: typer only."""

from __future__ import annotations

import typer

from handlers.stems.models.commands import app as models
from handlers.stems.style_commands import styles

app = typer.Typer(add_completion=False)
app.add_typer(models, name="models")
app.command("styles")(styles)


@app.callback()
def _group() -> None:
    """Without it, typer would take a single command for the whole application."""
