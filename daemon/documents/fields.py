"""What is known of a parameter model beyond its types: the keys it takes, and what its docstrings say of them."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator
from functools import cache
from typing import get_args

from pydantic import BaseModel


@cache
def descriptions(model: type[BaseModel]) -> dict[str, str]:
    """What the string under each field says, by the key as people write it. Inherited fields included."""
    found: dict[str, str] = {}
    for ancestor in reversed(model.__mro__):
        if issubclass(ancestor, BaseModel) and ancestor is not BaseModel:
            found |= _docstrings(ancestor)
    return {
        info.alias or name: text
        for name, info in model.model_fields.items()
        if (text := info.description or found.get(name, ""))
    }


def _docstrings(model: type) -> dict[str, str]:
    try:
        source = textwrap.dedent(inspect.getsource(model))
    except (OSError, TypeError):  # made at runtime: it has no source
        return {}
    body = ast.parse(source).body[0]
    if not isinstance(body, ast.ClassDef):
        return {}
    found = {}
    for field, text in zip(body.body, body.body[1:], strict=False):
        is_text = (
            isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant) and isinstance(text.value.value, str)
        )
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and is_text:
            found[field.target.id] = inspect.cleandoc(text.value.value)
    return found


def keys(model: type[BaseModel]) -> dict[str, str]:
    """Keys as people write them, to the attribute's name."""
    return {info.alias or name: name for name, info in model.model_fields.items()}


def models_at(model: type[BaseModel], path: tuple[str | int, ...]) -> list[type[BaseModel]]:
    """Every model that may stand at `path` below `model`; words that are no key (indices, alternatives) are passed over."""
    found = [model]
    for word in path:
        inner = [
            candidate
            for holder in found
            if (name := keys(holder).get(str(word)))
            for candidate in models_in(holder.model_fields[name].annotation)
        ]
        found = inner or found
    return found


def description_at(model: type[BaseModel], path: tuple[str | int, ...]) -> str:
    """What the docstring of the field at the end of `path` says, or nothing."""
    words = [word for word in path if isinstance(word, str)]
    for length in range(len(words), 0, -1):
        for holder in models_at(model, tuple(words[: length - 1])):
            if text := descriptions(holder).get(words[length - 1]):
                return text
    return ""


def models_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from models_in(argument)
