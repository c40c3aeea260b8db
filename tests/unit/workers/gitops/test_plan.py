"""What a plan for an older head proves."""

import pytest

from orchestrator.domain.changes import Rejected
from workers.gitops.plan import Held, Plan

MADE = Held(1, 0, created=True, previous=("old",))


@pytest.mark.parametrize(
    ("others", "sure"),
    [
        ((), True),
        ((Held(2, 1, created=True, previous=("old",)),), True),
        ((Held(2, -1, created=False, previous=()),), False),
        ((Rejected(run=2, detail="is not in the branch main"),), False),
    ],
    ids=["alone", "all made", "a value that is there", "a change that cannot be made"],
)
def test_a_push_that_lands_proves_a_plan_only_if_it_holds_every_change(others: tuple, sure: bool) -> None:
    """What was there already, or was refused, may be otherwise on the newer head of the branch."""
    assert Plan(["head"], outcomes=[MADE, *others]).is_sure is sure
