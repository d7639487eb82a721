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
from daemon.cli.app import Verbose
from daemon.cli.failure import CommandError
from daemon.cli.wait import ProgressLine

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from pydantic.fields import FieldInfo

    from daemon.documents import Step
    from daemon.settings_model import Settings
    from handlers.contract import Handler


def do(
    context: typer.Context,
    handler: Annotated[str, typer.Argument(metavar="HANDLER", help="The word after `do:` in a job file.")],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder for the results; of a catalogue its file.")
    ] = Path(),
    json: Annotated[
        bool,
        typer.Option(
            "--json",
            help="Print JSON: a list of step, handler, files, items, warnings; with --dry-run a list of lines.",
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")] = False,
    verbose: Verbose = False,
) -> None:
    """Run one handler on files, here and now: do HANDLER FILES... --key value.

    Keys are those of a job file (./drophammer schema, docs/), with - or _. A handler that reads one recording is run once
    per file. A key without a value is a switch. Nothing is written over but a file that --output names.

    Example: ./drophammer do beats kick.wav --output /tmp/kick
    Example: ./drophammer do discover --root ~/music --output audio_catalog.csv
    """
    from daemon import documents, foreground
    from daemon.settings import load
    from handlers.registry import load_registry

    settings = load()
    registry = load_registry(settings.handlers)
    if handler not in registry:
        raise CommandError(f"no handler {handler!r}: there are {', '.join(sorted(registry))}")
    files, keys = split_words(context.args, _switches(registry[handler]))
    # Who names a file means that file, as with `>`: scripts write their catalogue anew into the same one.
    named = bool(output.suffix) and "output" in registry[handler].params.model_fields and not output.is_dir()
    if named:
        output, keys["output"] = output.parent, output.name
    if verbose and "verbose" in _switches(registry[handler]):
        keys["verbose"] = None
    results, plans = [], []
    with tempfile.TemporaryDirectory() as nowhere, ProgressLine() as line:
        reading = _open_world(settings, [*files, *_paths(registry[handler], keys)], Path(nowhere))
        for name, text in job_texts(registry[handler], files, keys):
            document = documents.read(text, registry, reading, default_name=name)
            for step in document.steps:
                for finding in step.findings:
                    if finding.kind == "warning":
                        terminal.note(f"warning: {finding.key}: {finding.message}")
            if dry_run:
                plans += [words for step in document.steps for words in _plan(registry[handler], step, reading)]
                continue
            results += foreground.run(
                settings, registry, document, output, lambda step, message: _show(line, message, verbose), replace=named
            )
    if dry_run:
        terminal.print_json(plans) if json else print("\n".join(map(terminal.safe, plans)))
        return
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


def split_words(words: Sequence[str], switches: Collection[str] = ()) -> tuple[list[str], dict[str, str | None]]:
    """Files, and ``--key value``, ``--key=value`` or a bare ``--key`` (None); a switch takes no word but true or false."""
    files: list[str] = []
    keys: dict[str, str | None] = {}
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if not word.startswith("--") or len(word) == 2:
            files.append(word)
            continue
        key, equals, text = word[2:].partition("=")
        key, value = key.replace("-", "_"), text if equals else None
        if (
            not equals
            and rest
            and not rest[0].startswith("--")
            and (key not in switches or rest[0] in ("true", "false"))
        ):
            value = rest.pop(0)
        keys[key] = value
    return files, keys


def job_texts(handler: Handler, files: Sequence[str], keys: dict[str, str | None]) -> list[tuple[str, bytes]]:
    """Job files (name and text) that ask for the handler on these files."""
    given = [f"{_word(key)}: {text}" for key, value in keys.items() if (text := _given(handler, key, value))]
    head = [f"do: {handler.name}", *given]
    if not files:
        return [(handler.name, "\n".join(head).encode())]
    key, many = _input_key(handler)
    if key is None:
        raise CommandError(
            f"{handler.name} reads no files, found {files[0]!r}; its keys are --{' --'.join(handler.params.model_fields)}"
        )
    places = [_place(file, _kind(handler.params.model_fields[_field(handler, key)])[0]) for file in files]
    if many:
        return [(handler.name, "\n".join([*head, f"{key}: {jsonlib.dumps(places)}"]).encode())]
    return [(Path(place).stem, "\n".join([*head, f"{key}: {jsonlib.dumps(place)}"]).encode()) for place in places]


def _plan(handler: Handler, step: Step, settings: Settings) -> Iterator[str]:
    """What a step would do, a line each, in its handler's own words or else in ours."""
    from handlers.contract import World, load

    paths = {text: [Path(source["path"])] for text, source in step.sources.items() if "path" in source}
    if handler.plan is None:
        named = ", ".join(str(path) for found in paths.values() for path in found)
        yield f"{handler.name} would run{f' on {named}' if named else ''}, with {jsonlib.dumps(step.params, ensure_ascii=False)}"
        return
    params = handler.params.model_validate_json(jsonlib.dumps(step.params))
    yield from load(handler.plan)(params, paths, World(settings.paths.config, settings.paths.state))


def _given(handler: Handler, key: str, value: str | None) -> str | None:
    """A key's value as a job file writes it; None for one that is named without a value and is no switch."""
    info = handler.params.model_fields.get(_field(handler, key))
    if value is None:
        if info is None or key in _switches(handler):
            return "true"
        terminal.note(f"warning: --{key.replace('_', '-')} has no value and is left out")
        return None
    mark, many = _kind(info) if info is not None else (None, False)
    if mark is None or value.startswith("["):
        return _value(value)
    place = jsonlib.dumps(_place(value, mark))
    return f"[{place}]" if many else place


def _place(path: str, mark: type) -> str:
    """Where a path leads. Links are followed here, as a shell would: whoever types one means what it leads to."""
    from handlers.contract import FolderMark

    wanted = os.path.isdir if mark is FolderMark else os.path.isfile
    if not wanted(os.path.expanduser(path)):
        raise CommandError(f"{path}: no such {'folder' if mark is FolderMark else 'file'}")
    return os.path.realpath(os.path.expanduser(path))


def _paths(handler: Handler, keys: dict[str, str | None]) -> list[str]:
    """What keys name on the disk."""
    fields = handler.params.model_fields
    return [
        os.path.expanduser(value)
        for key, value in keys.items()
        if value is not None and (info := fields.get(_field(handler, key))) is not None and _kind(info)[0] is not None
    ]


def _field(handler: Handler, key: str) -> str:
    """A field's name by the key that a job file has for it."""
    return next((name for name, info in handler.params.model_fields.items() if info.alias == key), key)


def _switches(handler: Handler) -> list[str]:
    return [info.alias or name for name, info in handler.params.model_fields.items() if info.annotation is bool]


def _input_key(handler: Handler) -> tuple[str | None, bool]:
    """The first parameter that names audio, or else folders, and whether it takes several."""
    from handlers.contract import FolderMark, ReferenceMark

    for wanted in (ReferenceMark, FolderMark):
        for name, info in handler.params.model_fields.items():
            mark, many = _kind(info)
            if mark is wanted:
                return info.alias or name, many
    return None, False


def _kind(info: FieldInfo) -> tuple[type | None, bool]:
    """Whether a parameter names audio or folders (:class:`ReferenceMark`, :class:`FolderMark`), and several of them."""
    return next(iter(_marks(info.metadata)), None) or _below(info.annotation)


def _marks(metadata: Sequence[Any]) -> list[tuple[type, bool]]:
    from handlers.contract import FolderMark, ReferenceMark

    return [(type(mark), False) for mark in metadata if isinstance(mark, ReferenceMark | FolderMark)]


def _below(annotation: Any) -> tuple[type | None, bool]:
    if found := _marks(getattr(annotation, "__metadata__", ())):
        return found[0]
    known = [kind for part in get_args(annotation) if (kind := _below(part))[0] is not None]
    if not known:
        return None, False
    return known[0][0], get_origin(annotation) in (list, tuple) or any(many for _, many in known)


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
        *{
            place if place.is_dir() else place.parent
            for file in files
            for place in (Path(file).resolve(), Path(os.path.abspath(file)))
        },
    ]
    return settings.model_copy(update={"roots": roots, "paths": replace(settings.paths, outbox=nowhere)})


def _show(line: ProgressLine, message: dict[str, Any], told: bool) -> None:
    if message["say"] == "progress":
        line.show(
            terminal.safe(
                terminal.progress(message["phase"], message["done"], message.get("total"), message.get("unit"))
            )
        )
    elif message["say"] == "log" and (told or message["level"] in ("warning", "error")):
        line.clear()
        terminal.note(message["message"] if message["level"] == "info" else f"{message['level']}: {message['message']}")


def _print(handler: Handler, result: Any) -> None:
    from handlers.contract import load

    describe = load(handler.describe) if handler.describe else None
    for item in result.items:
        if describe is not None:
            print(terminal.safe_lines(describe(item)))
    for file in result.files:
        print(terminal.safe(file))
