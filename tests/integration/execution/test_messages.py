"""What people are told of runs, and who acted on them."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from orchestrator.domain.apps import Channel
from orchestrator.domain.messages import KINDS, Message
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, StageName
from orchestrator.engine.facts import Reported
from orchestrator.services.control import ManualRun
from orchestrator.services.outbox import Outbox
from orchestrator.store import notifications
from tests.support.executing import Workshop, two_environments
from tests.support.messages import STARTED

ASKED = ManualRun(app="plate-web", environment="prod", commit="1" * 40, actor="jun")


def heard(workshop: Workshop, *channels: Channel) -> None:
    """Configure stg and prod, the latter with approval, and who is told."""
    two_environments(workshop, approval=True)
    workshop.use(replace(workshop.settings, channels=channels, external_url="https://pilotage.example.com"))


def told(workshop: Workshop, run: int, channel: str = "team") -> list[dict[str, Any]]:
    with workshop.database.read() as connection:
        rows = notifications.of_run(connection, run)
    return [row["message"] | {"kept": row["state"]} for row in rows if row["channel"] == channel]


@pytest.mark.parametrize("kind", KINDS)
def test_that_a_run_waits_for_approval_is_told_once_with_what_to_do(workshop: Workshop, kind: str) -> None:
    heard(workshop, Channel(name="team", kind=kind))
    run = workshop.control.start(ASKED)
    workshop.done(workshop.begin(run))
    assert workshop.one.begin(run, "build") is None, "it looks again, and still waits"
    waiting = told(workshop, run)[1:]
    assert [(one["type"], one["state"], one["reason"]) for one in waiting] == [
        ("run.waiting", "waiting", "awaiting_approval")
    ]
    (only,) = waiting
    assert only["id"] == f"run-{run}-run-waiting-team"
    assert (only["sentence"], only["who_acts"]) == ("The run waits for approval.", "developer")
    assert only["next_step"] == f"Approve it with `pilotage run approve {run}`."
    assert [(name, state) for name, state, _ in only["stages"]][:2] == [("check", "succeeded"), ("build", "waiting")]
    assert only["url"] == f"https://pilotage.example.com/runs/{run}"
    workshop.control.approve(run, "mina")
    workshop.finish(workshop.begin(run))
    assert [one["type"] for one in told(workshop, run)].count("run.waiting") == 1


def test_a_channel_may_be_told_of_approvals_only_and_of_no_other_wait(workshop: Workshop) -> None:
    heard(workshop, Channel(name="team", kind="slack", on=frozenset({"waiting"})))
    workshop.control.hold("plate-web", "stg", "freeze", "mina")
    workshop.push(1)
    workshop.done(workshop.begin(1))
    run = workshop.control.start(ASKED)
    workshop.done(workshop.begin(run))
    assert workshop.run(1).reason is Reason.ON_HOLD
    assert [[one["type"] for one in told(workshop, number)] for number in (1, run)] == [[], ["run.waiting"]]


def test_a_channel_that_edits_one_message_shows_the_wait_instead_of_the_start(workshop: Workshop) -> None:
    heard(workshop, Channel(name="team", kind="slack-api"))
    run = workshop.control.start(ASKED)
    workshop.done(workshop.begin(run))
    assert [(one["type"], one["kept"]) for one in told(workshop, run)] == [
        ("run.started", "merged"),
        ("run.waiting", "pending"),
    ]


def test_messages_name_the_person_who_was_the_last_to_act(workshop: Workshop) -> None:
    heard(workshop, Channel(name="team", kind="webhook"))
    run = workshop.control.start(ASKED)
    workshop.done(workshop.begin(run))
    workshop.control.approve(run, "mina")
    workshop.finish(workshop.begin(run))
    acts = [(one["type"], one["actor"], one["action"]) for one in told(workshop, run)]
    assert acts == [
        ("run.started", "jun", "started"),
        ("run.waiting", "jun", "started"),
        ("run.succeeded", "mina", "approved"),
    ]


@pytest.mark.parametrize("at_work", [False, True], ids=["waiting", "at work"])
def test_a_message_of_a_cancelled_run_names_who_cancelled_it(workshop: Workshop, at_work: bool) -> None:
    heard(workshop, Channel(name="team", kind="webhook"))
    run = workshop.control.start(ASKED)
    check = workshop.begin(run)
    if at_work:
        workshop.control.cancel(run, "hana")
    workshop.done(check)
    if not at_work:
        workshop.control.approve(run, "mina")
        workshop.control.cancel(run, "hana")
    last = told(workshop, run)[-1]
    assert (last["type"], last["actor"], last["action"]) == ("run.cancelled", "hana", "cancelled")


def test_of_what_nobody_asked_for_nobody_is_named(workshop: Workshop) -> None:
    heard(workshop, Channel(name="team", kind="webhook"))
    workshop.push(1)
    workshop.finish(workshop.begin(1))
    workshop.done(workshop.begin(2))
    assert workshop.run(2).actor == "run 1"
    assert {(one["actor"], one["action"]) for number in (1, 2) for one in told(workshop, number)} == {("", "")}


def test_whoever_promotes_rolls_back_or_repeats_is_named(workshop: Workshop) -> None:
    heard(workshop, Channel(name="team", kind="webhook"))
    for number in (1, 3):
        workshop.push(number)
        workshop.finish(workshop.done(workshop.begin(number), image=f"h/p:{number}", digest=f"sha256:{number}"))
    promoted = workshop.control.promote("plate-web", "prod", "mina")
    back = workshop.control.rollback("plate-web", "stg", "hana", None)
    no = Reported(stage=StageName.CHECK, outcome=Fail(reason=Reason.ARGOCD_FORBIDDEN))
    for run in (promoted, back):
        workshop.one.report(workshop.begin(run), no, "build")
    again = workshop.control.rerun(back, "jun")
    workshop.begin(again)
    acts = [(one["actor"], one["action"]) for run in (promoted, back, again) for one in told(workshop, run)[:1]]
    assert acts == [("mina", "promoted"), ("hana", "rolled back"), ("jun", "repeated")]


def test_a_message_that_another_version_wrote_is_read(workshop: Workshop) -> None:
    heard(workshop, Channel(name="team", kind="webhook"))
    workshop.push(1)
    older = {name: value for name, value in asdict(STARTED).items() if name not in ("actor", "action")}
    row = {
        "run_id": 1,
        "channel": "team",
        "type": "run.started",
        "state": "pending",
        "due_at": 0.0,
        "created_at": 0.0,
    }
    with workshop.database.write() as connection:
        notifications.add(connection, [row | {"message": older | {"of_tomorrow": 1}}])
    parcel = Outbox(workshop.database).next("team", KINDS["slack-api"])
    assert parcel is not None
    assert parcel.message == replace(STARTED, actor="", action="")
    assert isinstance(parcel.message, Message)
