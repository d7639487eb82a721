"""`run`: the daemon in the foreground."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from daemon.cli.failure import CommandError


def run(
    home: Annotated[Path | None, typer.Option(help="Another installation folder than this checkout.")] = None,
) -> None:
    """Run the daemon in the foreground until Ctrl-C.

    It watches the inboxes, works and publishes. To have it always: ./drophammer service install.

    Example: ./drophammer run
    """
    from daemon.settings import CHECKOUT, HOME_VARIABLE

    environment = dict(os.environ)
    if home is not None:
        if not home.is_dir():
            raise CommandError(f"--home {home}: no such folder")
        environment[HOME_VARIABLE] = str(home.resolve())
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(CHECKOUT), environment.get("PYTHONPATH")]))
    sys.stdout.flush()
    # In place of this process, and not inside it: the daemon lives for months and has no use for a command line's memory.
    os.execve(sys.executable, [sys.executable, "-m", "daemon.service"], environment)
