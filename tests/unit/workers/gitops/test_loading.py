"""YAML that anybody may have written is loaded within bounds."""

import subprocess
import sys

import pytest

from workers.gitops.image_keys import read_values
from workers.gitops.loading import load
from workers.gitops.locate import MAX_DEPTH

MERGES = "m0: &m0 {k: v}\n" + "".join(f"m{n}: &m{n}\n  <<: [{f'*m{n - 1}, ' * 4}]\n  k{n}: v\n" for n in range(1, 30))
"""1,500 bytes that stand for a map of four to the power of thirty entries."""


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a: {b: [1, x]}", {"a": {"b": [1, "x"]}}),
        (b"a: 1", {"a": 1}),
        ("x: &x {a: 1}\ny: {<<: *x, b: 2}", {"x": {"a": 1}, "y": {"a": 1, "b": 2}}),
        ("", None),
        ("a: {", None),
        ("a: 2024-02-31", None),
        ("a: 1\n---\nb: 2", None),
        ("a: \ud800", None),
    ],
)
def test_one_document_is_loaded(text: str | bytes, value: object) -> None:
    assert load(text) == value


def test_merges_of_merges_are_given_up() -> None:
    assert load(MERGES) is None
    assert read_values(MERGES.encode()) == {}


def test_what_nests_too_deeply_takes_no_stack() -> None:
    """To load it would end the process, without any error; hence the process of its own."""
    program = "from workers.gitops.loading import load; assert load('[' * 60000 + ']' * 60000) is None"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert load("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None
    assert load("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)) is None
