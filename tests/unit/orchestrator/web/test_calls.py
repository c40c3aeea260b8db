"""What the API answers, as bytes."""

import json

from orchestrator.web.calls import to_json
from orchestrator.web.streams import EVENTS, Pen

HOSTILE = "a\x9b31m\u202eb\u2028c한글"


def test_no_answer_moves_the_cursor_of_a_terminal_or_ends_a_line() -> None:
    """`curl` prints it as it comes; a branch may have such a name."""
    answer = to_json({"ref": HOSTILE}).get_data(as_text=True)
    assert json.loads(answer) == {"ref": HOSTILE}
    assert answer.isprintable()


def test_no_event_moves_the_cursor_of_a_terminal_or_ends_a_line() -> None:
    event = Pen(media=EVENTS).state({"ref": HOSTILE}).strip()
    assert json.loads(event.partition("data: ")[2]) == {"ref": HOSTILE}
    assert all(line.isprintable() for line in event.split("\n"))
