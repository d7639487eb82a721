"""`do`: one handler in the foreground, without a daemon, through the code that the workers run."""

from __future__ import annotations

import json as jsonlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin

import typer

from daemon.cli import terminal
from daemon.cli.failure import CommandError
from daemon.cli.wait import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from daemon.settings_model import Settings
    from handlers.contract import Handler


def do(
    context: typer.Context,
    handler: Annotated[str, typer.Argument(metavar="HANDLER", help="The word after `do:` in a job file.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder for the results.")] = Path(),
    json: Annotated[
        bool, typer.Option("--json", help="Print JSON: a list of step, handler, files, items, warnings.")
    ] = False,
) -> None:
    """Run one handler on files, here and now: do HANDLER FILES... --key value.

    Keys are those of a job file (./drophammer schema, docs/). A handler that reads one recording is run once per file.
    Nothing is written over.

    Example: ./drophammer do beats kick.wav --output /tmp/kick
    """
    from daemon import documents, foreground
    from daemon.settings import load
    from handlers.registry import load_registry

    settings = load()
    registry = load_registry(settings.handlers)
    if handler not in registry:
        raise CommandError(f"no handler {handler!r}: there are {', '.join(sorted(registry))}")
    files, keys = split_words(context.args)
    results = []
    with tempfile.TemporaryDirectory() as nowhere, ProgressLine() as line:
        reading = _open_world(settings, files, Path(nowhere))
        for name, text in job_texts(registry[handler], files, keys):
            document = documents.read(text, registry, reading, default_name=name)
            for step in document.steps:
                for finding in step.findings:
                    if finding.kind == "warning":
                        terminal.note(f"warning: {finding.key}: {finding.message}")
            results += foreground.run(settings, registry, document, output, lambda step, message: _show(line, message))
    if json:
        facts = [
            {"step": r.step, "handler": r.handler, "files": [str(file) for file in r.files], "warnings": r.warnings,
             "items": [{"item": item.item, "path": str(item.path), "facts": dict(item.facts)} for item in r.items]}
            for r in results
        ]  # fmt: skip
        terminal.print_json(facts)
        return
    for result in results:
        _print(registry[result.handler], result)


do.settings = {"context_settings": {"allow_extra_args": True, "ignore_unknown_options": True}}  # type: ignore[attr-defined]


def split_words(words: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """Files, and ``--key value``, ``--key=value`` or a bare ``--flag`` (true)."""
    files: list[str] = []
    keys: dict[str, str] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or len(word) == 2:
            files.append(word)
            continue
        key, equals, value = word[2:].partition("=")
        if not equals:
            value = rest.pop(0) if rest and not rest[0].startswith("--") else "true"
        keys[key.replace("-", "_")] = value
    return files, keys


def job_texts(handler: Handler, files: Sequence[str], keys: dict[str, str]) -> list[tuple[str, bytes]]:
    """Job files (name and text) that ask for the handler on these files."""
    given = [f"{_word(key)}: {_value(value)}" for key, value in keys.items()]
    head = [f"do: {handler.name}", *given]
    if not files:
        return [(handler.name, "\n".join(head).encode())]
    key, many = _input_key(handler)
    if key is None:
        raise CommandError(
            f"{handler.name} reads no files, found {files[0]!r}; its keys are --{' --'.join(handler.params.model_fields)}"
        )
    for file in files:
        if not Path(file).is_file():
            raise CommandError(f"{file}: no such file")
    # Links are followed here, as a shell would: whoever types a path means what it leads to (outbox/latest/...).
    places = [os.path.realpath(file) for file in files]
    if many:
        return [(handler.name, "\n".join([*head, f"{key}: {jsonlib.dumps(places)}"]).encode())]
    return [(Path(place).stem, "\n".join([*head, f"{key}: {jsonlib.dumps(place)}"]).encode()) for place in places]


def _input_key(handler: Handler) -> tuple[str | None, bool]:
    """The first parameter that names audio, and whether it takes several."""
    for name, info in handler.params.model_fields.items():
        if _marks(info.metadata):
            return info.alias or name, False
        depth = _depth_of_mark(info.annotation)
        if depth is not None:
            return info.alias or name, depth
    return None, False


def _marks(metadata: Sequence[Any]) -> bool:
    from handlers.contract import ReferenceMark

    return any(isinstance(mark, ReferenceMark) for mark in metadata)


def _depth_of_mark(annotation: Any) -> bool | None:
    """Whether the mark lies inside a list or tuple; None when there is no mark."""
    if _marks(getattr(annotation, "__metadata__", ())):
        return False
    found = [_depth_of_mark(part) for part in get_args(annotation)]
    known = [depth for depth in found if depth is not None]
    return None if not known else get_origin(annotation) in (list, tuple) or any(known)


def _word(text: str) -> str:
    return jsonlib.dumps(text) if not text.isidentifier() else text


def _value(text: str) -> str:
    """A value as a job file would mean it: flow lists and mappings as they are, plain scalars, else text."""
    from daemon.documents import scalars

    if text.startswith(("[", "{")):
        return text.replace("\n", " ")
    try:
        plain = not isinstance(scalars.resolve(text), str)
    except scalars.ScalarRefused:
        plain = True  # Let the reader refuse it in its own words.
    return text if plain else jsonlib.dumps(text)


def _open_world(settings: Settings, files: Sequence[str], nowhere: Path) -> Settings:
    """Settings in which the files on the command line may be read: whoever types a path has it already."""
    roots = [
        *settings.roots,
        *{Path(file).resolve().parent for file in files},
        *{Path(os.path.abspath(file)).parent for file in files},
    ]
    return settings.model_copy(update={"roots": roots, "paths": replace(settings.paths, outbox=nowhere)})


def _show(line: ProgressLine, message: dict[str, Any]) -> None:
    if message["say"] == "progress":
        line.show(
            terminal.safe(
                terminal.progress(message["phase"], message["done"], message.get("total"), message.get("unit"))
            )
        )
    elif message["say"] == "log" and message["level"] in ("warning", "error"):
        line.clear()
        terminal.note(f"{message['level']}: {message['message']}")


def _print(handler: Handler, result: Any) -> None:
    from handlers.contract import load

    describe = load(handler.describe) if handler.describe else None
    for item in result.items:
        if describe is not None:
            print(terminal.safe_lines(describe(item)))
    for file in result.files:
        print(terminal.safe(file))
