"""Counts the branches of the pure rules while tests of them run: ``pytest -p tests.support.branches``.

To count makes any test slower by half, so the others are not counted. Each process leaves a file of its own, which
``coverage combine`` puts together.
"""

from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

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
    )
)
"""Tests of the pure rules."""
RULES = ("orchestrator.domain", "orchestrator.engine", "workers.gitops", "webhooks.forges")
"""Packages of the pure rules; none has another one below it."""
_counter = Coverage(data_file=str(_TESTS.parent / ".coverage"), data_suffix=True)


@pytest.hookimpl(tryfirst=True)
def pytest_load_initial_conftests() -> None:
    """Import all pure rules, as a module's own lines run only then; what tests import beside them is not counted."""
    _counter.start()
    for package in RULES:
        for module in iter_modules(import_module(package).__path__, f"{package}."):
            import_module(module.name)
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
