"""Which files of a repository are part of the build: the rules of ``.dockerignore``.

The engine does not apply the file to a context that it is sent as a tar stream (the docker command does), so we must.
The SDK's own matcher tests a file only against as many of its parent folders as the pattern has parts, so that
``**/secrets`` lets ``a/b/secrets/key`` through; hence this one, which follows moby/patternmatcher.
"""

import posixpath
import re
from functools import lru_cache

MAX_PATTERNS = 10_000
"""Lines of a ``.dockerignore`` that count."""


def read_patterns(text: bytes) -> tuple[str, ...]:
    """Return the patterns of a ``.dockerignore``, cleaned; ``!`` in front marks an exception.

    A line that begins with ``#`` is a comment; a leading slash and ``.``, ``..`` parts have no meaning.
    """
    patterns = []
    for line in text.decode("utf-8-sig", "replace").splitlines()[:MAX_PATTERNS]:
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
        self._rules = tuple((p.startswith("!"), _compile(p.removeprefix("!"))) for p in patterns)
        self._inside = lru_cache(maxsize=4096)(self._matches)

    def ignores(self, path: str) -> bool:
        """Tell whether the file or folder at `path` (relative, with slashes) is left out."""
        ignored = False
        for (negated, _), matched in zip(self._rules, self._matches(path), strict=True):
            if matched:
                ignored = not negated
        return ignored

    def _matches(self, path: str) -> tuple[bool, ...]:
        """Tell for each rule whether it matches the path or a folder above it: that holds for all inside."""
        parent = posixpath.dirname(path)
        above = self._inside(parent) if parent else (False,) * len(self._rules)
        return tuple(
            inherited or rule.match(path) is not None for inherited, (_, rule) in zip(above, self._rules, strict=True)
        )


def _compile(pattern: str) -> re.Pattern[str]:
    out: list[str] = []
    at = 0
    while at < len(pattern):
        char = pattern[at]
        at += 1
        if char == "*" and pattern[at : at + 1] == "*":
            at += 2 if pattern[at + 1 : at + 2] == "/" else 1
            part = ".*" if at >= len(pattern) else "(?:.*/)?"
            if out[-1:] != [part]:  # two in a row match no more than one and make the search slow
                out.append(part)
        elif char == "*":
            out.append("[^/]*")
        elif char == "?":
            out.append("[^/]")
        elif char == "[":
            group, at = _group(pattern, at)
            out.append(group)
        elif char == "\\" and at < len(pattern):
            out.append(re.escape(pattern[at]))
            at += 1
        else:
            out.append(re.escape(char))
    return re.compile("".join(out) + r"\Z", re.DOTALL)


def _group(pattern: str, at: int) -> tuple[str, int]:
    """Translate ``[a-z]`` that begins before `at`; an open bracket without an end stands for itself."""
    end = pattern.find("]", at + 1)
    if end < 0:
        return re.escape("["), at
    body = pattern[at:end].replace("\\", r"\\").replace("[", r"\[").replace("&&", r"&\&")
    group = f"[{body}]"
    try:
        re.compile(group)
    except re.error:
        return re.escape(pattern[at - 1 : end + 1]), end + 1
    return group, end + 1
