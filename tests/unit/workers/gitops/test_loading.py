"""YAML that anybody may have written is loaded within bounds."""

import subprocess
import sys

import pytest

from workers.gitops.image_keys import merged, read_values
from workers.gitops.loading import MAX_ENTRIES, MAX_EVENTS, load
from workers.gitops.locate import MAX_DEPTH

MERGES = "m0: &m0 {k: v}\n" + "".join(f"m{n}: &m{n}\n  <<: [{f'*m{n - 1}, ' * 4}]\n  k{n}: v\n" for n in range(1, 30))
"""1,500 bytes that stand for a map of four to the power of thirty entries."""
TENTH = "m0: &m0 {" + ", ".join(f"k{n}" for n in range(MAX_ENTRIES // 100)) + "}\n" + f"m1: &m1 [{'*m0, ' * 10}]\n"
"""A list of merges, of a tenth of what all merges together may be."""
DEEP = "m0: &m0 {}\n" + "".join(f"m{n}: &m{n} {{a: *m{n - 1}}}\n" for n in range(1, MAX_DEPTH - 1))
WIDE = "m0: &m0 {a: 1}\n" + "".join(f"m{n}: &m{n} {{a: *m{n - 1}, b: *m{n - 1}}}\n" for n in range(1, 60))
"""Two kilobytes that stand for two to the power of sixty values."""


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
        ("a: 1:30", {"a": "1:30"}),
        ("a: " + "1:" * 200 + "1.0", {"a": "1:" * 200 + "1.0"}),
        ("a: 0x" + "f" * 5000, {"a": "0x" + "f" * 5000}),
        ("a: [0x1f, 1.5, .inf]", {"a": [31, 1.5, float("inf")]}),
        ("a: !!int [1]", None),
        ("a: !!int ''", None),
        ("a: !!float ''", None),
        ("a: !!bool x", None),
        ("a: !!timestamp x", None),
        ("a: &a {b: [*a]}", None),
        ("a: &a {<<: *a}", None),
        ("a: *b", None),
        ("a: {<<: 1}", None),
    ],
)
def test_one_document_is_loaded(text: str | bytes, value: object) -> None:
    assert load(text) == value


def test_merges_of_merges_are_given_up() -> None:
    assert load(MERGES) is None
    assert read_values(MERGES.encode()) == {}


@pytest.mark.parametrize(
    ("merging", "whole"),
    [
        ("".join(f"x{n}: {{<<: *m1}}\n" for n in range(9)), True),
        (f"x: {{<<: [{'*m0, ' * 101}]}}", False),
        ("".join(f"x{n}: {{<<: *m1}}\n" for n in range(11)), False),
    ],
)
def test_all_merges_together_are_bounded(merging: str, whole: bool) -> None:
    """Else a list of merges takes gigabytes, and so do many maps that merge."""
    assert (load(TENTH + merging) is not None) is whole


def test_a_document_of_endless_values_is_given_up() -> None:
    """Each megabyte of them took two hundred of memory."""
    assert load("[" + "a," * (MAX_EVENTS - 10) + "]") is not None
    assert load("[" + "a," * (MAX_EVENTS + 10) + "]") is None


def test_aliases_nest_no_deeper_than_what_is_written() -> None:
    assert load(DEEP) is not None
    assert load(f"{DEEP}more: {{a: *m{MAX_DEPTH - 2}}}") is None


def test_files_full_of_aliases_are_laid_over_each_other() -> None:
    """Value by value that takes for ever, as two of them meet at each."""
    values = merged([read_values(WIDE.encode()), read_values(WIDE.encode()), {"m0": {"c": 2}}])
    assert values["m0"] == {"a": 1, "c": 2}
    assert values["m2"]["a"]["b"] == {"a": 1}


def test_what_nests_too_deeply_takes_no_stack() -> None:
    """To load it would end the process, without any error; hence the process of its own."""
    program = "from workers.gitops.loading import load; assert load('[' * 60000 + ']' * 60000) is None"
    subprocess.run([sys.executable, "-c", program], check=True)
    assert load("[" * MAX_DEPTH + "]" * MAX_DEPTH) is not None
    assert load("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)) is None
