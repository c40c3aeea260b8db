"""The grammar of a path into a YAML file, such as ``image.tag``: the one place that defines it.

========================================  ==========================================================
``image.tag``                             key ``tag`` of the map ``image``
``images.0.newTag``, ``images[0].newTag`` first item of the list ``images`` (in a map, ``0`` is a key)
``images[name=web].newTag``               the item of the list whose key ``name`` has the value ``web``
``parameters[name="image.tag"].value``    the same with a quoted value; single quotes do too
``annotations."a.b/c".x``, ``a\\.b``        a key with dots: quoted, or each dot escaped by a backslash
``$2:spec.image``                         the same path in the second document of the file only
========================================  ==========================================================
"""

import re
from dataclasses import dataclass

MAX_LENGTH = 1024
"""Characters of a path."""
MAX_STEPS = 64
"""Steps of a path; real files are a dozen levels deep at the most."""

_DOCUMENT = re.compile(r"\$([1-9][0-9]{0,5}):")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"|\'([^\']*)\'', re.DOTALL)
_WORD = r"(?:[^\s.\[\]\"'\\]|\\.)+"
_BARE = re.compile(rf"{_WORD}(?: +{_WORD})*", re.DOTALL)
_PLAIN = re.compile(r"[^\s.\[\]\"'\\]+(?: +[^\s.\[\]\"'\\]+)*")
_INDEX = re.compile(r"\[([0-9]{1,6})\]")
_NAMED = re.compile(r"\[([^\s=\[\]\"'.]+)=")
_NAMED_VALUE = re.compile(r"[^\[\]\"']+")
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_SPECIAL = re.compile(r'(["\\])')
_ESCAPED = r"\\\1"


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of a map; when the container is a list and the text is a number, the item at that index."""

    text: str

    def __str__(self) -> str:
        return self.text if _PLAIN.fullmatch(self.text) else f'"{_SPECIAL.sub(_ESCAPED, self.text)}"'


@dataclass(frozen=True, slots=True)
class Index:
    """The item of a list at `number`, counted from 0."""

    number: int

    def __str__(self) -> str:
        return f"[{self.number}]"


@dataclass(frozen=True, slots=True)
class Named:
    """The one item of a list of maps whose entry `key` is the scalar `value`."""

    key: str
    value: str

    def __str__(self) -> str:
        value = self.value if _NAMED_VALUE.fullmatch(self.value) else f'"{_SPECIAL.sub(_ESCAPED, self.value)}"'
        return f"[{self.key}={value}]"


Step = Key | Index | Named


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed path: its text, its steps and, when it names one, the document (counted from 1)."""

    text: str
    steps: tuple[Step, ...]
    document: int | None = None

    def __str__(self) -> str:
        return self.text

    def beginning(self, count: int) -> str:
        """Return the text of the first `count` steps, for messages that name where on the way something is."""
        return "".join(f".{step}" if isinstance(step, Key) else str(step) for step in self.steps[:count])[1:]

    def sibling(self, key: str) -> "Path":
        """Return the path of the entry `key` beside the one that this path names."""
        parent = self.beginning(len(self.steps) - 1)
        number = f"${self.document}:" if self.document else ""
        return parse_path(f"{number}{parent}.{Key(key)}" if parent else f"{number}{Key(key)}")


def parse_path(text: str) -> Path:
    """Parse the text of a path; see the table at the head of this module.

    :raises ValueError: with a sentence that says what is wrong and where (characters counted from 1).
    """
    if len(text) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters")
    document = _DOCUMENT.match(text)
    position = document.end() if document else 0
    steps: list[Step] = []
    while True:
        key, position = _key(text, position)
        steps.append(key)
        position = _selectors(text, position, steps)
        if len(steps) > MAX_STEPS:
            raise ValueError(f"has more than {MAX_STEPS} steps")
        if position == len(text):
            if isinstance(steps[-1], Named):
                raise ValueError("ends with [name=value], which chooses a map and not a value in it")
            return Path(text, tuple(steps), int(document[1]) if document else None)
        if text[position] != ".":
            raise ValueError(f"has {text[position]!r} at character {position + 1} where a dot or the end is expected")
        position += 1


def _key(text: str, position: int) -> tuple[Key, int]:
    quoted = _QUOTED.match(text, position)
    if quoted:
        return Key(_unquoted(quoted)), quoted.end()
    bare = _BARE.match(text, position)
    if bare is None:
        raise ValueError(f"has no key at character {position + 1}")
    return Key(_ESCAPE.sub(r"\1", bare[0])), bare.end()


def _unquoted(quoted: re.Match[str]) -> str:
    value = quoted[2] if quoted[1] is None else _ESCAPE.sub(r"\1", quoted[1])
    if not value:
        raise ValueError(f"has an empty name at character {quoted.start() + 1}")
    return value


def _selectors(text: str, position: int, steps: list[Step]) -> int:
    """Read any number of ``[0]`` and ``[name=web]``, append them to `steps` and return where they end."""
    while text[position : position + 1] == "[":
        index = _INDEX.match(text, position)
        if index:
            steps.append(Index(int(index[1])))
            position = index.end()
        else:
            named, position = _named(text, position)
            steps.append(named)
    return position


def _named(text: str, position: int) -> tuple[Named, int]:
    head = _NAMED.match(text, position)
    if head is None:
        raise ValueError(f"has neither [number] nor [name=value] at character {position + 1}")
    quoted = _QUOTED.match(text, head.end())
    value = quoted or _NAMED_VALUE.match(text, head.end())
    if value is None or text[value.end() : value.end() + 1] != "]":
        raise ValueError(f"has no closing ] for the [ at character {position + 1}")
    return Named(head[1], _unquoted(quoted) if quoted else value[0]), value.end() + 1
