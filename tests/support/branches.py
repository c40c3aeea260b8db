"""Counts the branches of the pure rules while tests of them run: ``pytest -p tests.support.branches``.

To count makes any test slower by half, so the others are not counted. Each process leaves a file of its own, which
``coverage combine`` puts together.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from coverage import Coverage

_TESTS = Path(__file__).parent.parent
PURE = tuple(
    _TESTS / one
    for one in (
        "unit/orchestrator/domain",
        "unit/orchestrator/engine",
        "unit/webhooks",
        "unit/workers/gitops",
        "contract/test_argocd_verdicts.py",
        "contract/test_bad_deliveries.py",
        "contract/test_forges.py",
        "integration/landing",
        "integration/test_plans.py",
    )
)
"""Tests of the pure rules."""
_counter = Coverage(data_file=str(_TESTS.parent / ".coverage"), data_suffix=True)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Count from here on: a module's own lines run when a test imports it."""
    _counter.start()


@pytest.hookimpl(trylast=True)
def pytest_collection_finish() -> None:
    """All that tests import is imported."""
    _counter.stop()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Count while a test of the pure rules runs."""
    if not any(item.path.is_relative_to(one) for one in PURE):
        return (yield)
    _counter.start()
    try:
        return (yield)
    finally:
        _counter.stop()


def pytest_sessionfinish() -> None:
    """Write down what was counted."""
    _counter.stop()
    _counter.save()
