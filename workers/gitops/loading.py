"""Loads the values of a YAML document that anybody may have written, in bounded time and memory."""

import math
from typing import Any, ClassVar, cast

import yaml
from yaml._yaml import CParser

from workers.gitops.locate import MAX_DEPTH

MAX_ENTRIES = 100_000
"""Entries that the maps of a document merge together: few lines of merges of merges make billions."""
MAX_EVENTS = 200_000
"""Keys, values, begins and ends in a document. Each takes half a kilobyte of memory, and two bytes to write."""
MAX_NUMBER = 64
"""Characters of a number; what is longer is a text, as time grows with the square of the digits."""
_MERGE = "tag:yaml.org,2002:merge"
_INT, _FLOAT = "tag:yaml.org,2002:int", "tag:yaml.org,2002:float"
_FAULTS = (yaml.YAMLError, ValueError, LookupError, AttributeError, RecursionError)
"""What the loader raises for a date that no calendar has (ValueError), or a tag on a text that does not fit it."""


def _number(loader: yaml.SafeLoader, node: yaml.Node) -> object:
    """Make a number. One by sixties, such as 1:30, is a text, as it is for Helm's parser."""
    written = str(loader.construct_scalar(cast(yaml.ScalarNode, node)))
    if ":" in written or len(written) > MAX_NUMBER:
        return written
    return yaml.SafeLoader.yaml_constructors[node.tag](loader, node)


class _Loader(yaml.CSafeLoader):
    """Loads plain values; merges have a bound."""

    yaml_constructors: ClassVar[dict[str | None, Any]] = {
        **yaml.CSafeLoader.yaml_constructors,
        _INT: _number,
        _FLOAT: _number,
    }

    def __init__(self, stream: bytes | str) -> None:
        super().__init__(stream)
        self._merged = 0

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put what a map merges into it. :raises yaml.YAMLError: that is too much."""
        for key, value in node.value:
            if key.tag == _MERGE:
                for one in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                    self._count(one)
        super().flatten_mapping(node)

    def _count(self, node: yaml.Node) -> None:
        if isinstance(node, yaml.MappingNode):
            self.flatten_mapping(node)
            self._merged += len(node.value)
        if self._merged > MAX_ENTRIES:
            raise yaml.YAMLError(f"the maps merge more than {MAX_ENTRIES} entries")


def load(text: bytes | str) -> Any:
    """Return the value of the only document; None where it is no YAML, has several documents or passes a bound."""
    try:
        return yaml.load(text, _Loader) if _is_bounded(text) else None  # noqa: S506  # as safe as what it is made of
    except _FAULTS:
        return None


def _is_bounded(text: bytes | str) -> bool:
    """Tell whether the document is of bounded size, and nests no deeper than files that we edit.

    Each level takes from the stack. Aliases are followed; what contains itself nests without end.
    """
    names: list[str | None] = []
    below: list[float] = [0]  # levels within each open container, as far as they are known
    heights: dict[str | None, float] = {}
    following, count = CParser(text).get_event, 0
    while (event := following()) is not None:
        count += 1
        if isinstance(event, yaml.AliasEvent):
            below[-1] = max(below[-1], heights.get(event.anchor, 0))
        elif isinstance(event, yaml.CollectionStartEvent):
            names.append(event.anchor)
            heights[event.anchor] = math.inf
            below.append(0)
        elif isinstance(event, yaml.CollectionEndEvent):
            height = heights[names.pop()] = below.pop() + 1
            below[-1] = max(below[-1], height)
        if count > MAX_EVENTS or len(names) + below[-1] > MAX_DEPTH:
            return False
    return True
