"""Text to a tree of nodes that know their line; limits are kept while parsing.

Built on PyYAML's event stream (the C parser), which is iterative: depth and number of nodes are counted while
parsing, so a hostile file costs no more than what comes before its limit. Anchors, aliases, tags, merge keys and
duplicate keys are errors; nothing is expanded.
"""

from __future__ import annotations

from typing import Any

import yaml

from daemon.documents.problems import Report, show
from daemon.documents.scalars import Scalar, ScalarRefused, resolve
from daemon.documents.syntax import explain
from daemon.documents.text import REFUSED, describe

DEEPEST = 20
MOST_NODES = 5_000
LONGEST_KEY = 200

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Node:
    """A value and where it stands: at its key, if it has one, else at itself. Lines and columns from 1.

    `value` is a scalar, a list of nodes, or a dictionary of nodes.
    """

    __slots__ = ("column", "line", "value")

    def __init__(self, value: Any, line: int, column: int) -> None:
        self.value: Scalar | list[Node] | dict[str, Node] = value
        self.line = line
        self.column = column

    def plain(self) -> Any:
        """The value as JSON knows it."""
        value = self.value
        if isinstance(value, dict):
            return {key: node.plain() for key, node in value.items()}
        if isinstance(value, list):
            return [node.plain() for node in value]
        return value

    def find(self, path: tuple[str | int, ...]) -> tuple[Node, str]:
        """Follow `path` as far as it goes; words that are no key here (names of alternatives) are passed over.

        Returns the node reached and its way, dotted.
        """
        node, way = self, []
        for word in path:
            value = node.value
            if isinstance(value, dict) and str(word) in value:
                node = value[str(word)]
            elif isinstance(value, list) and isinstance(word, int) and word < len(value):
                node = value[word]
                word = word + 1  # people count from 1
            else:
                continue
            way.append(str(word))
        return node, ".".join(way)


class _Place:
    __slots__ = ("column", "line")

    def __init__(self, mark: Any) -> None:
        self.line = mark.line + 1
        self.column = mark.column + 1


def parse(text: str, report: Report) -> Node:
    """Text to nodes. What can be read past is added to `report`.

    Raises
    ------
    DocumentError
        When the text is no YAML, holds more than one document, or passes a limit.
    """
    try:
        return _Builder(report).build(yaml.parse(text, Loader=_LOADER))
    except yaml.MarkedYAMLError as error:
        line, column, message = explain(error, text)
        raise report.stop(Node(None, line, column), "", message) from None
    except yaml.YAMLError as error:
        raise report.stop(Node(None, 1, 1), "", f"not readable as YAML: {error}") from None


