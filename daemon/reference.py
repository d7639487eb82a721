"""docs/reference.md, made from what the code knows: ``python -m daemon.reference > docs/reference.md``.

A test fails when the file and the code differ.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel

from daemon.documents import problems, text, tree
from daemon.documents.fields import descriptions, keys, models_in
from daemon.documents.keys import DEFAULT_KEYS, MOST_STEPS, JobKeys, StepKeys
from daemon.documents.references import AUDIO_SUFFIXES
from daemon.schema import Generator, Schema, shipped, standard
from handlers.contract import Handler, ReferenceMark

HEAD = """# Job files: every key

<!-- Made by `python -m daemon.reference > docs/reference.md`. Do not edit: change the docstrings it is made from. -->

A job file is YAML. Drop it into the inbox, or `./drophammer submit FILE`; `./drophammer check FILE` reads it without
submitting. It holds one step (`do:` at the top, the handler's keys beside it), or several under `steps:`.

```yaml
do: stems                       # one step
style: industrial/bed
duration: 60
```

```yaml
name: night-piece               # several, feeding each other
seed: 7
steps:
  beds: {do: stems, style: industrial/bed, duration: 60, count: 2}
  mix:  {do: mix, order: [beds/1, beds/2]}
```
"""

TEXT = """## How values are written

- Times are seconds (`90`, `0.5`) or a number with a unit: `500ms`, `90s`, `60m`, `2h`. Levels are dB, loudness is LUFS, tempo is
  beats per minute.
- Words are read as YAML 1.2 does: only `true` and `false` are truth values; `yes`, `no`, `on`, `12:30` are text.
- A file has at most {bytes:,} bytes, {nodes:,} values and {depth} levels, in UTF-8. Anchors, aliases, tags, merge keys, duplicate keys,
  control characters and marks that turn the direction of writing are errors.
- A job has at most {steps} steps. A step's name is lower-case letters, digits, `-` and `_`, starts with a letter, and is neither `each`
  nor `from`.

## References

A key of the kind *reference* names audio:

| written | means |
|---|---|
| `beds` | all items of the step `beds`, in order |
| `beds/3` | its third item; items count from 1 |
| `from/beds`, `from/beds/3` | the same of the finished job named by `from:` |
| `from/seed-7/beds/3` | the same of a job with `seeds:`, as this seed made it |
| `each` | the current item, in a step with `for_each` |
| `./x.wav`, `loops/x.wav` | a file, from the inbox on |
| `/music/x.wav`, `~/x.wav` | a file elsewhere, inside `inboxes:` or `roots:` of the configuration |

What starts with `./`, `../`, `/` or `~/`, or ends in one of {suffixes}, is a file. A step's name wins over a file's. Links are followed
first: what counts is where a file really lies. A job never names the outbox, the configuration or the state by path; a file need not
be there yet, the job waits for it (`input_timeout`).

## States

| state | means |
|---|---|
| `waiting` | inputs, models or the job named by `from:` are not all here; what is missing is shown |
| `queued` | ready, and waiting for its lane |
| `running` | at least one step is at work |
| `publishing` | all is made, and is put into the outbox as a whole |
| `done` | published in `outbox/<job id>/` |
| `failed` | what was finished, and the reason, are in `outbox/failed/<job id>/`; `./drophammer retry` goes on from there |
| `cancelled` | you stopped it; what was finished is in `outbox/failed/<job id>/` |

A file that is no job goes to `inbox/rejected/`, with the reasons beside it in `<name>.reason.txt`.

## Errors

All that is wrong with a file is said at once, by line, with the way to the key and, where one is near, the word that was meant:

```
{errors}
```
"""

EXAMPLE = b"""name: Night Piece
steps:
  beds:
    do: stems
    style: industrial/bed
    duraton: 60
    count: lots
  mix:
    do: mix
    order: [beds/1, bed/2]
    formats: [flac, mp4]
"""
"""A file with the mistakes people make, for the section on errors."""


def reference(handlers: Mapping[str, Handler], errors: str) -> str:
    """The whole page.

    Parameters
    ----------
    errors
        What the reader says of :data:`EXAMPLE`.
    """
    own = [line for handler in handlers.values() for line in _handler(handler)]
    defaults = ", ".join(f"`{key}`" for key in DEFAULT_KEYS)
    common = [
        "## Keys of the whole job", "", "At the top of the file.", "", *_table(JobKeys), "",
        "## Keys of every step", "",
        f"Beside the step's own keys. {defaults} may also stand at the top, as defaults for all steps.", "", *_table(StepKeys), "",
    ]  # fmt: skip
    suffixes = " ".join(f"`{suffix}`" for suffix in sorted(AUDIO_SUFFIXES))
    rest = TEXT.format(
        bytes=text.LARGEST_BYTES,
        nodes=tree.MOST_NODES,
        depth=tree.DEEPEST,
        steps=MOST_STEPS,
        suffixes=suffixes,
        errors=errors,
    )
    return "\n".join([HEAD, *common, "## What a step can do", "", *own]) + "\n" + rest


def _handler(handler: Handler) -> list[str]:
    about = " ".join((handler.params.__doc__ or "").split())
    summary = f"{handler.summary[:1].upper()}{handler.summary[1:]}."
    return [f"### `do: {handler.name}`", "", f"{summary} {about}", "", *_table(handler.params), ""]


def _table(model: type[BaseModel]) -> list[str]:
    schema = model.model_json_schema(schema_generator=Generator)
    rows = [
        f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"
        for row in _rows(model, schema, standard(schema), "")
    ]
    return ["| key | value | default | meaning |", "|---|---|---|---|", *rows]


def _rows(model: type[BaseModel], root: Schema, schema: Schema, prefix: str) -> Iterator[tuple[str, str, str, str]]:
    texts = descriptions(model)
    for key, name in keys(model).items():
        info = model.model_fields[name]
        own = schema["properties"][key]
        inner = list(dict.fromkeys(models_in(info.annotation)))
        value = _kind(own, root)
        if _is_reference(info.annotation) or any(isinstance(mark, ReferenceMark) for mark in info.metadata):
            value = value.replace("list of text", "list of references").replace("text", "reference")
        default = "required" if info.is_required() else _default(own.get("default"), bool(inner))
        yield f"`{prefix}{key}`", value, default, " ".join(texts.get(key, "").split())
        many = "[]" if own.get("type") == "array" else ""
        for each in inner:
            yield from _rows(each, root, standard(root["$defs"][each.__name__]), f"{prefix}{key}{many}.")


def _is_reference(annotation: object) -> bool:
    if any(isinstance(mark, ReferenceMark) for mark in getattr(annotation, "__metadata__", ())):
        return True
    return any(map(_is_reference, get_args(annotation)))


def _default(value: Any, nested: bool) -> str:
    if value is None or value == "":
        return ""
    if isinstance(value, float) and value == int(value):
        value = int(value)
    if nested:  # as short as a person would write it
        value = _without_nothing(value)
    return f"`{json.dumps(value, ensure_ascii=False)}`" if not isinstance(value, str) else f"`{value}`"


def _without_nothing(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nothing(inner) for key, inner in value.items() if inner is not None}
    return [_without_nothing(inner) for inner in value] if isinstance(value, list) else value


def _kind(schema: Schema, root: Schema) -> str:
    """A JSON Schema in a few words."""
    if "$ref" in schema:
        return "mapping"
    if "enum" in schema or "const" in schema:
        return problems.listed([f"`{choice}`" for choice in schema.get("enum", [schema.get("const")])], "or")
    if "anyOf" in schema:
        kinds = [_kind(each, root) for each in schema["anyOf"] if each.get("type") != "null"]
        if len(kinds) == 2 and kinds[0].startswith("number") and kinds[1] == "time":
            return kinds[0].replace("number", "time") + " s"
        return problems.listed(dict.fromkeys(kinds), "or")
    match schema.get("type"):
        case "array":
            return f"list of {_kind(schema['items'], root)}{_range(schema.get('minItems'), schema.get('maxItems'))}"
        case "integer" | "number" as kind:
            return ("whole number" if kind == "integer" else "number") + _bounds(schema)
        case "boolean":
            return "`true` or `false`"
        case "string":
            return "time" if "(ms|s|m|h)" in schema.get("pattern", "") else "text"
        case "object":
            return "mapping"
    return "anything"


def _bounds(schema: Schema) -> str:
    above = schema.get("exclusiveMinimum")
    if above is not None:
        most = schema.get("maximum")
        return f" above {above:g}" + (f", at most {most:,.0f}" if most is not None else "")
    return _range(schema.get("minimum"), schema.get("maximum"))


def _range(least: float | None, most: float | None) -> str:
    if least is None and most is None:
        return ""
    if most is None:
        return f", at least {least:,}"
    return f", at most {most:,}" if least is None else f", {_number(least)} to {_number(most)}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:g}"


def render() -> str:
    """The page for the handlers that come with Drophammer."""
    from daemon import documents, settings

    handlers = shipped()
    try:
        documents.read(EXAMPLE, handlers, settings.load(settings.CHECKOUT), default_name="example")
    except documents.DocumentError as error:
        return reference(handlers, str(error))
    raise AssertionError("the example of mistakes has none")


if __name__ == "__main__":
    print(render(), end="")
