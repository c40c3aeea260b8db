"""The proof behind every edit: a splice that does more than it says is refused."""

import pytest

from orchestrator.domain.paths import parse_path
from workers.gitops.locate import locate
from workers.gitops.refusals import EditRefused
from workers.gitops.splice import Splice, spliced, verify


def try_to_write(source, path, written, value, style=""):
    """Write raw text over a value and return the result if the proof holds."""
    located = locate(source, [parse_path(path)])
    scalar = located.scalars[0]
    splice = Splice(scalar.start, scalar.end, written, value, style, scalar)
    result = spliced(source, [splice])
    verify(source, result, located, [splice])
    return result


SOURCES = [
    "a: 1\nb: {c: v}\nd: 2\n",
    "{a: 1, b: {c: v}}",
    "%YAML 1.1\n---\na: 1\nb: {c: v}\n",
    "b: {c: v}\n---\na: 1\n",
]


@pytest.mark.parametrize("source", SOURCES)
def test_a_splice_that_does_what_it_says_is_let_through(source):
    assert try_to_write(source, "b.c", "w", "w") == source.replace("v", "w")


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize(
    ("written", "value", "style"),
    [
        ("w, x: 1", "w", ""),
        ("w}\ne: {f: g", "w", ""),
        ("w # swallows", "w", ""),
        ('"w', "w", '"'),
        ("w", "other", ""),
        ("'w'", "w", ""),
        ("[w]", "w", ""),
        ("*w", "w", ""),
        ("&w w", "w", ""),
        ("!!str w", "w", ""),
        ("{", "w", ""),
    ],
)
def test_a_splice_that_does_more_is_refused(source, written, value, style):
    with pytest.raises(EditRefused, match="the new value would change how other parts of the file are read"):
        try_to_write(source, "b.c", written, value, style)
