"""The same move of a ref again, minutes later: a push of its own if the ref was elsewhere in between."""

from itertools import count

import pytest

from orchestrator.domain.events import Delivery, Push, RefChange, RefKind
from tests.support.executing import REPO, Workshop
from tests.support.factories import make_app, make_environment, make_settings
from tests.support.ingesting import accept

X, Y = "1" * 40, "2" * 40
DANCE = ((None, X), (X, Y), (Y, X), (X, Y))


@pytest.fixture
def places(workshop: Workshop) -> Workshop:
    """An environment for each kind of rule."""
    rules = ({"branch": "main"}, {"branch": "release/*"}, {"branch": "", "tag": "v*"})
    environments = tuple(make_environment(f"e{number}", **rule) for number, rule in enumerate(rules))
    workshop.use(make_settings(workshop.settings.state_dir, apps=(make_app(environments=environments),)))
    return workshop


class Hook:
    """A hook of a forge that tells of the moves of one ref."""

    def __init__(self, workshop: Workshop, name: str, ref: str) -> None:
        self._world, self._name, self._ref, self._count = workshop, name, ref, count(1)

    def tell(self, before: str | None, after: str | None, commit: str | None = None) -> bool:
        """Deliver a move; return whether it led to a run that was not there before."""
        kind = RefKind.BRANCH if self._ref.startswith("refs/heads/") else RefKind.TAG
        change = RefChange(
            ref=self._ref,
            kind=kind,
            name=self._ref.split("/", 2)[2],
            before=before,
            after=after,
            commit=commit or after,
            created=before is None,
            deleted=after is None,
        )
        delivery = Delivery(hook="github", key=f"{self._name}-{next(self._count)}")
        body = accept(self._world.ingest, delivery, Push(event="push", repo=REPO, changes=(change,))).body
        return "runs" in body and "duplicate" not in body


@pytest.mark.parametrize("ref", ["refs/heads/main", "refs/heads/release/1", "refs/tags/v1"])
def test_a_ref_that_is_pushed_back_and_on_again_is_deployed_each_time(places: Workshop, ref: str) -> None:
    one, two = Hook(places, "one", ref), Hook(places, "two", ref)
    assert [(one.tell(*move), two.tell(*move)) for move in DANCE] == [(True, False)] * 4


def test_an_annotated_tag_is_known_by_its_own_id(places: Workshop) -> None:
    one, two = Hook(places, "one", "refs/tags/v1"), Hook(places, "two", "refs/tags/v1")
    commits = {X: "a" * 40, Y: "b" * 40}
    told = [(one.tell(*move, commits[move[1]]), two.tell(*move, commits[move[1]])) for move in DANCE]
    assert told == [(True, False)] * 4


@pytest.mark.parametrize("ref", ["refs/heads/release/1", "refs/tags/v1"])
def test_a_ref_that_is_deleted_and_made_again_is_deployed_each_time(places: Workshop, ref: str) -> None:
    hook = Hook(places, "one", ref)
    moves = ((None, X), (X, None), (None, Y), (Y, None), (None, X))
    assert [hook.tell(*move) for move in moves] == [True, False, True, False, True]


def test_a_move_that_is_told_late_is_known(places: Workshop) -> None:
    one, two = Hook(places, "one", "refs/heads/release/1"), Hook(places, "two", "refs/heads/release/1")
    assert (one.tell(None, X), one.tell(X, Y)) == (True, True)
    assert (two.tell(None, X), two.tell(X, Y)) == (False, False)
