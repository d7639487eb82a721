"""`doctor`: whether this machine and this installation can do what they are asked to; each line with its remedy."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli import terminal
from daemon.cli.failure import NO

if TYPE_CHECKING:
    from daemon.cli.examination import Found


def doctor(
    json: Annotated[bool, typer.Option("--json", help="Print JSON: a list of level, what, says, remedy.")] = False,
) -> None:
    """Look the installation over. Exit code 1 when something FAILs.

    Folders, filesystems, kernel limits, disk and how the outbox grows, GPU, models, handlers, codecs, schedules, daemon.

    Example: ./drophammer doctor
    """
    from daemon.cli.examination import examine

    findings = list(examine())
    if json:
        terminal.print_json([{"level": f.level, "what": f.what, "says": f.says, "remedy": f.remedy} for f in findings])
    else:
        for f in findings:
            _print(f)
        counts = Counter(finding.level for finding in findings)
        print(f"\n{counts['ok']} ok, {counts['warn']} to look at, {counts['FAIL']} to mend")
    if any(finding.level == "FAIL" for finding in findings):
        raise typer.Exit(NO)


def _print(found: Found) -> None:
    """One line, and the remedy below it."""
    says = f"{found.what:15} {found.says}"
    if terminal.is_terminal():
        console = terminal.console()
        console.print(terminal.coloured(found.level, f"{found.level:5}"), terminal.coloured("", says), soft_wrap=True)
    else:
        print(f"{found.level:5} {terminal.safe(says)}")
    if found.remedy:
        print(f"{'':22}-> {terminal.safe(found.remedy)}")
