"""The generated pages write numbers as people do."""

import re

import pytest

from orchestrator.cli.reference import PAGES, configuration
from orchestrator.config.types import Duration


@pytest.mark.parametrize("name", [name for name in PAGES if name.endswith(".md")])
def test_no_number_has_an_exponent(name: str) -> None:
    assert re.findall(r"\d+e\+?\d+", re.sub(r"`[0-9a-f]{16,}`|sha256:\w+", "", PAGES[name]())) == []


def test_the_arguments_of_all_commands_are_in_capital_letters() -> None:
    usages = re.findall(r"^Usage: pilotage [a-z -]*(.*)$", PAGES["cli.md"](), re.MULTILINE)
    assert len(usages) > 20
    assert [words for words in usages if not re.fullmatch(r"\[OPTIONS\]( (\{[A-Z]+\}|\[[A-Z]+\]))*", words)] == []


@pytest.mark.parametrize(("key", "default"), [("keep", "90d"), ("max_body", "25MiB"), ("concurrency", "2")])
def test_a_default_is_written_as_in_the_file(key: str, default: str) -> None:
    row = re.search(rf"^\| `server\.{key}` \| [^|]* \| (.*?) \|", configuration(), re.MULTILINE)

    assert row
    assert row[1] == f"`{default}`"


def test_the_bounds_of_a_length_are_too() -> None:
    assert Duration(10, 86400).words == "duration, `10s` to `1d`"
