"""YAML that people write, read with the line of each key, and without what YAML can do harm with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nabla.errors import BadInput, TooLarge

if TYPE_CHECKING:
    from yaml.nodes import Node

LONGEST = 1 << 20
"""Characters of a file that is read."""
NODES = 100_000
"""Values that a file may come to, with what its aliases repeat."""
DEPTH = 50
_PLAIN = frozenset(
    f"tag:yaml.org,2002:{name}"
    for name in ("str", "int", "float", "bool", "null", "timestamp", "map", "seq", "merge", "value")
)
_NULL = "tag:yaml.org,2002:null"
Step = str | int


class BadYaml(BadInput):
    """A file that is no YAML, or none that is read; `line` says where, counted from 1."""

    def __init__(self, message: str, line: int) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True)
class Lined:
    """What a file says: `value` is made of dicts, lists, texts as they are written, and None.

    A number, a date or a `true` stays the text that it was: a version called 0123456 is no number.
    """

    value: Any
    lines: dict[tuple[Step, ...], int]
    """The line of each key or item, counted from 1, by its path."""

    def line(self, *path: Step) -> int:
        """Return the line of what is at `path`, or of the nearest thing around it."""
        while path and path not in self.lines:
            path = path[:-1]
        return self.lines.get(path, 1)


def read(text: str) -> Lined:
    """Return what a YAML text says.

    Raises `BadYaml` for what is no YAML, a key that is there twice, a tag that would make an object, an
    alias inside of itself; `TooLarge` for more than anybody writes.
    """
    import yaml

    if len(text) > LONGEST:
        raise TooLarge(f"It has {len(text)} characters: {LONGEST} is the most.")
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = error.problem or error.context or "it cannot be read"
        raise BadYaml(f"it is no YAML: {what}.", 1 if mark is None else mark.line + 1) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise BadYaml("it has a character that YAML does not allow.", line) from None
    except RecursionError:
        raise BadYaml(f"it is nested more than {DEPTH} deep.", 1) from None
    reader = _Reader()
    value = None if root is None else reader.value(root, ())
    return Lined(value, reader.lines)


class _Reader:
    def __init__(self) -> None:
        self.lines: dict[tuple[Step, ...], int] = {}
        self._seen = 0
        self._around: list[Node] = []

    def value(self, node: Node, path: tuple[Step, ...]) -> Any:
        from yaml.nodes import MappingNode, ScalarNode, SequenceNode

        line = node.start_mark.line + 1
        self.lines.setdefault(path, line)
        self._seen += 1
        if self._seen > NODES:
            raise TooLarge(f"It comes to more than {NODES} values with all that its aliases repeat.")
        if node.tag not in _PLAIN:
            raise BadYaml(f"the tag {node.tag[:80]!r} is not read: write plain values.", line)
        if len(self._around) > DEPTH or any(one is node for one in self._around):
            raise BadYaml(f"it is nested more than {DEPTH} deep.", line)
        self._around.append(node)
        try:
            if isinstance(node, ScalarNode):
                return None if node.tag == _NULL and node.style is None else str(node.value)
            if isinstance(node, SequenceNode):
                return [self.value(item, (*path, number)) for number, item in enumerate(node.value)]
            assert isinstance(node, MappingNode)  # noqa: S101 - there is no fourth kind
            return self._mapping(node, path)
        finally:
            self._around.pop()

    def _mapping(self, node: Any, path: tuple[Step, ...]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        merged: dict[str, Any] = {}
        for key, inner in node.value:
            line = key.start_mark.line + 1
            if key.tag == "tag:yaml.org,2002:merge":
                merged |= self._merged(inner, path)
                continue
            if not isinstance(key.value, str):
                raise BadYaml("a key is a list or a mapping: write a word.", line)
            if key.value in found:
                raise BadYaml(f"{key.value[:80]!r} is there twice.", line)
            self.lines[*path, key.value] = line
            found[key.value] = self.value(inner, (*path, key.value))
        return merged | found

    def _merged(self, node: Any, path: tuple[Step, ...]) -> dict[str, Any]:
        """Return what `<<` takes over: of several mappings the first that has a key."""
        value = self.value(node, (*path, "<<"))
        found: dict[str, Any] = {}
        for one in reversed(value if isinstance(value, list) else [value]):
            if not isinstance(one, dict):
                raise BadYaml("<< takes over the keys of a mapping only.", node.start_mark.line + 1)
            found |= one
        return found
