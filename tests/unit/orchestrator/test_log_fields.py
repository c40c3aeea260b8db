"""The table of log fields: what fits, and that every call in the source keeps to it."""

from typing import Any

import pytest

from orchestrator.log_fields import FIELDS, MAX_STACK, MAX_TEXT, as_json, faults, fit
from tests.support.journals import log_calls

CALLS = list(log_calls())
FOREIGN = {"orchestrator/cli/product.py"}
"""A socket is bound there, not a log."""
ANY = {"orchestrator/journal.py"}
"""Where ``about(**ids)`` is made; the calls of it are looked at."""


def test_there_are_calls_to_look_at() -> None:
    assert len(CALLS) > 30


def test_every_event_is_a_text_that_is_written_down_as_it_is() -> None:
    logs = [
        call for call in CALLS if "bind" not in call.name and "about" not in call.name and "bound" not in call.name
    ]

    assert [call.place for call in logs if not call.says] == []
    assert [call.says for call in logs if call.says and any(sign in call.says for sign in "{}%.:")] == []


def test_every_field_of_a_call_is_in_the_table() -> None:
    unknown = [
        (call.place, name)
        for call in CALLS
        for name in call.fields
        if name not in FIELDS and call.place.partition(":")[0] not in FOREIGN | ANY
    ]

    assert unknown == []


def test_no_field_is_in_the_table_for_nothing() -> None:
    """What the journal itself adds to lines is not in any call."""
    own = {"ts", "level", "service", "logger", "event", "trace_id", "err_msg", "err_stack"}

    assert FIELDS.keys() - {name for call in CALLS for name in call.fields} - own == set()


@pytest.mark.parametrize(
    ("name", "value", "fitting"),
    [
        ("run", 7, 7),
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
