"""What a delivery leads to, on both databases."""

import threading
from dataclasses import replace
from typing import Any

from orchestrator.domain.apps import GitAccess, Settings
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState
from orchestrator.services.control import ManualRun
from orchestrator.services.queries import Queries
from tests.support.executing import Workshop, two_environments
from tests.support.factories import make_app


def test_a_push_becomes_a_queued_run_that_is_due_at_once(workshop: Workshop) -> None:
    answer = workshop.push(1)
    assert answer["runs"] == [1]
    assert workshop.run(1).state is RunState.QUEUED
    assert workshop.due() == {1}
    assert workshop.due() == set(), "published once, until a worker takes it or it counts as lost"


def test_what_an_author_wrote_reads_as_it_is_from_the_first_moment(workshop: Workshop) -> None:
    workshop.push(1, message="Fix \u202egnihton \x1b[31mat all\n\nmore", author_name="Mi\u202ena\x9b")
    assert (workshop.run(1).title, workshop.run(1).author) == ("Fix gnihton at all", "Mina")


def test_a_delivery_is_kept_with_what_it_told_of(workshop: Workshop) -> None:
    workshop.push(1)
    (kept,) = Queries(workshop.database, workshop.settings).deliveries().items
    assert kept["changes"] == [{"ref": "refs/heads/main", "commit": f"{1:040x}"}]


def test_a_delivery_that_comes_again_answers_with_the_same_run(workshop: Workshop) -> None:
    first = workshop.push(1)
    again = workshop.push(1)
    other_hook = workshop.push(1, key="another-hook")
    assert again == {"delivery": first["delivery"], "duplicate": True, "runs": [1]}
    assert (other_hook["duplicate"], other_hook["runs"]) == (True, [1])
    assert workshop.push(1, key="another-hook")["runs"] == [1]


def test_going_back_to_an_earlier_commit_is_a_push_of_its_own(workshop: Workshop) -> None:
    workshop.push(1)
    workshop.push(2)
    assert workshop.push(1, key="force-push", before=2)["runs"] == [3]


def test_fifty_deliveries_at_once_are_all_recorded_once(workshop: Workshop) -> None:
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(workshop.push(n // 2, key=f"key-{n // 2}")))
        for n in range(100)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    fresh = [answer["runs"][0] for answer in answers if "duplicate" not in answer]
    assert sorted(fresh) == sorted(set(fresh))
    assert len(fresh) == 50
    assert len(answers) == 100


def test_a_manual_run_waits_for_approval_where_the_environment_asks_for_it(workshop: Workshop) -> None:
    two_environments(workshop, approval=True)
    wish = ManualRun(app="plate-web", environment="prod", ref="main", actor="mina")
    run_id = workshop.control.start(wish)
    assert workshop.done(workshop.begin(run_id)) is None
    assert workshop.run(run_id).reason is Reason.AWAITING_APPROVAL
    workshop.control.approve(run_id, "jun")
    workshop.finish(workshop.begin(run_id))
    assert workshop.run(workshop.control.rerun(run_id, "mina")).approved, "it was approved before"


def test_the_same_move_again_after_a_push_back_is_another_push(workshop: Workshop) -> None:
    keys = iter(("on", "back", "on again"))
    assert workshop.push(1)["runs"] == [1]
    assert [workshop.push(number, next(keys), before)["runs"] for number, before in ((2, 1), (1, 2), (2, 1))] == [
        [2],
        [3],
        [4],
    ]
    assert workshop.push(2, key="copy of the last")["runs"] == [4]


def test_a_hook_and_its_copy_are_one_push_even_when_the_branch_has_gone_on(workshop: Workshop) -> None:
    workshop.push(1)
    assert workshop.push(2)["runs"] == [2]
    assert workshop.push(3)["runs"] == [3]
    assert workshop.push(2, key="copy")["runs"] == [2]
    assert workshop.push(3, key="copy of the next")["runs"] == [3]
    assert workshop.push(4)["runs"] == [4]


def without_the_app(workshop: Workshop) -> Settings:
    """Configure the workshop as it is before anybody has named the repository; return how it will be."""
    wanted = workshop.settings
    elsewhere = make_app(source=GitAccess(url="https://git.example.com/acme/other.git"))
    workshop.use(replace(wanted, apps=(elsewhere,)))
    return wanted


def listed(workshop: Workshop) -> list[tuple[str, str, str, list[int]]]:
    items = Queries(workshop.database, workshop.settings).deliveries().items
    return [(one["key"], one["outcome"], one["detail"], one["runs"]) for one in items]


def test_a_delivery_that_was_ignored_is_judged_anew_when_it_comes_again(workshop: Workshop) -> None:
    wanted = without_the_app(workshop)
    first = workshop.push(1)
    assert first["ignored"] == "repo"
    assert workshop.push(1)["ignored"] == "repo", "nothing has changed yet"
    workshop.use(wanted)

    again = workshop.push(1)

    assert (again.get("duplicate"), again["runs"]) == (None, [1])
    was = "ignored at first (repo): no app is built from acme/plate-web"
    assert listed(workshop) == [("delivery-1", "accepted", was, [1])]
    assert workshop.push(1) == {"delivery": again["delivery"], "duplicate": True, "runs": [1]}


def test_two_hooks_whose_deliveries_were_ignored_make_one_run(workshop: Workshop) -> None:
    wanted = without_the_app(workshop)
    for key in ("hook-1", "hook-2"):
        assert workshop.push(1, key=key)["ignored"] == "repo"
    workshop.use(wanted)

    assert workshop.push(1, key="hook-1")["runs"] == [1]
    other = workshop.push(1, key="hook-2")
    assert (other["duplicate"], other["runs"]) == (True, [1])


def test_an_ignored_push_that_is_sent_again_does_not_move_the_branch_back(workshop: Workshop) -> None:
    app = workshop.settings.apps[0]
    workshop.polled(app, "main", f"{1:040x}")
    for number in (2, 3):
        assert workshop.push(number, skip="[skip ci]")["ignored"] == "skip"
    assert workshop.push(2, skip="[skip ci]")["ignored"] == "skip"
    assert workshop.polled(app, "main", f"{3:040x}") == [], "its push asked to be skipped"
