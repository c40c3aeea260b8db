"""What becomes of runs, and of what people ask for, when the configuration is not the one of before any more."""

from dataclasses import asdict, replace

import pytest

from orchestrator.domain.apps import Channel, Environment, Secret, Settings
from orchestrator.domain.changes import Batch, Change, Landed
from orchestrator.domain.messages import KINDS
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState, StageName, Wait
from orchestrator.engine.facts import Reported
from orchestrator.services.control import ManualRun, NotPossible
from orchestrator.services.execution import ROLLOUT, Execution
from orchestrator.services.outbox import Outbox
from orchestrator.services.reconcile import UNKNOWN_FOR
from orchestrator.store import changes, figures, notifications
from orchestrator.store.database import now
from tests.support.executing import QUIET, REPO, SetClocks, Workshop, push_to_both, queue, two_environments
from tests.support.factories import make_app, make_environment, make_settings

STATUS = Channel(name="forge", kind="github-status", secret=Secret("x"), apps=frozenset(["plate-web"]))
CALLBACK = Channel(name="ops", kind="webhook", secret=Secret("x"), url="https://ops.example.com")


def configured(workshop: Workshop, *environments: Environment) -> Settings:
    """Make settings with an app in these environments, or without it where there are none."""
    apps = (make_app(environments=environments),) if environments else ()
    return make_settings(workshop.settings.state_dir, apps=apps, channels=(CALLBACK,))


def told(workshop: Workshop, run: int) -> list[str]:
    with workshop.database.read() as connection:
        return [row["type"] for row in notifications.of_run(connection, run)]


def needs_approval(workshop: Workshop) -> None:
    workshop.use(configured(workshop, make_environment(approval=True)))


def test_people_are_asked_once_though_a_worker_without_the_environment_comes_in_between(workshop: Workshop) -> None:
    needs_approval(workshop)
    workshop.push(1)
    workshop.done(workshop.begin(1))
    assert Execution(workshop.database, configured(workshop), QUIET, "other").begin(1, "build") is None
    assert workshop.run(1).reason is Reason.APP_REMOVED
    assert workshop.one.begin(1, "build") is None
    assert workshop.run(1).reason is Reason.AWAITING_APPROVAL
    assert told(workshop, 1) == ["run.started", "run.waiting"]


@pytest.mark.parametrize("by_hand", [False, True])
def test_a_run_that_has_not_begun_waits_for_the_approval_that_its_environment_needs_by_now(
    workshop: Workshop, by_hand: bool
) -> None:
    workshop.control.hold("plate-web", "stg", "freeze", "mina")
    if by_hand:
        workshop.control.start(ManualRun(app="plate-web", environment="stg", ref="main"))
    else:
        workshop.push(1)
    workshop.done(workshop.begin(1), commit=f"{1:040x}")
    needs_approval(workshop)
    workshop.control.release("plate-web", "stg")
    assert workshop.one.begin(1, "build") is None
    assert workshop.run(1).reason is Reason.AWAITING_APPROVAL
    workshop.control.approve(1, "mina")
    assert workshop.begin(1).stage is StageName.BUILD


def test_what_a_person_has_let_go_on_is_not_asked_for_again(workshop: Workshop) -> None:
    needs_approval(workshop)
    workshop.push(1)
    workshop.control.approve(1, "mina")
    two_environments(workshop, approval=True)
    workshop.finish(workshop.begin(1))
    promoted = workshop.control.promote("plate-web", "prod", "mina")
    workshop.finish(workshop.begin(promoted))
    assert [workshop.run(run).state for run in (1, promoted)] == [RunState.SUCCEEDED] * 2


def test_the_re_run_of_a_run_that_needed_no_approval_then_needs_one_now(workshop: Workshop) -> None:
    workshop.push(1)
    workshop.finish(workshop.begin(1))
    needs_approval(workshop)
    again = workshop.control.rerun(1, "mina")
    workshop.done(workshop.begin(again))
    assert workshop.run(again).reason is Reason.AWAITING_APPROVAL
    workshop.control.approve(again, "mina")
    workshop.finish(workshop.begin(again))
    once_more = workshop.control.rerun(again, "mina")
    assert workshop.run(once_more).approved, "that one was approved"