class _Builder:
    def __init__(self, report: Report) -> None:
        self.report = report
        self.root: Node | None = None
        self.stack: list[Node] = []
        # For each open mapping: the key that waits for its value, as (key, place), or None.
        self.keys: list[tuple[str, _Place] | None] = []
        self.words: list[str] = []
        """For each open collection: what it is called in the one around it."""
        self.nodes = 0

    def build(self, events: Any) -> Node:
        documents = 0
        for event in events:
            kind = type(event)
            if kind is yaml.ScalarEvent:
                self._scalar(event)
            elif kind is yaml.MappingStartEvent or kind is yaml.SequenceStartEvent:
                self._open(event, {} if kind is yaml.MappingStartEvent else [])
            elif kind is yaml.MappingEndEvent or kind is yaml.SequenceEndEvent:
                self.stack.pop()
                self.keys.pop()
                self.words.pop()
            elif kind is yaml.AliasEvent:
                self._count(event)
                self._refuse(event, f"aliases (*{event.anchor}) are not allowed; write the value out")
                self._put(None, event)
            elif kind is yaml.DocumentStartEvent:
                documents += 1
                if documents > 1:
                    raise self.report.stop(
                        _Place(event.start_mark), "", "a second document starts here; one file is one job"
                    )
        if self.root is None:
            raise self.report.stop(Node(None, 1, 1), "", "the file is empty; a job starts with `do: stems` or `steps:`")
        return self.root

    def _count(self, event: Any) -> None:
        self.nodes += 1
        if self.nodes > MOST_NODES:
            raise self.report.stop(
                _Place(event.start_mark), "", f"more than {MOST_NODES:,} values in one file; split the job"
            )

    def _properties(self, event: Any) -> None:
        if event.anchor is not None:
            self._refuse(event, f"anchors (&{event.anchor}) are not allowed; write the value where it is used")
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._refuse(event, f"tags ({show(tag)[1:-1]}) are not allowed; put text in quotes")

    def _open(self, event: Any, value: Any) -> None:
        self._count(event)
        if len(self.stack) >= DEEPEST:
            raise self.report.stop(_Place(event.start_mark), "", f"nested more than {DEEPEST} deep")
        self._properties(event)
        if self._key_is_due():
            raise self.report.stop(
                _Place(event.start_mark), self._way(), "a key must be a plain word, not a list or a mapping"
            )
        word = self._word()
        self.stack.append(self._put(value, event))
        self.keys.append(None)
        self.words.append(word)

    def _scalar(self, event: Any) -> None:
        self._count(event)
        self._properties(event)
        text = event.value
        if match := REFUSED.search(text):  # reached by an escape: "\0"
            self._refuse(event, f"{describe(match[0])}, escaped or not; remove it")
            text = REFUSED.sub("?", text)
        if self._key_is_due():
            self._key(text, event)
            return
        value: Scalar = text
        if not event.style and event.implicit[0]:
            try:
                value = resolve(text)
            except ScalarRefused as error:
                self._refuse(event, str(error))
                value = None
        self._put(value, event)

    def _key_is_due(self) -> bool:
        return bool(self.stack) and isinstance(self.stack[-1].value, dict) and self.keys[-1] is None

    def _key(self, text: str, event: Any) -> None:
        place = _Place(event.start_mark)
        way = f"{self._way()}.{show(text)[1:-1]}".lstrip(".")
        if text == "<<" and not event.style:
            self.report.add(place, way, "merge keys (<<) are not allowed; write the keys out")
        elif not text:
            self.report.add(place, way, "a key is missing before the colon")
        elif len(text) > LONGEST_KEY:
            self.report.add(place, way, f"a key has at most {LONGEST_KEY} characters")
        elif text in self.stack[-1].value:  # type: ignore[operator]
            first = self.stack[-1].value[text]  # type: ignore[index, call-overload]
            self.report.add(place, way, f"this key is already there, in line {first.line}; keep one of the two")
        self.keys[-1] = (text, place)

    def _put(self, value: Any, event: Any) -> Node:
        parent = self.stack[-1] if self.stack else None
        if parent is None or isinstance(parent.value, list):
            place = _Place(event.start_mark)
            node = Node(value, place.line, place.column)
            if parent is None:
                self.root = node
            else:
                parent.value.append(node)  # type: ignore[union-attr]
            return node
        pending = self.keys[-1]
        if pending is None:  # an alias where a key is due; already refused
            self.keys[-1] = ("", _Place(event.start_mark))
            return Node(None, 1, 1)
        key, key_place = pending
        node = Node(value, key_place.line, key_place.column)
        parent.value.setdefault(key, node)  # type: ignore[union-attr]
        self.keys[-1] = None
        return node

    def _refuse(self, event: Any, message: str) -> None:
        """Add a problem at the key whose value this is, so that what follows from it is not said again."""
        pending = self.keys[-1] if self.keys else None
        place = pending[1] if pending else _Place(event.start_mark)
        self.report.add(place, self._way(), message)

    def _word(self) -> str:
        """What a value that comes now is called in the collection around it."""
        if not self.stack:
            return ""
        if isinstance(self.stack[-1].value, list):
            return str(len(self.stack[-1].value) + 1)
        pending = self.keys[-1]
        return show(pending[0])[1:-1] if pending else ""

    def _way(self) -> str:
        return ".".join(word for word in [*self.words, self._word()] if word)
