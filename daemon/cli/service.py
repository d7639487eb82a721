"""`./drophammer service`: the daemon as a systemd service, of one person (the default) or of the machine."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from daemon.cli import terminal
from daemon.cli.failure import NO, CommandError

if TYPE_CHECKING:
    from daemon.cli.installation import Installation

app = typer.Typer(
    name="service", no_args_is_help=True, add_completion=False, rich_markup_mode="rich",
    help="Install, look at and remove the systemd service that keeps the daemon running. docs/service.md explains it.",
)  # fmt: skip

YES = {True: "yes", False: "no"}
System = Annotated[
    bool, typer.Option("--system", help="The machine's service, which needs root; without it: your own.")
]
User = Annotated[
    str | None,
    typer.Option("--user", metavar="NAME", help="With --system: whose rights it runs with; the checkout's owner."),
]


@app.command("install")
def install(
    system: System = False,
    user: User = None,
    now: Annotated[bool, typer.Option("--now", help="Start it too, or restart it with the new unit.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be written and run.")] = False,
) -> None:
    """Write the unit with the configured folders in it, and let systemd start it at every boot (or login).

    Install again after changing folders, `group`, `drain`, `on_done` or `on_failed` in the configuration.

    Example: ./drophammer service install --now
    """
    installation = _installation(system, user)
    if dry_run:
        print(f"# would be written to {installation.file}\n{installation.text()}")
        for command in installation.commands(now=now):
            print(f"# would be run: {' '.join(command)}")
        return
    for line in installation.install(now=now):
        terminal.note(line)
    print(f"installed  {installation.file}")
    systemctl, log = (
        ("sudo systemctl", "sudo journalctl -u") if system else ("systemctl --user", "journalctl --user -u")
    )
    steps = [] if now else [("start it", f"{systemctl} start drophammer")]
    steps += [
        ("how it is", "./drophammer service status"),
        ("its log", f"{log} drophammer -f"),
        ("new configuration", f"{systemctl} reload drophammer"),
    ]
    if not system and not installation.lingers():
        steps.insert(
            0, ("run it while you are logged out, from boot on", f"loginctl enable-linger {installation.user}")
        )
    width = max(len(what) for what, _ in steps)
    print("\n".join(f"{what:<{width}}  {command}" for what, command in steps))


@app.command("uninstall")
def uninstall(system: System = False) -> None:
    """Stop the service and remove its unit. Inbox, outbox, state and configuration stay.

    Example: ./drophammer service uninstall
    """
    installation = _installation(system, None, installed=True)
    if not installation.uninstall():
        raise CommandError(f"{installation.file} is not there: nothing to remove{_other(system)}", NO)
    print(f"removed  {installation.file}")


@app.command("status")
def status(system: System = False, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Say whether the service is installed, up to date and running, and what it does now. Ends with 1 when it does not run.

    Example: ./drophammer service status
    """
    installation = _installation(system, None, installed=True)
    if not system and not installation.file.exists():
        machines = _installation(True, None, installed=True)
        installation = machines if machines.file.exists() and machines.foreign() is None else installation
    facts = installation.status()
    if json:
        terminal.print_json(facts)
    else:
        terminal.print_facts(
            (name.replace("_", " "), YES[value] if isinstance(value, bool) else value) for name, value in facts.items()
        )
    if facts["state"] != "active":
        raise typer.Exit(NO)


@app.command("print")
def print_unit(system: System = False, user: User = None) -> None:
    """Print the unit as `install` would write it, for those who install by other means.

    Example: ./drophammer service print --system --user pia
    """
    print(_installation(system, user, installed=True).text(), end="")


def _installation(system: bool, user: str | None, *, installed: bool = False) -> Installation:
    """The service meant by the options; `installed`: nothing is going to be written, so its user may be anybody."""
    from daemon.cli.installation import Installation
    from daemon.settings import load

    if user is not None and not system:
        raise CommandError("--user goes with --system; a service of your own runs as you")
    return Installation.of(load(), Path(sys.executable), system=system, user=user, any_user=installed)


def _other(system: bool) -> str:
    other = _installation(not system, None, installed=True)
    return (
        f" (there is {other.file}: ./drophammer service uninstall{'' if system else ' --system'})"
        if other.file.exists()
        else ""
    )
