"""YAML files that people write into `config/`: read strictly, refused with file, key and the nearest key. Light."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError


class UniqueKeys(yaml.SafeLoader):
    """YAML's safe loader, which also refuses a key written twice: the second would win without a word."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key has to be one word", key.start_mark)
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} is there twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_mapping(path: Path) -> dict[str, Any]:
    """Return what a file holds, `{}` for an empty one.

    Raises
    ------
    ValueError
        When it cannot be read, is no YAML, or no mapping; the message names the file.
    """
    try:
        document = yaml.load(path.read_text(encoding="utf-8"), Loader=UniqueKeys)
    except OSError as error:
        raise ValueError(f"{path.name}: cannot be read ({error.strerror}); check the file's permissions") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name}: is not YAML: {error}") from error
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise ValueError(f"{path.name}: holds no keys; write `key: value` lines")
    return document


def nearest(word: str, words: Sequence[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the word most like it, or nothing."""
    close = get_close_matches(word, words, n=1, cutoff=0.5)
    return f"; did you mean {close[0]!r}?" if close else ""


def explain(error: ValidationError, model: type[BaseModel], more: Mapping[str, Sequence[str]] | None = None) -> str:
    """Say what a model of nested models found wrong: `hiss.bandpas_low_hz: no such key; did you mean ...`.

    Parameters
    ----------
    error, model
        What was raised, and what was validated.
    more
        Further keys that may have been meant, by the dotted place of the mapping that holds them ("" for the file).
    """
    return "; ".join(_explain(entry, model, more or {}) for entry in error.errors())


def _explain(entry: Any, model: type[BaseModel], more: Mapping[str, Sequence[str]]) -> str:
    where = [str(step) for step in entry["loc"]]
    key = ".".join(where) or "the file"
    if entry["type"] == "extra_forbidden":
        holder: Any = model
        for step in where[:-1]:
            field = holder.model_fields.get(step)
            holder = field.annotation if field else None
            if not (isinstance(holder, type) and issubclass(holder, BaseModel)):
                return f"{key}: no such key"
        known = [*holder.model_fields, *more.get(".".join(where[:-1]), ())]
        return f"{key}: no such key{nearest(where[-1], known)}"
    value = "" if entry["type"] == "missing" else f" (it is {entry['input']!r:.60})"
    return f"{key}: {entry['msg'].removeprefix('Value error, ')}{value}"
