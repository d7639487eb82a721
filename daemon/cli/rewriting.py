"""A job file changed key by key: a person's own words, comments, order and spacing stay. Pure text.

What stands where is found by the YAML parser and not by pattern. Values are given as YAML text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import yaml

Loader: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def way_to(text: str, step: str) -> tuple[str, ...]:
    """Where a step's own keys stand: under `steps:`, or at the top of a job of one step."""
    return ("steps", step) if any(name.value == "steps" for name, _ in _mapping(text, ()).value) else ()


def put(text: str, way: Sequence[str], key: str, value: str, *, in_place_of: Sequence[str] = ()) -> str:
    """Set a key of the mapping at `way`, in place of itself or of one of `in_place_of`, else before all others.

    Raises
    ------
    KeyError
        When there is no mapping at `way`.
    """
    mapping = _mapping(text, way)
    for index, (name, _) in enumerate(mapping.value):
        if name.value in (key, *in_place_of):
            start, end = _span(mapping, index)
            return f"{text[:start]}{key}: {value}{text[end:]}"
    first = mapping.value[0][0].start_mark
    gap = ", " if mapping.flow_style else "\n" + " " * first.column
    return f"{text[: first.index]}{key}: {value}{gap}{text[first.index :]}"


def remove(text: str, way: Sequence[str], key: str) -> str:
    """Take a key away, if it is there. It must not be the only one."""
    mapping = _mapping(text, way)
    for index, (name, _) in enumerate(mapping.value):
        if name.value != key:
            continue
        start, end = _span(mapping, index)
        if not mapping.flow_style:  # Its lines, with what is said of it at their end.
            line_end = text.find("\n", end)
            return text[: start - name.start_mark.column] + (text[line_end + 1 :] if line_end >= 0 else "")
        if index + 1 < len(mapping.value):
            return text[:start] + text[_span(mapping, index + 1)[0] :]
        return text[: _span(mapping, index - 1)[1]] + text[end:]
    return text


def _span(mapping: yaml.MappingNode, index: int) -> tuple[int, int]:
    """Where a key begins and its value ends."""
    name, value = mapping.value[index]
    return name.start_mark.index, _end(value)


def _end(node: yaml.Node) -> int:
    """The end of what is written: a block's own mark is where the next token begins, behind comments and empty lines."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style:
        last = node.value[-1]
        return _end(last[1] if isinstance(last, tuple) else last)
    return node.end_mark.index


def _mapping(text: str, way: Sequence[str]) -> yaml.MappingNode:
    node = yaml.compose(text, Loader=Loader)
    for word in way:
        node = next(value for name, value in node.value if name.value == word)
    if not isinstance(node, yaml.MappingNode):
        raise KeyError(".".join(way))
    return node


def flow(values: Mapping[int, str]) -> str:
    """``{3: from/beds/3, 5: from/beds/5}``"""
    return f"{{{', '.join(f'{key}: {value}' for key, value in sorted(values.items()))}}}"
