"""A package that looks as if it were not installed, for a while."""

import importlib
import sys

import pytest

from orchestrator.lean import without


@pytest.mark.parametrize("name", ["wave", "json"])
def test_a_package_is_not_there_inside_and_as_before_outside(name: str) -> None:
    before = sys.modules.get(name)
    with without(name), pytest.raises(ModuleNotFoundError):
        importlib.import_module(name)
    assert sys.modules.get(name) is before
    assert importlib.import_module(name)


def test_it_is_back_after_an_import_that_broke() -> None:
    with pytest.raises(ModuleNotFoundError), without("json"):
        importlib.import_module("there_is_no_such_package")
    assert importlib.import_module("json").loads("1") == 1
