"""The queue of changes to one GitOps branch: one writer at a time, who writes for all that wait."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.domain.changes import Batch, Change, Edit, Landed, Rejected, Result, Withdrawn
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState, StageName
from orchestrator.services import commits
from orchestrator.services.commits import Commits
from orchestrator.store import changes
from orchestrator.store.database import now
from tests.support.databases import postgres_database
from tests.support.executing import QUIET, Workshop, queue


def change(run: int) -> Change:
    edits = (Edit(path="image.tag", value=f"sha-{run}"),)
    trailers = (("Pilotage-Run", str(run)),)
    return Change(run=run, file="values.yaml", edits=edits, message="deploy", trailers=trailers, date=1)


def batch(*numbers: int, unwanted: tuple[int, ...] = ()) -> Batch:
    return Batch(changes=[change(run) for run in numbers], unwanted=frozenset(unwanted))


@pytest.fixture
def runs(workshop: Workshop) -> list[int]:
    for number in (1, 2, 3):
        workshop.push(number)
    return [1, 2, 3]


def test_whoever_finds_no_writer_writes_and_the_next_one_takes_all_that_wait(
    workshop: Workshop, runs: list[int]
) -> None:
    one, two = queue(workshop, "one"), queue(workshop, "two")
    assert one.submit(change(1)) == batch(1)
    assert two.submit(change(2)) is None
    assert two.submit(change(3)) is None
    one.finish([Landed(run=1, commit="c" * 40, created=True, previous=("old",))])
    one.stop()
    assert two.submit(change(3)) == batch(2, 3)
    assert one.submit(change(1)) == Landed(run=1, commit="c" * 40, created=True, previous=("old",))


def test_what_could_not_be_pushed_waits_again(workshop: Workshop, runs: list[int]) -> None:
    one = queue(workshop, "one")
    one.submit(change(1))
    one.stop([change(1)])
    assert 1 in workshop.due()
    assert queue(workshop, "two").submit(change(1)) == batch(1)


@pytest.fixture
def overtaken(workshop: Workshop, runs: list[int], monkeypatch: pytest.MonkeyPatch) -> tuple[Commits, Commits]:
    """Two writers, of whom the first has been silent with a change for so long that the second took over."""
    one, two = queue(workshop, "one"), queue(workshop, "two")
    one.submit(change(1))
    at = now() + 60
    monkeypatch.setattr(commits, "clock", lambda: at)
    assert two.submit(change(2)) == batch(1, 2)
    return one, two


def test_a_writer_that_was_overtaken_takes_nothing_from_the_next_one(
    workshop: Workshop, overtaken: tuple[Commits, Commits]
) -> None:
    overtaken[0].stop([change(1)])
    assert states(workshop, 1, 2) == ["taken", "taken"]


LANDED = Landed(run=1, commit="c" * 40, created=True, previous=("old",))
REJECTED = Rejected(run=1, detail="values.yaml is not in the branch main")


@pytest.mark.parametrize(("late", "word"), [(REJECTED, LANDED), (Withdrawn(run=1), LANDED), (LANDED, REJECTED)])
def test_what_landed_stays_so_whatever_an_overtaken_writer_says_of_it_later(
    workshop: Workshop, overtaken: tuple[Commits, Commits], late: Result, word: Result
) -> None:
    """Each has looked at the branch at its own time, and only one of them has seen, or pushed, the change there."""
    overtaken[1].finish([word])
    overtaken[0].finish([late])
    assert overtaken[1].submit(change(1)) == LANDED


def states(workshop: Workshop, *numbers: int) -> list[str]:
    with workshop.database.read() as connection:
        return [changes.load(connection, run)["state"] for run in numbers]  # type: ignore[index]


def test_what_may_have_been_pushed_does_not_wait_again_before_somebody_has_looked(
    workshop: Workshop, runs: list[int]
) -> None:
    one, two = queue(workshop, "one"), queue(workshop, "two")
    one.submit(change(1))
    one.stop()
    assert two.submit(change(2)) == batch(1, 2)
    two.stop([change(1), change(2)])
    assert states(workshop, 1, 2) == ["taken", "pending"]
    assert one.submit(change(2)) == batch(1, 2)
    one.finish([Landed(run=1, commit="c" * 40, created=False)])
    one.stop([change(2)])
    assert states(workshop, 1, 2) == ["landed", "pending"]


def test_what_a_vanished_writer_had_may_have_been_pushed(
    workshop: Workshop, overtaken: tuple[Commits, Commits]
) -> None:
    overtaken[1].stop([change(1), change(2)])
    assert states(workshop, 1, 2) == ["taken", "pending"]


def test_a_run_that_is_to_stop_or_is_over_only_has_its_change_looked_for(workshop: Workshop, runs: list[int]) -> None:
    one = queue(workshop, "one")
    workshop.wait(workshop.until(1, StageName.COMMIT), after=5)
    one.submit(change(1))
    one.stop()
    workshop.control.cancel(1, "mina")
    two = queue(workshop, "two")
    assert two.submit(change(2)) == batch(1, 2, unwanted=(1,))
    two.finish([Withdrawn(run=1)])
    assert one.submit(change(1)) is None
    assert workshop.wait(workshop.begin(1), after=5) is None
    assert (workshop.run(1).state, workshop.run(1).detail) == (RunState.CANCELLED, "cancelled by mina")


def test_a_change_that_is_being_decided_about_is_left_for_the_next_batch(postgres_url: str, tmp_path: Path) -> None:
    """SQLite has one writer at a time."""
    with postgres_database(postgres_url) as database:
        workshop = Workshop(database, tmp_path)
        for number in (1, 2):
            workshop.push(number)
        one = queue(workshop, "one")
        one.submit(change(1))
        one.stop([change(1)])
        with database.write() as connection:
            changes.load(connection, 1, lock=True)
            assert queue(workshop, "two").submit(change(2)) == batch(2)


def test_a_change_that_cannot_be_made_is_answered_with_why(workshop: Workshop, runs: list[int]) -> None:
    one = queue(workshop, "one")
    one.submit(change(1))
    refused = Rejected(run=1, detail="values.yaml:3: the value is an alias")
    one.finish([refused])
    assert one.submit(change(1)) == refused


def test_a_writer_renews_its_right_now_and_then_and_notices_that_it_lost_it(
    workshop: Workshop, runs: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    at = now()
    monkeypatch.setattr(commits, "clock", lambda: at)
    one, two = queue(workshop, "one"), queue(workshop, "two")
    one.submit(change(1))
    at += commits.RENEW + 1
    assert one.renew()
    at += 25
    assert two.submit(change(2)) is None, "it was renewed less than its length ago"
    at += 10
    assert two.submit(change(2)) == batch(1, 2), "what a vanished writer took comes along"
    assert not one.renew()


def moved(workshop: Workshop, owner: str) -> Commits:
    """The queue of the branch that the configuration names since a moment ago."""
    return Commits(workshop.database, QUIET, "new#main", owner)


def test_what_waits_goes_to_the_branch_that_is_configured_now(workshop: Workshop, runs: list[int]) -> None:
    one = queue(workshop, "one")
    one.submit(change(1))
    one.stop([change(1)])
    edited = replace(change(1), file="other.yaml", edits=(Edit(path="tag", value="sha-1"),))
    assert moved(workshop, "two").submit(edited) == Batch(changes=[edited])
    assert queue(workshop, "one").submit(change(2)) == batch(2)


def test_what_was_taken_for_another_branch_waits_for_its_writer(workshop: Workshop, runs: list[int]) -> None:
    one, two = queue(workshop, "one"), moved(workshop, "two")
    one.submit(change(1))
    assert two.submit(change(1)) is None
    landed = Landed(run=1, commit="c" * 40, created=True, previous=("old",))
    one.finish([landed])
    one.stop()
    assert two.submit(change(1)) == landed


def test_what_nobody_looks_for_any_more_fails_and_says_why(
    workshop: Workshop, overtaken: tuple[Commits, Commits]
) -> None:
    overtaken[1].stop([change(1), change(2)])
    refused = moved(workshop, "three").submit(change(1))
    detail = "it was taken for gitops#main, and may be there"
    assert refused == Rejected(run=1, detail=detail, reason=Reason.GITOPS_MOVED)
    assert states(workshop, 1, 2) == ["taken", "pending"]
    assert queue(workshop, "four").submit(change(2)) == batch(1, 2), "once the configuration is as it was"


def worded(run: int, form: str) -> Change:
    return replace(change(run), form=form)


def configured(workshop: Workshop, owner: str, form: str) -> Commits:
    """A writer whose configuration words the changes of plate-web/stg by this form."""
    forms = {("plate-web", "stg"): form}
    return Commits(workshop.database, QUIET, "gitops#main", owner, lambda *place: forms[place])


def test_what_another_configuration_has_queued_is_left_to_its_run(workshop: Workshop, runs: list[int]) -> None:
    before = configured(workshop, "one", "before")
    before.submit(worded(1, "before"))
    before.stop([worded(1, "before")])
    after = configured(workshop, "two", "after")
    assert after.submit(worded(2, "after")) == Batch(changes=[worded(2, "after")])
    after.stop()
    assert 1 in workshop.due(), "its run is to word it anew"
    assert configured(workshop, "three", "after").submit(worded(1, "after")) == Batch(
        changes=[worded(1, "after"), worded(2, "after")]
    )


def test_what_a_writer_of_another_configuration_had_is_looked_for_and_not_made(
    workshop: Workshop, runs: list[int]
) -> None:
    before = configured(workshop, "one", "before")
    before.submit(worded(1, "before"))
    before.stop()
    after = configured(workshop, "two", "after")
    assert after.submit(worded(1, "after")) == Batch(changes=[worded(1, "before")], unwanted=frozenset({1}))
    after.finish([Withdrawn(run=1)])
    after.stop()
    assert configured(workshop, "three", "after").submit(worded(1, "after")) == Batch(changes=[worded(1, "after")])
