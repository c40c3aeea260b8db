"""Loads the values of a YAML document that anybody may have written, in bounded time and memory."""

from typing import Any

import yaml
from yaml._yaml import CParser

from workers.gitops.locate import MAX_DEPTH

MAX_ENTRIES = 100_000
"""Entries of one map, with those that it merges: few lines of merges of merges make billions."""


class _Loader(yaml.CSafeLoader):
    """Loads plain values; merges have a bound."""

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put what a map merges into it. :raises yaml.YAMLError: that is too much."""
        super().flatten_mapping(node)
        if len(node.value) > MAX_ENTRIES:
            raise yaml.YAMLError(f"a map merges more than {MAX_ENTRIES} entries")


def load(text: bytes | str) -> Any:
    """Return the value of the only document; None where it is no YAML, has several documents or passes a bound."""
    try:
        return yaml.load(text, _Loader) if _is_flat(text) else None  # noqa: S506  # as safe as what it is made of
    except (yaml.YAMLError, ValueError, RecursionError):  # ValueError: a date that no calendar has
        return None


def _is_flat(text: bytes | str) -> bool:
    """Tell whether the document nests no deeper than files that we edit: each level takes from the stack."""
    depth, following = 0, CParser(text).get_event
    while (event := following()) is not None:
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            return False
    return True
