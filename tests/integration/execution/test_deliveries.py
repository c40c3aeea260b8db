"""What a delivery or a moved head leads to, on both databases."""

import threading
from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.apps import Author, Build, GitAccess, Settings
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, RunState, StageName
from orchestrator.engine.facts import Reported
from orchestrator.services.control import Wish
from orchestrator.services.queries import Queries
from orchestrator.store.database import now as clock
from tests.support.executing import Workshop, two_places
from tests.support.factories import make_app, make_environment
from tests.support.journals import Logged


def test_a_push_becomes_a_queued_run_that_is_due_at_once(world: Workshop) -> None:
    answer = world.push(1)
    assert answer["runs"] == [1]
    assert world.run(1).state is RunState.QUEUED
    assert world.due() == {1}
    assert world.due() == set(), "published once, until a worker takes it or it counts as lost"


def test_a_delivery_is_kept_with_what_it_told_of(world: Workshop) -> None:
    world.push(1)
    (kept,) = Queries(world.database, world.settings).deliveries().items
    assert kept["changes"] == [{"ref": "refs/heads/main", "commit": f"{1:040x}"}]


def test_a_delivery_that_comes_again_answers_with_the_same_run(world: Workshop) -> None:
    first = world.push(1)
    again = world.push(1)
    other_hook = world.push(1, key="another-hook")
    assert again == {"delivery": first["delivery"], "duplicate": True, "runs": [1]}
    assert (other_hook["duplicate"], other_hook["runs"]) == (True, [1])
    assert world.push(1, key="another-hook")["runs"] == [1]


def test_going_back_to_an_earlier_commit_is_a_push_of_its_own(world: Workshop) -> None:
    world.push(1)
    world.push(2)
    assert world.push(1, key="force-push", before=2)["runs"] == [3]