def test_the_re_run_of_a_re_run_needs_an_approval_where_nobody_has_approved_either(workshop: Workshop) -> None:
    workshop.push(1)
    workshop.finish(workshop.begin(1))
    again = workshop.control.rerun(1, "mina")
    workshop.finish(workshop.begin(again))
    needs_approval(workshop)
    third = workshop.control.rerun(again, "mina")
    workshop.done(workshop.begin(third))
    assert workshop.run(third).reason is Reason.AWAITING_APPROVAL
    workshop.control.approve(third, "mina")
    workshop.finish(workshop.begin(third))
    fourth = workshop.control.rerun(third, "mina")
    workshop.finish(workshop.begin(fourth))
    fifth = workshop.control.rerun(fourth, "mina")
    assert workshop.run(fifth).approved, "what it repeats was approved"


def test_a_re_run_that_has_not_begun_waits_for_an_approval_that_nobody_has_given(workshop: Workshop) -> None:
    workshop.push(1)
    workshop.finish(workshop.begin(1))
    again = workshop.control.rerun(1, "mina")
    needs_approval(workshop)
    workshop.done(workshop.begin(again))
    assert workshop.run(again).reason is Reason.AWAITING_APPROVAL


def test_the_re_run_of_a_rollback_is_a_persons_word_as_that_was(workshop: Workshop) -> None:
    needs_approval(workshop)
    for number in (1, 2):
        workshop.push(number)
        workshop.control.approve(number, "mina")
        workshop.finish(workshop.done(workshop.begin(number), image=f"h/p:{number}", digest=f"sha256:{number}"))
    back = workshop.control.rollback("plate-web", "stg", "mina", None)
    for _ in range(2):
        workshop.finish(workshop.begin(back))
        assert workshop.run(back).state is RunState.SUCCEEDED
        back = workshop.control.rerun(back, "mina")


def test_a_run_is_not_repeated_where_its_environment_is_gone(workshop: Workshop) -> None:
    """Nobody can tell there whether it needs approval."""
    needs_approval(workshop)
    workshop.push(1)
    workshop.control.cancel(1, "mina")
    workshop.use(configured(workshop, make_environment("prod")))
    with pytest.raises(NotPossible, match="the app `plate-web` has no environment `stg`; known are prod"):
        workshop.control.rerun(1, "mina")


def test_an_environment_that_left_the_configuration_on_hold_can_be_released(workshop: Workshop) -> None:
    workshop.control.hold("plate-web", "stg", "freeze", "mina")
    workshop.use(configured(workshop))
    workshop.control.release("plate-web", "stg")
    with workshop.database.read() as connection:
        assert figures.holds(connection) == {}
    with pytest.raises(NotPossible, match="there is no app `plate-web`; known are none"):
        workshop.control.release("plate-web", "stg")


def test_a_forge_that_was_told_of_a_run_is_told_of_its_end_though_the_app_has_left_the_configuration(
    workshop: Workshop, set_clocks: SetClocks
) -> None:
    """Else the commit's status would be `pending` for ever."""
    folder = workshop.settings.state_dir
    workshop.use(make_settings(folder, channels=(STATUS, CALLBACK)))
    workshop.push(1)
    workshop.wait(workshop.begin(1))
    others = replace(STATUS, apps=frozenset(["other"]))
    workshop.use(make_settings(folder, apps=(make_app("other"),), channels=(others, CALLBACK)))
    for later in (0, ROLLOUT + 1):
        set_clocks(later)
        assert workshop.one.begin(1, "build") is None
    with workshop.database.read() as connection:
        rows = notifications.of_run(connection, 1)
    failed = [(row["channel"], row["message"]["repo"]) for row in rows if row["type"] == "run.failed"]
    assert failed == [("forge", REPO.urls[0]), ("ops", REPO.urls[0])]


