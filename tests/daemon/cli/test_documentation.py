"""Every command says what it does, shows an example, and documents every option."""

from __future__ import annotations

import pytest
import typer
from typer.testing import CliRunner

from daemon.cli.app import COMMANDS, app


def commands() -> dict[str, object]:
    """Every command by its words, those below a group included."""
    root = typer.main.get_command(app)
    context = typer.Context(root, info_name="drophammer")
    found: dict[str, object] = {}

    def walk(prefix: str, command: object) -> None:
        children = getattr(command, "commands", None)
        found[prefix] = command
        for name, child in (children or {}).items():
            walk(f"{prefix} {name}", child)

    for name in root.list_commands(context):
        walk(name, root.get_command(context, name))
    return found


ALL = commands()


def test_every_command_of_the_table_is_there() -> None:
    assert set(COMMANDS) <= set(ALL)


@pytest.mark.parametrize("words", sorted(ALL))
def test_command_has_help_and_an_example(words: str) -> None:
    help_text = ALL[words].help or ""
    assert len(help_text.split()) >= 4, f"{words}: no documentation"
    if not getattr(ALL[words], "commands", None):
        assert f"drophammer {words}" in help_text, f"{words}: no example"


@pytest.mark.parametrize("words", sorted(ALL))
def test_every_option_is_explained(words: str) -> None:
    silent = [parameter.name for parameter in ALL[words].params if getattr(parameter, "help", None) in (None, "")]
    assert silent == []


def test_root_help_lists_every_command() -> None:
    output = CliRunner().invoke(app, ["--help"]).output
    assert all(name in output for name in COMMANDS)


@pytest.mark.parametrize("words", sorted(set(ALL) - {"service"}))
def test_verbose_is_taken_everywhere(words: str) -> None:
    command = ALL[words]
    assert getattr(command, "commands", None) or any("--verbose" in parameter.opts for parameter in command.params)


def test_a_mistyped_command_names_the_nearest() -> None:
    result = CliRunner().invoke(app, ["lisst"])
    assert result.exit_code == 2 and "list" in result.stderr.replace("lisst", "")
