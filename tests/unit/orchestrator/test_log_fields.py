"""The table of log fields: what fits."""

from typing import Any

import pytest

from orchestrator.log_fields import FIELDS, MAX_STACK, MAX_TEXT, as_json, faults, fit


@pytest.mark.parametrize(
    ("name", "value", "fitting"),
    [
        ("run", 7, 7),
        ("run", 2**64, 2**63 - 1),
        ("run", -(2**64), 1 - 2**63),
        ("status", True, 1),
        ("app", "plate-web", "plate-web"),
        ("detail", ValueError("no"), "no"),
        ("detail", ["a", 1], "['a', 1]"),
        ("detail", "\ud800 서울", "? 서울"),
        ("detail", "x" * (MAX_TEXT + 1), "x" * MAX_TEXT),
        ("err_stack", "first" + "x" * MAX_STACK, "x" * MAX_STACK),
    ],
)
def test_what_a_line_makes_of_a_value(name: str, value: Any, fitting: Any) -> None:
    assert fit(name, value) == fitting
    assert type(fit(name, value)) is type(fitting)


@pytest.mark.parametrize("line", [{"runs": [1]}, {"run": "1"}, {"run": True}, {"app": 1}, {"detail": ["a"]}])
def test_what_the_tests_take_for_a_fault(line: dict[str, Any]) -> None:
    assert len(faults(line)) == 1
    assert faults({"run": 1, "app": "plate-web"}) == []


def test_the_table_for_programs_has_every_field_once_with_its_type() -> None:
    told = as_json()

    assert told["fields"].keys() == FIELDS.keys() == told["mappings"]["properties"].keys()
    assert {name for name, field in told["fields"].items() if field["always"]} == {
        "ts", "level", "service", "logger", "event"
    }  # fmt: skip
    assert told["mappings"]["properties"]["run"] == {"type": "long"}
    assert not [name for name in FIELDS if "." in name]
