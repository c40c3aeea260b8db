"""What a branch leads to that moved without a hook, or whose hooks come late, on both databases."""

from dataclasses import replace
from typing import Any

import pytest

from orchestrator.domain.apps import Author, Build, GitAccess, Gitops
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, StageName
from orchestrator.engine.facts import Reported
from orchestrator.services.control import ManualRun
from orchestrator.store.database import now as clock
from tests.support.executing import Workshop
from tests.support.factories import make_app, make_environment
from tests.support.journals import Logged


def test_a_head_that_moved_without_a_hook_becomes_a_run(workshop: Workshop) -> None:
    app = workshop.settings.apps[0]
    assert workshop.polled(app, "main", "1" * 40) == [], "the first look only remembers"
    assert workshop.polled(app, "main", "1" * 40) == []
    assert workshop.polled(app, "main", "2" * 40) == [1]
    assert workshop.run(1).trigger == "poll"
    workshop.push(3)
    assert workshop.polled(app, "main", f"{3:040x}") == [], "the hook came after all"


def test_a_commit_that_comes_back_to_its_branch_is_found(workshop: Workshop) -> None:
    app = workshop.settings.apps[0]
    workshop.push(1)
    lost = Reported(stage=StageName.CHECK, outcome=Fail(reason=Reason.REWRITTEN))
    workshop.one.report(workshop.begin(1), lost, "build")
    workshop.push(2)
    assert workshop.polled(app, "main", f"{1:040x}") == [3]


def test_a_run_ends_whose_branch_has_moved_back_and_whose_app_is_gone(workshop: Workshop) -> None:
    workshop.push(1)
    check = workshop.begin(1)
    workshop.use(replace(workshop.settings, apps=()))
    outcome = Fail(reason=Reason.REWRITTEN, outputs={"left": True})
    workshop.one.report(check, Reported(stage=StageName.CHECK, outcome=outcome), "build")
    assert workshop.run(1).state.final


def test_a_push_found_by_the_poll_waits_for_approval_as_a_delivered_one_does(workshop: Workshop) -> None:
    guarded = make_app(environments=(make_environment(approval=True),))
    workshop.use(replace(workshop.settings, apps=(guarded,)))

    workshop.polled(guarded, "main", "1" * 40)
    (made,) = workshop.polled(guarded, "main", "2" * 40)

    assert not workshop.run(made).approved


def test_a_hook_that_comes_after_the_poll_leads_to_the_polled_run(workshop: Workshop) -> None:
    app = workshop.settings.apps[0]
    workshop.polled(app, "main", f"{1:040x}")
    assert workshop.polled(app, "main", f"{2:040x}") == [1]
    late = workshop.push(2)
    assert (late["duplicate"], late["runs"]) == (True, [1])
    assert workshop.push(3)["runs"] == [2]
    assert workshop.push(2, key="back", before=3)["runs"] == [3], "back again is a push of its own"


def test_a_hook_that_comes_late_leads_to_the_polled_run_whatever_was_queued_meanwhile(workshop: Workshop) -> None:
    app = workshop.settings.apps[0]
    workshop.polled(app, "main", f"{1:040x}")
    assert workshop.polled(app, "main", f"{2:040x}") == [1]
    workshop.control.start(ManualRun(app="plate-web", environment="stg", ref="main", actor="mina"))
    assert workshop.push(3)["runs"] == [3]
    assert workshop.push(2)["runs"] == [1], "the hook of the push before comes last"


def late(workshop: Workshop, run_id: int) -> None:
    """End a run as its check does whose branch has a newer commit."""
    passed = Fail(reason=Reason.OLDER_COMMIT, outputs={"left": True})
    workshop.one.report(workshop.begin(run_id), Reported(stage=StageName.CHECK, outcome=passed), "build")


def checked(workshop: Workshop, *numbers: int) -> None:
    """Push, each with a run that passes its check."""
    for number in numbers:
        workshop.done(workshop.begin(workshop.push(number)["runs"][0]))


def test_hooks_that_come_in_order_after_the_poll_has_gone_ahead_make_no_second_run(workshop: Workshop) -> None:
    app = workshop.settings.apps[0]
    workshop.push(1)
    assert workshop.polled(app, "main", f"{3:040x}") == [2]
    workshop.done(workshop.begin(2))
    assert workshop.polled(app, "main", f"{5:040x}") == [3]
    workshop.done(workshop.begin(3))
    assert [workshop.push(number)["runs"] for number in (2, 3, 4, 5)] == [[4], [2], [5], [3]]
    assert [workshop.push(number, key=f"copy-{number}")["runs"] for number in (2, 3, 4, 5)] == [[4], [2], [5], [3]]
    assert workshop.polled(app, "main", f"{5:040x}") == [], "the checks of 4 and 5 are not over"
    late(workshop, 4)
    late(workshop, 5)
    assert workshop.polled(app, "main", f"{5:040x}") == []
    assert workshop.push(2, key="another copy")["runs"] == [4]
    assert workshop.push(6)["runs"] == [6]


