"""What else uses a value of a YAML file: an edit inside an anchor changes what its aliases and merges provide."""

import yaml
from yaml._yaml import CParser

from workers.gitops.locate import line_of

_MOST = 5
"""Aliases that a warning names."""


def users(text: str, number: int) -> str:
    """Name the aliases that repeat a value or what is around it, by their lines: ``line 6 (*img)``; "" for none.

    :param text: a whole YAML file, without byte order mark. :param number: of the value's event (`Scalar.event`).
    """
    found = _aliases(text, number) if "&" in text and "*" in text else []
    more = [f"{len(found) - _MOST} more"] if len(found) > _MOST else []
    return ", ".join(found[:_MOST] + more)


def _aliases(text: str, number: int) -> list[str]:
    """List the aliases whose anchor is on the event with this number, or on a container that is open there."""
    opened: list[int] = []
    around: set[int] = set()
    named: dict[str, int] = {}  # an anchor means what it was put on last
    found: list[str] = []
    following, count = CParser(text).get_event, 0
    while (event := following()) is not None:
        count += 1
        if isinstance(event, yaml.AliasEvent):
            if named.get(str(event.anchor)) in around:
                found.append(f"line {line_of(event)} (*{event.anchor})")
        elif isinstance(event, yaml.NodeEvent) and event.anchor:
            named[event.anchor] = count
        if count == number:
            around = {*opened, count}
        if isinstance(event, yaml.CollectionStartEvent):
            opened.append(count)
        elif isinstance(event, yaml.CollectionEndEvent):
            opened.pop()
    return found
