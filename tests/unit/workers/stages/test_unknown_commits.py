"""A commit that the source repository does not have, or does not have yet."""

from typing import Any

import pytest

from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, StageName, Trigger, Wait
from tests.support.deploying import FakeMirror, order, tools
from tests.support.factories import later
from workers.stages import check

OLD, NEW = "1" * 40, "2" * 40
CHECK = StageName.CHECK
MAIN = "refs/heads/main"


@pytest.mark.parametrize("ref", [MAIN, "refs/tags/v1"])
def test_a_commit_that_was_just_pushed_must_be_unknown_for_a_minute(ref: str) -> None:
    """The server that is asked may not have it yet, where the one that sent the hook has."""
    source = FakeMirror(line=(OLD,))
    first = check.run(order(CHECK, commit=NEW, ref=ref), tools(source=source))
    assert isinstance(first, Wait)
    assert (first.reason, first.detail, first.after) == (Reason.COMMIT_NOT_FOUND, f"{NEW}; looking once more", 5)
    again = order(CHECK, commit=NEW, ref=ref, outputs=first.outputs, now=later(59))
    assert isinstance(check.run(again, tools(source=source)), Wait)
    assert isinstance(check.run(again, tools(source=FakeMirror(line=(OLD, NEW)))), Done), "the server has caught up"
    last = order(CHECK, commit=NEW, ref=ref, outputs=first.outputs, now=later(60))
    with pytest.raises(Refused) as refusal:
        check.run(last, tools(source=source))
    assert refusal.value.reason is Reason.COMMIT_NOT_FOUND


@pytest.mark.parametrize("fields", [{"trigger": Trigger.MANUAL}, {"attempt": 2}])
def test_a_commit_that_a_person_names_is_known_or_not(fields: dict[str, Any]) -> None:
    with pytest.raises(Refused) as refusal:
        check.run(order(CHECK, **{"commit": NEW, "ref": MAIN} | fields), tools(source=FakeMirror(line=(OLD,))))
    assert refusal.value.reason is Reason.COMMIT_NOT_FOUND