def test_a_hook_that_comes_late_does_not_hide_a_lost_push_back_to_where_it_was(workshop: Workshop) -> None:
    app = workshop.settings.apps[0]
    checked(workshop, 1, 2, 3)
    assert workshop.push(2, key="late", before=1)["runs"] == [2], "told within some minutes, it is known"
    by_force = workshop.push(2, key="late and by force", before=9)["runs"][0]
    assert workshop.polled(app, "main", f"{2:040x}") == [], "nobody doubts it yet"
    late(workshop, by_force)
    (found,) = workshop.polled(app, "main", f"{2:040x}")
    assert workshop.run(found).trigger == "poll"
    assert workshop.polled(app, "main", f"{2:040x}") == [], "it has looked"


def test_a_hook_that_comes_late_makes_no_second_run_of_the_head(workshop: Workshop) -> None:
    app = workshop.settings.apps[0]
    checked(workshop, 1)
    workshop.done(workshop.begin(workshop.push(3, before=2)["runs"][0]))
    late_one = workshop.push(2, key="late")["runs"][0]
    assert workshop.polled(app, "main", f"{3:040x}") == [], "its check is not over"
    workshop.control.cancel(late_one, "mina")
    assert workshop.polled(app, "main", f"{3:040x}") == [], "nor was it ever"


def test_a_server_that_shows_a_branch_as_it_was_before_the_last_push_is_not_believed_at_once(
    workshop: Workshop,
) -> None:
    app = workshop.settings.apps[0]
    checked(workshop, 1, 2)
    assert workshop.polled(app, "main", f"{1:040x}") == []
    assert workshop.push(3)["runs"] == [3]
    workshop.settle()
    assert workshop.polled(app, "main", f"{1:040x}") == [4]


def test_a_push_after_one_that_was_lost_does_not_wait_for_the_poll(workshop: Workshop) -> None:
    app = workshop.settings.apps[0]
    checked(workshop, 1)
    workshop.done(workshop.begin(workshop.polled(app, "main", f"{3:040x}")[0]))
    assert workshop.push(5, before=1)["runs"] == [3], "pushed back by force in between"
    assert workshop.push(6, before=5, skip="[skip ci]")["ignored"] == "skip"
    assert workshop.polled(app, "main", f"{6:040x}", skip="[skip ci]") == []


def test_a_branch_that_the_poll_saw_leave_a_commit_and_that_is_pushed_back_to_it_is_deployed(
    workshop: Workshop,
) -> None:
    app = workshop.settings.apps[0]
    assert [workshop.polled(app, "main", f"{number:040x}") for number in (1, 2, 3)] == [[], [1], [2]]
    assert workshop.push(2, before=3)["runs"] == [3]


def test_a_branch_that_was_pushed_on_unseen_and_is_pushed_back_is_deployed(workshop: Workshop) -> None:
    app = workshop.settings.apps[0]
    workshop.polled(app, "main", f"{1:040x}")
    assert workshop.polled(app, "main", f"{2:040x}") == [1]
    assert workshop.push(3, skip="[skip ci]")["ignored"] == "skip"
    assert workshop.push(4)["runs"] == [2]
    assert workshop.push(2, key="back", before=4)["runs"] == [3]


def test_a_head_that_was_read_before_a_hook_told_of_the_next_one_is_old(workshop: Workshop) -> None:
    app = workshop.settings.apps[0]
    workshop.polled(app, "main", f"{1:040x}")
    read_at = clock()
    workshop.push(2)
    assert workshop.polled(app, "main", f"{1:040x}", read_at) == []
    assert workshop.push(3)["runs"] == [2]
    assert workshop.polled(app, "main", f"{4:040x}", clock()) == [3]


def test_a_lost_push_to_a_repository_of_several_apps_is_found_for_each_of_them(workshop: Workshop) -> None:
    web = make_app()
    api = replace(web, name="plate-api")
    workshop.use(replace(workshop.settings, apps=(web, api)))
    assert workshop.polled(web, "main", f"{1:040x}") == []
    made = workshop.polled(web, "main", f"{2:040x}")
    assert [workshop.run(one).app for one in made] == ["plate-web", "plate-api"]
    assert workshop.polled(api, "main", f"{2:040x}") == []