def test_messages_to_a_channel_that_left_the_configuration_are_given_up_after_a_day(
    workshop: Workshop, set_clocks: SetClocks
) -> None:
    """The relay may be the last process to get a configuration with a new channel."""
    workshop.use(make_settings(workshop.settings.state_dir, channels=(CALLBACK, replace(CALLBACK, name="left"))))
    workshop.push(1)
    workshop.wait(workshop.begin(1))
    workshop.use(configured(workshop, make_environment()))
    assert workshop.reconcile.give_up_messages() == []
    set_clocks(UNKNOWN_FOR + 1)
    assert workshop.reconcile.give_up_messages() == ["left"]
    assert workshop.reconcile.give_up_messages() == []
    with workshop.database.read() as connection:
        states = {row["channel"]: (row["state"], row["detail"]) for row in notifications.of_run(connection, 1)}
    gone = "the configuration has no channel of this name any more"
    assert states == {"ops": ("pending", ""), "left": ("failed", gone)}


def committing(workshop: Workshop) -> Execution:
    """Queue the change of run 1, beside which there is run 2; return a worker that does not have its environment."""
    push_to_both(workshop)
    commit = workshop.until(1, StageName.COMMIT)
    with workshop.database.write() as connection:
        changes.submit(connection, 1, "gitops#main", asdict(change(1)), now())
    queued = Wait(reason=Reason.COMMIT_QUEUED, after=5)
    workshop.one.report(commit, Reported(stage=StageName.COMMIT, outcome=queued), "build")
    return Execution(workshop.database, configured(workshop), QUIET, "other")


def change(run: int) -> Change:
    return Change(run=run, file="values.yaml", edits=(), message="deploy", trailers=(), date=1)


def test_nobody_commits_the_change_of_a_run_whose_environment_is_gone(workshop: Workshop) -> None:
    assert committing(workshop).begin(1, "build") is None
    assert queue(workshop, "other").submit(change(2)) == Batch(changes=[change(2)])


def test_a_run_whose_environment_is_gone_says_that_its_change_was_committed(
    workshop: Workshop, set_clocks: SetClocks
) -> None:
    other, writer = committing(workshop), queue(workshop, "writer")
    writer.submit(change(2))
    writer.finish([Landed(run=1, commit="c" * 40, created=True)])
    for later in (0, ROLLOUT + 1):
        set_clocks(later)
        assert other.begin(1, "build") is None
    run = workshop.run(1)
    assert (run.state, run.detail) == (RunState.FAILED, "plate-web/stg; its change was committed as cccccccccccc")


def test_a_run_that_began_when_its_time_was_longer_is_not_taken_for_one_of_a_wrong_clock(workshop: Workshop) -> None:
    patient = make_environment(health_timeout=7200)
    workshop.use(configured(workshop, patient))
    workshop.push(1)
    workshop.wait(workshop.until(1, StageName.HEALTH))
    workshop.use(configured(workshop, make_environment()))
    assert workshop.reconcile.too_far() == []


def test_what_waits_for_a_channel_goes_to_it_under_another_name(workshop: Workshop) -> None:
    """So does what is needed to edit the message that is there already."""
    bot = Channel(name="slack-1", kind="slack-api", target="C1")
    workshop.use(make_settings(workshop.settings.state_dir, channels=(bot,)))
    workshop.push(1)
    workshop.wait(workshop.begin(1))
    outbox = Outbox(workshop.database)
    parcel = outbox.next("slack-1", KINDS["slack-api"])
    assert parcel is not None
    outbox.sent(parcel, "ts-1")
    workshop.until(1, StageName.BUILD)
    workshop.use(
        make_settings(workshop.settings.state_dir, channels=(replace(bot, name="t", former_names=("slack-1",)),))
    )
    assert workshop.reconcile.give_up_messages() == []
    again = outbox.next("t", KINDS["slack-api"], ("slack-1",))
    assert again is not None
    assert (again.row["run_id"], again.previous) == (1, "ts-1")


def test_what_waits_for_a_channel_that_is_there_is_left_to_it(workshop: Workshop) -> None:
    first, second = replace(CALLBACK, name="webhook-1"), replace(CALLBACK, name="new", former_names=("webhook-1",))
    workshop.use(make_settings(workshop.settings.state_dir, channels=(first, second)))
    workshop.push(1)
    workshop.wait(workshop.begin(1))
    workshop.reconcile.give_up_messages()
    with workshop.database.read() as connection:
        assert {row["channel"] for row in notifications.of_run(connection, 1)} == {"webhook-1", "new"}
