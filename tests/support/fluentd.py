"""A reader of Fluentd's configuration format: directives in each other, parameters, comments."""

import re
from dataclasses import dataclass, field

_OPEN = re.compile(r"<(\w+)(?:\s+([^>]*?))?>\Z")
_CLOSE = re.compile(r"</(\w+)>\Z")


@dataclass(slots=True)
class Directive:
    """``<name argument> ... </name>`` with its parameters as text; the file itself is one without a name."""

    name: str = ""
    argument: str = ""
    parameters: dict[str, str] = field(default_factory=dict)
    inside: list["Directive"] = field(default_factory=list)

    @property
    def type(self) -> str:
        return self.parameters.get("@type", "")

    def all(self) -> "list[Directive]":
        """Return everything inside, at any depth, in order."""
        return [each for one in self.inside for each in (one, *one.all())]

    def find(self, name: str, **parameters: str) -> "Directive":
        """Return the only directive with a name and parameters (`type` stands for ``@type``)."""
        wanted = {"@type" if key == "type" else key: value for key, value in parameters.items()}
        found = [one for one in self.all() if one.name == name and wanted.items() <= one.parameters.items()]
        assert len(found) == 1, f"{len(found)} of <{name}> {wanted}"
        return found[0]


def parse(text: str) -> Directive:
    """Read a file. :raises ValueError: tags do not fit together, or a parameter is there twice; with the line."""
    stack = [Directive()]
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        opened, closed = _OPEN.match(line), _CLOSE.match(line)
        if opened:
            stack.append(Directive(opened[1], (opened[2] or "").strip()))
        elif closed:
            done = stack.pop()
            if not stack or done.name != closed[1]:
                raise ValueError(f"line {number}: {line} closes <{done.name}>")
            stack[-1].inside.append(done)
        else:
            name, _, value = line.partition(" ")
            if name in stack[-1].parameters:
                raise ValueError(f"line {number}: {name} is there twice")
            stack[-1].parameters[name] = value.strip()
    if len(stack) > 1:
        raise ValueError(f"<{stack[-1].name}> is not closed")
    return stack[0]


def expression(text: str) -> re.Pattern[str]:
    """Compile ``/.../``, written for Ruby, in Python: named groups differ, the rest that is used here is alike."""
    assert text.startswith("/"), text
    assert text.endswith("/"), text
    return re.compile(text[1:-1].replace("(?<", "(?P<"))
