"""A parameter model applied to a node of the tree: a typed object, or what is wrong in words for people.

pydantic names what is wrong by a path that may hold names of alternatives (``formats.1.Mp3.kbps``); the tree tells
which words are keys. Of the alternatives that all failed, the one the person seems to have meant is explained.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from typing import Any, TypeVar

from pydantic import ValidationError

from daemon.documents.fields import description_at, keys, models_at
from daemon.documents.problems import Report, listed, nearest, nearest_word, show
from daemon.documents.tree import Node
from handlers.contract import Params

Model = TypeVar("Model", bound=Params)
Error = dict[str, Any]

_WANTED = {
    "string_type": "text", "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number",
    "bool_type": "true or false", "list_type": "a list ([a, b])", "tuple_type": "a list ([a, b])",
    "set_type": "a list ([a, b])", "frozen_set_type": "a list ([a, b])", "dict_type": "a mapping ({key: value})",
    "model_type": "a mapping ({key: value})", "model_attributes_type": "a mapping ({key: value})", "none_required": "null",
}  # fmt: skip
_BOUNDS = {
    "greater_than_equal": ("ge", "must be at least {}"), "greater_than": ("gt", "must be more than {}"),
    "less_than_equal": ("le", "must be at most {}"), "less_than": ("lt", "must be less than {}"),
    "multiple_of": ("multiple_of", "must be a multiple of {}"),
}  # fmt: skip
_TRUTH_WORDS = {"yes": "true", "on": "true", "y": "true", "no": "false", "off": "false", "n": "false"}


def apply(
    model: type[Model], node: Node, way: str, report: Report, *, more_keys: Iterable[str] = (), owner: str = ""
) -> tuple[Model | None, set[str]]:
    """Validate a mapping's node strictly.

    Parameters
    ----------
    way
        The dotted way to `node`, put before every key in messages.
    more_keys
        Keys that would be right beside the model's own, for suggestions.
    owner
        What to call the model in messages: a handler's name.

    Returns
    -------
    The object, or `None` when something was reported; and the keys of `node` that something is wrong with.
    """
    try:
        return model.model_validate_json(json.dumps(node.plain())), set()
    except ValidationError as error:
        errors: list[Error] = [dict(each) for each in error.errors(include_url=False, include_input=False)]
    wrong = {str(each["loc"][0]) for each in errors if each["loc"]}
    errors = _choose(errors, node)
    misspelled = {_key_meant(each, model) for each in errors if each["type"] == "extra_forbidden"}
    for chosen in errors:
        if chosen["type"] == "missing" and chosen["loc"] in misspelled:
            continue
        place, key, message = _explain(chosen, model, node, list(more_keys), owner)
        report.add(place, ".".join(filter(None, (way, key))), message)
    return None, wrong


def _key_meant(error: Error, model: type[Params]) -> tuple[Any, ...]:
    """The path of the key that a misspelled one is nearest to."""
    path = error["loc"]
    word = nearest_word(str(path[-1]), [key for holder in models_at(model, path[:-1]) for key in keys(holder)])
    return (*path[:-1], word)


def _choose(errors: list[Error], node: Node) -> list[Error]:
    """Keep one error, or the errors of one alternative, for each value of which every alternative failed."""
    split: dict[tuple[Any, ...], dict[Any, list[Error]]] = {}
    kept: list[Error] = []
    for error in errors:
        at = _split_at(error, node)
        if at is None:
            kept.append(error)
        else:
            split.setdefault(error["loc"][:at], {}).setdefault(error["loc"][at], []).append(error)
    for prefix, alternatives in split.items():
        value = node.find(prefix)[0].value
        if len(alternatives) == 1:
            kept.extend(next(iter(alternatives.values())))
            continue
        deeper = [found for found in alternatives.values() if not any(_wanted(error, prefix) for error in found)]
        if deeper and isinstance(value, dict | list):
            kept.extend(_meant(deeper, prefix))
        elif deeper:
            # The type is right for one alternative and only its value is not: say that.
            kept.extend(min(deeper, key=len))
        else:
            wanted = dict.fromkeys(
                text for found in alternatives.values() for error in found if (text := _wanted(error, prefix))
            )
            choices = [word for found in alternatives.values() for error in found for word in _choices(error)]
            kept.append({"type": "alternatives", "loc": prefix, "wanted": list(wanted), "choices": choices})
    return kept


def _meant(alternatives: list[list[Error]], prefix: tuple[Any, ...]) -> list[Error]:
    """Of mappings that could have been meant: the one that misses and refuses the fewest keys, and knows its `kind`."""

    def strangeness(errors: list[Error]) -> tuple[int, int, int]:
        here = [error for error in errors if len(error["loc"]) == len(prefix) + 2]
        return (
            sum(error["type"] == "literal_error" for error in here),
            sum(error["type"] in ("missing", "extra_forbidden") for error in here),
            len(errors),
        )

    best = min(alternatives, key=strangeness)
    extra = [error for error in best if error["type"] == "extra_forbidden" and len(error["loc"]) == len(prefix) + 2]
    # A misspelled key that decides between alternatives is one mistake, not also a missing key.
    return extra or best


def _split_at(error: Error, node: Node) -> int | None:
    """Where in the error's path the name of an alternative stands."""
    path = error["loc"]
    for index, word in enumerate(path):
        value = node.value
        if isinstance(value, dict) and str(word) in value:
            node = value[str(word)]
        elif isinstance(value, list) and isinstance(word, int) and word < len(value):
            node = value[word]
        elif index == len(path) - 1 and error["type"] in ("missing", "extra_forbidden"):
            return None
        else:
            return index
    return None


