"""Which files of a repository are part of the build: the rules of ``.dockerignore``.

The engine does not apply the file to a context that it is sent as a tar stream (the docker command does), so we must.
The SDK's own matcher tests a file only against as many of its parent folders as the pattern has parts, so that
``**/secrets`` lets ``a/b/secrets/key`` through; hence this one, which follows moby/patternmatcher, but without
regular expressions: Go's take linear time, Python's may take for ever and block all other threads meanwhile.
"""

import posixpath
import re
from collections.abc import Iterator, Sequence

from orchestrator.domain.globs import Loop, Patterns, Token
from workers.clients.dockerfile import text_lines

MAX_DOCKERIGNORE = 1024 * 1024
"""Bytes of a ``.dockerignore`` that are read."""
MAX_PATTERNS = 10_000
"""Lines of a ``.dockerignore`` that count."""
_ONE = re.compile("[^/]")


def read_patterns(text: bytes) -> tuple[str, ...]:
    """Return the patterns of a ``.dockerignore``, cleaned; ``!`` in front marks an exception.

    A line that begins with ``#`` is a comment; a leading slash and ``.``, ``..`` parts have no meaning.
    """
    patterns = []
    for line in text_lines(text)[:MAX_PATTERNS]:
        pattern = "" if line.startswith("#") else line.strip()
        negated = pattern.startswith("!")
        pattern = pattern[1:].strip() if negated else pattern
        if pattern:
            pattern = posixpath.normpath("/" + pattern).lstrip("/")
        if pattern:
            patterns.append(f"!{pattern}" if negated else pattern)
    return tuple(patterns)


class Ignore:
    """The rules of one ``.dockerignore``; the last pattern that matches decides."""

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._texts = patterns
        self._excepts = tuple(pattern.startswith("!") for pattern in patterns)
        self._patterns = Patterns([list(_tokens(pattern.removeprefix("!"))) for pattern in patterns])

    def ignores(self, path: str) -> bool:
        """Tell whether the file or folder at `path` (relative, with slashes) is left out.

        A pattern that matches a folder matches all that is inside.
        """
        last = self._patterns.last(path, above=True)
        return last is not None and not self._excepts[last]

    def ignores_all_in(self, folder: str) -> bool:
        """Tell whether a folder is left out, and no exception that comes later may name anything inside it."""
        last = self._patterns.last(folder, above=True)
        if last is None or self._excepts[last]:
            return False
        later = (text[1:] for text in self._texts[last + 1 :] if text.startswith("!"))
        return not any(_may_lead_into(pattern, f"{folder}/") for pattern in later)


def _may_lead_into(pattern: str, folder: str) -> bool:
    plain = re.split(r"[*?\[\\]", pattern, maxsplit=1)[0]
    return plain.startswith(folder) or (plain != pattern and folder.startswith(plain))


def _tokens(pattern: str) -> Iterator[Token]:
    at, last_end = 0, pattern.rfind("]")  # looking for an end from every bracket would take minutes
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*" and pattern[at : at + 1] == "*":
            at += 2 if pattern[at + 1 : at + 2] == "/" else 1
            yield Loop.ANY if at >= len(pattern) else Loop.FOLDERS
        elif char == "*":
            yield Loop.SEGMENT
        elif char == "?":
            yield _ONE
        elif char == "[" and at < last_end:
            group, at = _group(pattern, at)
            yield from group
        elif char == "\\" and at < len(pattern):
            yield pattern[at]
            at += 1
        else:
            yield char


def _group(pattern: str, at: int) -> tuple[Sequence[Token], int]:
    """Read the ``[a-z]`` that begins before `at`; without an end it stands for its own characters."""
    end = pattern.index("]", at + 1)
    body = pattern[at:end].replace("\\", r"\\").replace("[", r"\[").replace("&&", r"&\&")
    try:
        return [re.compile(f"[{body}]")], end + 1
    except re.error:
        return pattern[at - 1 : end + 1], end + 1
