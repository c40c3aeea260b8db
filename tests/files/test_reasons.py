"""Every reason is given by something: people are told to look for them."""

import ast
from collections.abc import Iterator

from orchestrator.domain.reasons import Reason
from tests.support.journals import PACKAGES, ROOT

VOCABULARY = ROOT / "orchestrator/domain/reasons.py"


def given() -> Iterator[str]:
    """Name what is written as ``Reason.NAME`` in the source, outside the list of reasons itself."""
    for file in (file for package in PACKAGES for file in (ROOT / package).rglob("*.py") if file != VOCABULARY):
        for node in ast.walk(ast.parse(file.read_bytes())):
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Reason":
                yield node.attr


def test_no_reason_is_in_the_list_for_nothing() -> None:
    assert Reason.__members__.keys() - set(given()) == set()