def test_fifty_deliveries_at_once_are_all_recorded_once(world: Workshop) -> None:
    answers: list[Any] = []
    threads = [
        threading.Thread(target=lambda n=n: answers.append(world.push(n // 2, key=f"key-{n // 2}")))
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


def test_a_head_that_moved_without_a_hook_becomes_a_run(world: Workshop) -> None:
    app = world.settings.apps[0]
    assert world.polled(app, "main", "1" * 40) == [], "the first look only remembers"
    assert world.polled(app, "main", "1" * 40) == []
    assert world.polled(app, "main", "2" * 40) == [1]
    assert world.run(1).trigger == "poll"
    world.push(3)
    assert world.polled(app, "main", f"{3:040x}") == [], "the hook came after all"


def test_a_commit_that_comes_back_to_its_branch_is_found(world: Workshop) -> None:
    app = world.settings.apps[0]
    world.push(1)
    lost = Reported(stage=StageName.CHECK, outcome=Fail(reason=Reason.REWRITTEN))
    world.one.report(world.begin(1), lost, "build")
    world.push(2)
    assert world.polled(app, "main", f"{1:040x}") == [3]


def test_a_push_found_by_the_poll_waits_for_approval_as_a_delivered_one_does(world: Workshop) -> None:
    guarded = make_app(environments=(make_environment(approval=True),))
    world.use(replace(world.settings, apps=(guarded,)))

    world.polled(guarded, "main", "1" * 40)
    (made,) = world.polled(guarded, "main", "2" * 40)

    assert not world.run(made).approved


def test_a_manual_run_waits_for_approval_where_the_environment_asks_for_it(world: Workshop) -> None:
    two_places(world, approval=True)
    wish = Wish(app="plate-web", environment="prod", ref="main", actor="mina")
    run_id = world.control.start(wish)
    assert world.done(world.begin(run_id)) is None
    assert world.run(run_id).reason is Reason.AWAITING_APPROVAL
    world.control.approve(run_id, "jun")
    world.finish(world.begin(run_id))
    assert world.run(world.control.rerun(run_id, "mina")).approved, "it was approved before"


def test_a_hook_that_comes_after_the_poll_leads_to_the_polled_run(world: Workshop) -> None:
    app = world.settings.apps[0]
    world.polled(app, "main", f"{1:040x}")
    assert world.polled(app, "main", f"{2:040x}") == [1]
    late = world.push(2)
    assert (late["duplicate"], late["runs"]) == (True, [1])
    assert world.push(3)["runs"] == [2]
    assert world.push(2, key="back", before=3)["runs"] == [3], "back again is a push of its own"


def test_a_hook_that_comes_late_leads_to_the_polled_run_whatever_was_queued_meanwhile(world: Workshop) -> None:
    app = world.settings.apps[0]
    world.polled(app, "main", f"{1:040x}")
    assert world.polled(app, "main", f"{2:040x}") == [1]
    world.control.start(Wish(app="plate-web", environment="stg", ref="main", actor="mina"))
    assert world.push(3)["runs"] == [3]
    assert world.push(2)["runs"] == [1], "the hook of the push before comes last"


def test_a_branch_that_the_poll_saw_leave_a_commit_and_that_is_pushed_back_to_it_is_deployed(world: Workshop) -> None:
    app = world.settings.apps[0]
    assert [world.polled(app, "main", f"{number:040x}") for number in (1, 2, 3)] == [[], [1], [2]]
    assert world.push(2, before=3)["runs"] == [3]


def test_a_branch_that_was_pushed_on_unseen_and_is_pushed_back_is_deployed(world: Workshop) -> None:
    app = world.settings.apps[0]
    world.polled(app, "main", f"{1:040x}")
    assert world.polled(app, "main", f"{2:040x}") == [1]
    assert world.push(3, skip="[skip ci]")["ignored"] == "skip"
    assert world.push(4)["runs"] == [2]
    assert world.push(2, key="back", before=4)["runs"] == [3]


def test_the_same_move_again_after_a_push_back_is_another_push(world: Workshop) -> None:
    keys = iter(("on", "back", "on again"))
    assert world.push(1)["runs"] == [1]
    assert [world.push(number, next(keys), before)["runs"] for number, before in ((2, 1), (1, 2), (2, 1))] == [
        [2],
        [3],
        [4],
    ]
    assert world.push(2, key="copy of the last")["runs"] == [4]


def test_a_hook_and_its_copy_are_one_push_even_when_the_branch_has_gone_on(world: Workshop) -> None:
    world.push(1)
    assert world.push(2)["runs"] == [2]
    assert world.push(3)["runs"] == [3]
    assert world.push(2, key="copy")["runs"] == [2]
    assert world.push(3, key="copy of the next")["runs"] == [3]
    assert world.push(4)["runs"] == [4]


def test_a_head_that_was_read_before_a_hook_told_of_the_next_one_is_old(world: Workshop) -> None:
    app = world.settings.apps[0]
    world.polled(app, "main", f"{1:040x}")
    read_at = clock()
    world.push(2)
    assert world.polled(app, "main", f"{1:040x}", read_at) == []
    assert world.push(3)["runs"] == [2]
    assert world.polled(app, "main", f"{4:040x}", clock()) == [3]


def test_a_lost_push_to_a_repository_of_several_apps_is_found_for_each_of_them(world: Workshop) -> None:
    web = make_app()
    api = replace(web, name="plate-api")
    world.use(replace(world.settings, apps=(web, api)))
    assert world.polled(web, "main", f"{1:040x}") == []
    made = world.polled(web, "main", f"{2:040x}")
    assert [world.run(one).app for one in made] == ["plate-web", "plate-api"]
    assert world.polled(api, "main", f"{2:040x}") == []


def test_a_commit_that_another_branch_has_deployed_is_found_for_the_environments_that_lack_it(
    world: Workshop,
) -> None:
    rules = {"stg": "develop", "qa": "ma*", "prod": "main", "tags": ""}
    environments = tuple(make_environment(name, branch=rule, tag="v*") for name, rule in rules.items())
    app = make_app(environments=environments)
    world.use(replace(world.settings, apps=(app,)))
    for branch in ("develop", "main"):
        assert world.polled(app, branch, f"{1:040x}") == []
    assert [world.run(one).environment for one in world.polled(app, "develop", f"{2:040x}")] == ["stg"]
    world.control.start(Wish(app="plate-web", environment="qa", commit=f"{2:040x}", actor="mina"))

    (made,) = world.polled(app, "main", f"{2:040x}")
    assert (world.run(made).environment, world.run(made).ref) == ("prod", "refs/heads/main")
    found = world.polled(app, "main", f"{3:040x}")
    assert [world.run(one).environment for one in found] == ["qa", "prod"], "the rule of one is a pattern"


def test_a_push_that_asks_to_be_skipped_is_not_deployed_by_the_poll_either(world: Workshop) -> None:
    app = world.settings.apps[0]
    world.polled(app, "main", f"{1:040x}")
    assert world.push(2, skip="[skip ci]")["ignored"] == "skip"
    assert world.polled(app, "main", f"{2:040x}") == []
    assert world.polled(app, "main", f"{3:040x}") == [1]


MOVES_FOR_NOBODY: dict[str, tuple[dict[str, Any], str]] = {
    "a deploy commit of ours": ({"message": "Deploy\n\nPilotage-Run: 7"}, "own_commit"),
    "by our address": ({"author_email": "pilotage@example.com"}, "own_commit"),
    "a skip marker": ({"skip": "[skip ci]"}, "skip"),
    "files that no image is made of": ({"paths": frozenset({"docs/x.md"})}, "paths"),
}


@pytest.mark.parametrize("name", MOVES_FOR_NOBODY)
def test_a_lost_push_that_its_hook_would_have_led_to_nothing_leads_to_nothing(
    world: Workshop, name: str, logged: Logged
) -> None:
    app = make_app(build=Build(paths=("web/**",)))
    gitops = replace(world.settings.gitops, author=Author(name="Pilotage", email="pilotage@example.com"))
    world.use(replace(world.settings, apps=(app,), gitops=gitops))
    about, why = MOVES_FOR_NOBODY[name]
    world.polled(app, "main", f"{1:040x}")

    assert world.polled(app, "main", f"{2:040x}", **about) == []
    assert [line["reason"] for line in logged.of("push without a hook ignored")] == [why]
    assert world.polled(app, "main", f"{2:040x}") == [], "it is looked at once"
    assert world.polled(app, "main", f"{3:040x}", paths=frozenset({"web/app.py"})) == [1]


@pytest.mark.parametrize("about", [{"paths": frozenset({"docs/x.md"})}, {"skip": "[skip ci]"}])
def test_a_lost_push_is_found_although_the_next_one_led_to_nothing(world: Workshop, about: dict[str, Any]) -> None:
    app = make_app(build=Build(paths=("web/**",)))
    world.use(replace(world.settings, apps=(app,)))
    world.polled(app, "main", f"{1:040x}")

    assert "ignored" in world.push(3, before=2, **about)

    assert world.polled(app, "main", f"{3:040x}", paths=frozenset({"docs/x.md", "web/app.py"})) == [1]


def test_what_a_push_hides_that_leads_somewhere_is_in_its_run(world: Workshop) -> None:
    app = world.settings.apps[0]
    world.polled(app, "main", f"{1:040x}")
    assert world.push(3, before=2)["runs"] == [1]
    assert world.polled(app, "main", f"{3:040x}") == []


def without_the_app(world: Workshop) -> Settings:
    """Configure the world as it is before anybody has named the repository; return how it will be."""
    wanted = world.settings
    elsewhere = make_app(source=GitAccess(url="https://git.example.com/acme/other.git"))
    world.use(replace(wanted, apps=(elsewhere,)))
    return wanted


def listed(world: Workshop) -> list[tuple[str, str, str, list[int]]]:
    items = Queries(world.database, world.settings).deliveries().items
    return [(one["key"], one["outcome"], one["detail"], one["runs"]) for one in items]


def test_a_delivery_that_was_ignored_is_judged_anew_when_it_comes_again(world: Workshop) -> None:
    wanted = without_the_app(world)
    first = world.push(1)
    assert first["ignored"] == "repo"
    assert world.push(1)["ignored"] == "repo", "nothing has changed yet"
    world.use(wanted)

    again = world.push(1)

    assert (again.get("duplicate"), again["runs"]) == (None, [1])
    was = "ignored at first (repo): no app is built from acme/plate-web"
    assert listed(world) == [("delivery-1", "accepted", was, [1])]
    assert world.push(1) == {"delivery": again["delivery"], "duplicate": True, "runs": [1]}


def test_two_hooks_whose_deliveries_were_ignored_make_one_run(world: Workshop) -> None:
    wanted = without_the_app(world)
    for key in ("hook-1", "hook-2"):
        assert world.push(1, key=key)["ignored"] == "repo"
    world.use(wanted)

    assert world.push(1, key="hook-1")["runs"] == [1]
    other = world.push(1, key="hook-2")
    assert (other["duplicate"], other["runs"]) == (True, [1])


def test_an_ignored_push_that_is_sent_again_does_not_move_the_branch_back(world: Workshop) -> None:
    app = world.settings.apps[0]
    world.polled(app, "main", f"{1:040x}")
    for number in (2, 3):
        assert world.push(number, skip="[skip ci]")["ignored"] == "skip"
    assert world.push(2, skip="[skip ci]")["ignored"] == "skip"
    assert world.polled(app, "main", f"{3:040x}") == [], "its push asked to be skipped"