def test_a_commit_that_another_branch_has_deployed_is_found_for_the_environments_that_lack_it(
    workshop: Workshop,
) -> None:
    rules = {"stg": "develop", "qa": "ma*", "prod": "main", "tags": ""}
    environments = tuple(make_environment(name, branch=rule, tag="v*") for name, rule in rules.items())
    app = make_app(environments=environments)
    workshop.use(replace(workshop.settings, apps=(app,)))
    for branch in ("develop", "main"):
        assert workshop.polled(app, branch, f"{1:040x}") == []
    assert [workshop.run(one).environment for one in workshop.polled(app, "develop", f"{2:040x}")] == ["stg"]
    workshop.control.start(ManualRun(app="plate-web", environment="qa", commit=f"{2:040x}", actor="mina"))

    (made,) = workshop.polled(app, "main", f"{2:040x}")
    assert (workshop.run(made).environment, workshop.run(made).ref) == ("prod", "refs/heads/main")
    found = workshop.polled(app, "main", f"{3:040x}")
    assert [workshop.run(one).environment for one in found] == ["qa", "prod"], "the rule of one is a pattern"


def test_a_push_that_asks_to_be_skipped_is_not_deployed_by_the_poll_either(workshop: Workshop) -> None:
    app = workshop.settings.apps[0]
    workshop.polled(app, "main", f"{1:040x}")
    assert workshop.push(2, skip="[skip ci]")["ignored"] == "skip"
    assert workshop.polled(app, "main", f"{2:040x}") == []
    assert workshop.polled(app, "main", f"{3:040x}") == [1]


MOVES_FOR_NOBODY: dict[str, tuple[dict[str, Any], str]] = {
    "a deploy commit of ours": ({"message": "Deploy\n\nPilotage-Run: 7"}, "own_commit"),
    "by our address": ({"author_email": "pilotage@example.com"}, "own_commit"),
    "a skip marker": ({"skip": "[skip ci]"}, "skip"),
    "files that no image is made of": ({"paths": frozenset({"docs/x.md"})}, "paths"),
}


@pytest.mark.parametrize("name", MOVES_FOR_NOBODY)
def test_a_lost_push_that_its_hook_would_have_led_to_nothing_leads_to_nothing(
    workshop: Workshop, name: str, logged: Logged
) -> None:
    app = make_app(build=Build(paths=("web/**",)))
    gitops = Gitops(access=app.source, author=Author(name="Pilotage", email="pilotage@example.com"))
    workshop.use(replace(workshop.settings, apps=(app,), gitops=gitops))
    about, why = MOVES_FOR_NOBODY[name]
    workshop.polled(app, "main", f"{1:040x}")

    assert workshop.polled(app, "main", f"{2:040x}", **about) == []
    assert [line["reason"] for line in logged.of("push without a hook ignored")] == [why]
    assert workshop.polled(app, "main", f"{2:040x}") == [], "it is looked at once"
    assert workshop.polled(app, "main", f"{3:040x}", paths=frozenset({"web/app.py"})) == [1]


HERE, ALSO_HERE, ELSEWHERE = (
    f"https://{place}/plate-web.git" for place in ("git.example.com/acme", "git/a", "git/b")
)


@pytest.mark.parametrize(
    ("gitops", "deploys"),
    [
        (Gitops(access=GitAccess(url=HERE)), False),
        (Gitops(access=GitAccess(url=ALSO_HERE)), False),
        (Gitops(access=GitAccess(url=ELSEWHERE), aliases=("git@git.example.com:acme/plate-web.git",)), False),
        (Gitops(access=GitAccess(url=ELSEWHERE)), True),
    ],
)
def test_our_trailer_in_a_message_counts_only_where_we_push_to(
    workshop: Workshop, gitops: Gitops, deploys: bool
) -> None:
    """A developer has copied it, or reverts one of our commits and keeps what it said."""
    app = make_app(aliases=(ALSO_HERE,))
    workshop.use(replace(workshop.settings, apps=(app,), gitops=gitops))
    workshop.polled(app, "main", f"{1:040x}")
    about = {"message": "Mend\n\nPilotage-Run: 7", "author_email": "mina@example.com"}

    assert bool(workshop.push(2, **about).get("runs")) is deploys
    assert bool(workshop.polled(app, "main", f"{3:040x}", **about)) is deploys


@pytest.mark.parametrize("about", [{"paths": frozenset({"docs/x.md"})}, {"skip": "[skip ci]"}])
def test_a_lost_push_is_found_although_the_next_one_led_to_nothing(workshop: Workshop, about: dict[str, Any]) -> None:
    app = make_app(build=Build(paths=("web/**",)))
    workshop.use(replace(workshop.settings, apps=(app,)))
    workshop.polled(app, "main", f"{1:040x}")

    assert "ignored" in workshop.push(3, before=2, **about)

    assert workshop.polled(app, "main", f"{3:040x}", paths=frozenset({"docs/x.md", "web/app.py"})) == [1]


def test_what_a_push_hides_that_leads_somewhere_is_in_its_run(workshop: Workshop) -> None:
    app = workshop.settings.apps[0]
    workshop.polled(app, "main", f"{1:040x}")
    assert workshop.push(3, before=2)["runs"] == [1]
    assert workshop.polled(app, "main", f"{3:040x}") == []
