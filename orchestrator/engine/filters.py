"""Path filters: which changed files matter, as ``build.paths`` says."""

import re
from collections.abc import Iterator
from fnmatch import translate
from functools import lru_cache

from orchestrator.domain.globs import Loop, Patterns, Token

_HERE = re.compile(r"(?:\./|/)+")
_TOKEN = re.compile(
    r"(?P<folders>(?:(?<![^/])\*\*+/)+)|(?P<any>\*+)|(?P<one>\?|\[!?+(?:\][^\]]*|[^\]]+)\])|(?P<character>.)",
    re.DOTALL,
)


@lru_cache(maxsize=256)
def path_filter(rules: tuple[str, ...]) -> Patterns:
    """Read rules: shell patterns from the root of the repository, in which stars match slashes, too.

    ``**/`` stands for any number of folders or none, a slash at the end for all that is in the folder; a slash or
    ``./`` in front has no meaning.
    """
    return Patterns([list(_tokens(rule)) for rule in rules])


def _tokens(rule: str) -> Iterator[Token]:
    head = _HERE.match(rule)
    plain = rule[head.end() :] if head else rule
    if plain in ("", "."):
        plain = "**"
    elif plain.endswith("/"):
        plain += "**"
    for found in _TOKEN.finditer(plain):
        match found.lastgroup:
            case "folders":
                yield Loop.FOLDERS
            case "any":
                yield Loop.ANY
            case "one":
                yield re.compile(translate(found[0]))
            case _:
                yield found[0]