def _wanted(error: Error, prefix: tuple[Any, ...]) -> str | None:
    """What an alternative wanted in place of the whole value."""
    if len(error["loc"]) != len(prefix) + 1:
        return None
    if error["type"] in ("literal_error", "enum"):
        return f"one of {listed(_choices(error), 'or')}"
    return _WANTED.get(error["type"])


def _choices(error: Error) -> list[str]:
    return re.findall(r"'([^']*)'", str(error.get("ctx", {}).get("expected", "")))


def _explain(error: Error, model: type[Params], node: Node, more_keys: list[str], owner: str) -> tuple[Node, str, str]:
    kind, path, context = error["type"], tuple(error["loc"]), error.get("ctx", {})
    place, way = node.find(path)
    found = show(place.value if not isinstance(place.value, dict | list) else place.plain())
    if kind == "missing":
        about = description_at(model, path)
        return place, _join(way, path[-1]), f"missing ({_first_sentence(about)})" if about else "missing"
    if kind == "extra_forbidden":
        holder = models_at(model, path[:-1])
        known = [key for each in holder for key in keys(each)] + (more_keys if len(path) == 1 else [])
        hint = (
            nearest(str(path[-1]), known)
            or f"; {owner or 'this'} knows {listed(dict.fromkeys(k for h in holder for k in keys(h)))}"
        )
        return place, way, f"unknown key{hint}"
    if kind == "alternatives":
        choice = nearest(place.value, error["choices"]) if isinstance(place.value, str) else ""
        return place, way, f"expected {listed(error['wanted'], 'or')}, found {found}{choice}"
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return _explain_tag(kind, context, place, way)
    message = _message(kind, context, place.value, found, error, description_at(model, path))
    # A rule over several keys names the one to mend at its beginning: "formats: mp3 is asked for twice".
    key, colon, rest = message.partition(": ")
    if kind == "value_error" and colon and isinstance(place.value, dict) and key in place.value:
        return place.value[key], _join(way, key), rest
    return place, way, message


def _explain_tag(kind: str, context: dict[str, Any], place: Node, way: str) -> tuple[Node, str, str]:
    key = str(context["discriminator"]).strip("'")
    if kind == "union_tag_not_found":
        return place, _join(way, key), "missing"
    tags = re.findall(r"'([^']*)'", str(context["expected_tags"]))
    place, inner = place.find((key,))
    message = f"expected one of {listed(tags, 'or')}, found {show(context['tag'])}{nearest(str(context['tag']), tags)}"
    return place, _join(way, inner), message


def _message(kind: str, context: dict[str, Any], value: object, found: str, error: Error, about: str) -> str:
    if kind in _BOUNDS:
        name, phrase = _BOUNDS[kind]
        bound = context[name]
        return f"{phrase.format(f'{bound:,g}' if abs(bound) < 1e6 else f'{bound:.0f}')}, found {found}"
    if kind in ("literal_error", "enum"):
        choices = _choices(error)
        wanted = f"one of {listed(choices, 'or')}" if len(choices) > 1 else listed(choices)
        return f"expected {wanted}, found {found}{nearest(value, choices) if isinstance(value, str) else ''}"
    if kind in _WANTED:
        return f"expected {_WANTED[kind]}, found {found}{_quote_hint(kind, value)}"
    if kind == "string_too_short":
        return (
            "must not be empty"
            if context["min_length"] == 1
            else f"needs at least {context['min_length']} characters, found {found}"
        )
    if kind == "string_too_long":
        return f"has at most {context['max_length']:,} characters, found {len(str(value)):,}"
    if kind == "too_short":
        return f"needs at least {_entries(context['min_length'])}, found {context['actual_length']}"
    if kind == "too_long":
        return f"has at most {_entries(context['max_length'])}, found {context['actual_length'] or 'more'}"
    if kind == "string_pattern_mismatch":
        form = f": {_first_sentence(about)}" if about else f" ({context['pattern']})"
        return f"{found} does not have the right form{form}"
    if kind in ("value_error", "assertion_error"):
        return str(error["msg"]).removeprefix("Value error, ").removeprefix("Assertion failed, ")
    message = str(error["msg"]).removeprefix("Input should be ").removeprefix("Value should be ")
    return (
        f"expected {message}, found {found}"
        if message != error["msg"]
        else f"{message[:1].lower()}{message[1:]}, found {found}"
    )


def _entries(count: int) -> str:
    return "1 entry" if count == 1 else f"{count:,} entries"


def _quote_hint(kind: str, value: object) -> str:
    if kind == "bool_type" and isinstance(value, str) and value.lower() in _TRUTH_WORDS:
        return f"; write {_TRUTH_WORDS[value.lower()]}"
    if kind == "string_type" and isinstance(value, bool | int | float):
        return f"; put it in quotes if you mean the text: '{show(value)}'"
    if kind in ("list_type", "tuple_type") and isinstance(value, str | int | float):
        return f"; write [{value if isinstance(value, str) else show(value)}]"[:80]
    return ""


def _first_sentence(text: str) -> str:
    flat = " ".join(text.split())
    sentence = re.split(r"(?<=[a-z0-9`)])\.\s|[.;]$", flat, maxsplit=1)[0]
    return sentence[:1].lower() + sentence[1:]


def _join(way: str, key: object) -> str:
    return f"{way}.{key}" if way else str(key)
