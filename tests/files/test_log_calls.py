"""Every call in the source that logs keeps to the table of log fields."""

from orchestrator.log_fields import FIELDS
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
