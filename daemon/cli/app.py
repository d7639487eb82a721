"""The root of the `drophammer` command: which commands there are, where each lives, and how errors end.

A command's module is imported when it is called, which keeps `./drophammer list` quick; `--help` imports all of them.
Handlers bring commands of their own: every command of the application named in `Handler.commands` is mounted here.
"""

from __future__ import annotations

import sys
import traceback
from importlib import import_module
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from daemon.cli.coercion import lighten
from daemon.cli.desk import Desk
from daemon.cli.failure import CommandError, exit_code, sentence

PANELS = {
    "Jobs": {
        "new": "daemon.cli.new:new",
        "check": "daemon.cli.check:check",
        "submit": "daemon.cli.write:submit",
        "list": "daemon.cli.read:list_jobs",
        "status": "daemon.cli.read:status",
        "show": "daemon.cli.show:show",
        "wait": "daemon.cli.wait:wait",
        "logs": "daemon.cli.logs:logs",
        "cancel": "daemon.cli.write:cancel",
        "retry": "daemon.cli.write:retry",
        "keep": "daemon.cli.write:keep",
        "again": "daemon.cli.again:again",
    },
    "Daemon": {
        "demo": "daemon.cli.demo:demo",
        "run": "daemon.cli.run:run",
        "top": "daemon.cli.top:top",
        "pause": "daemon.cli.write:pause",
        "resume": "daemon.cli.write:resume",
        "reload": "daemon.cli.write:reload",
        "schedules": "daemon.cli.schedules:schedules",
        "service": "daemon.cli.service:app",
        "doctor": "daemon.cli.doctor:doctor",
        "backup": "daemon.cli.backup:backup",
        "restore": "daemon.cli.backup:restore",
    },
    "Handlers": {
        "do": "daemon.cli.do:do",
        "schema": "daemon.cli.schema:schema",
    },
}
COMMANDS = {name: (panel, target) for panel, commands in PANELS.items() for name, target in commands.items()}
MARKUP = "rich"

verbose = False
"""Set by `--verbose`, anywhere on the line: expected errors show where they came from."""


def _set_verbose(value: bool) -> bool:
    global verbose
    verbose = verbose or value
    return value


Verbose = Annotated[
    bool, typer.Option("--verbose", help="Show where an error comes from.", callback=_set_verbose, show_default=False)
]


class Commands(TyperGroup):
    """The group that finds a command's module when it is asked for."""

    def list_commands(self, ctx: typer.Context) -> list[str]:
        return [*COMMANDS, *self._of_handlers()]

    def get_command(self, ctx: typer.Context, cmd_name: str) -> Any:
        if cmd_name not in self.commands:
            command = self._shipped(cmd_name) if cmd_name in COMMANDS else self._of_handlers().get(cmd_name)
            if command is None:
                return None
            _add_verbose(command)
            lighten(command.get_params(ctx))
            self.commands[cmd_name] = command
        return self.commands[cmd_name]

    def get_params(self, ctx: typer.Context) -> list[Any]:
        parameters = super().get_params(ctx)
        lighten(parameters)
        return parameters

    def resolve_command(self, ctx: typer.Context, args: list[str]) -> Any:
        if self.get_command(ctx, args[0]) is None:
            for name in self.list_commands(ctx):  # The nearest name is looked for among those that are loaded.
                self.get_command(ctx, name)
        return super().resolve_command(ctx, args)

    def _shipped(self, name: str) -> Any:
        panel, target = COMMANDS[name]
        module, _, attribute = target.partition(":")
        found = getattr(import_module(module), attribute)
        if not isinstance(found, typer.Typer):
            application = typer.Typer(add_completion=False, rich_markup_mode=MARKUP)
            application.command(name, **getattr(found, "settings", {}))(found)
            found = application
        command = typer.main.get_command(found)
        command.name, command.rich_help_panel = name, panel
        return command

    def _of_handlers(self) -> dict[str, Any]:
        """The commands that handlers bring, by name; a shipped command's name is never taken over."""
        from daemon.settings import SettingsError, home_folder, read_raw
        from handlers.registry import load_registry

        try:
            extra = read_raw(home_folder()).get("handlers") or []
        except SettingsError:
            extra = []  # Said by every command that needs the configuration; help must work without it.
        found: dict[str, Any] = {}
        for handler in load_registry(extra).values():
            if handler.commands is None:
                continue
            module, _, attribute = handler.commands.partition(":")
            group = typer.main.get_group(getattr(import_module(module), attribute))
            for name, command in group.commands.items():
                command.rich_help_panel = command.rich_help_panel or f"Handler {handler.name}"
                found.setdefault(name, command)
        return {name: command for name, command in found.items() if name not in COMMANDS}

    def invoke(self, ctx: typer.Context) -> Any:
        """Run the command; an error meant for people becomes one line on stderr and an exit code."""
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            raise
        except (OSError, ValueError, RuntimeError, LookupError, CommandError, *_loaded_errors()) as error:
            code = exit_code(error)
            if code is None:
                raise
            if verbose:
                traceback.print_exception(error)
            from daemon.cli.terminal import safe_lines

            print(f"drophammer: {safe_lines(sentence(error))}", file=sys.stderr)
            raise typer.Exit(code) from None


def _loaded_errors() -> tuple[type[Exception], ...]:
    from daemon.cli.failure import EXPECTED

    found = (getattr(sys.modules.get(module), name, None) for module, name in EXPECTED)
    return tuple(error for error in found if error is not None)


def _add_verbose(command: Any) -> None:
    """Give a command (and the commands below it) the option that all have."""
    for child in getattr(command, "commands", {}).values():
        _add_verbose(child)
    if any("--verbose" in parameter.opts for parameter in command.params) or getattr(command, "commands", None):
        return
    carrier = typer.Typer(add_completion=False)
    carrier.command()(_verbose_carrier)
    option = typer.main.get_command(carrier).params[0]
    option.expose_value = False
    command.params.append(option)


def _verbose_carrier(verbose: Verbose = False) -> None:
    """Only its option is used."""


app = typer.Typer(
    name="drophammer", cls=Commands, rich_markup_mode=MARKUP, no_args_is_help=True, pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)  # fmt: skip


def _print_version(value: bool) -> None:
    if value:
        from daemon import VERSION

        print(VERSION)
        raise typer.Exit


@app.callback()
def root(
    ctx: typer.Context,
    verbose: Verbose = False,
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Drop a job file or audio into a folder; get stems, textures, beat grids and mixes in another.

    A JOB is an id, the start of one, its number (42), a name (the newest of that name) or `latest`.

    Example: ./drophammer demo
    """
    ctx.obj = Desk()


def main() -> None:
    """Entry point of the `drophammer` script. Ctrl-C ends with 130, a reader that has gone (head, less) with 1."""
    app(prog_name="drophammer")
