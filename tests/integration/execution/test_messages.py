"""What people are told of runs, and who acted on them."""

from dataclasses import asdict, replace
from typing import Any

import pytest

from orchestrator.domain.apps import Channel
from orchestrator.domain.messages import KINDS, Message
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, StageName
from orchestrator.engine.facts import Reported
from orchestrator.services.control import Wish
from orchestrator.services.outbox import Outbox
from orchestrator.store import notifications
from tests.support.executing import Workshop, two_places
from tests.support.messages import STARTED

ASKED = Wish(app="plate-web", environment="prod", commit="1" * 40, actor="jun")


def heard(world: Workshop, *channels: Channel) -> None:
    """Configure stg and prod, the latter with approval, and who is told."""
    two_places(world, approval=True)
    world.use(replace(world.settings, channels=channels, external_url="https://pilotage.example.com"))


def told(world: Workshop, run: int, channel: str = "team") -> list[dict[str, Any]]:
    with world.database.read() as connection:
        rows = notifications.of_run(connection, run)
    return [row["message"] | {"kept": row["state"]} for row in rows if row["channel"] == channel]


@pytest.mark.parametrize("kind", KINDS)
def test_that_a_run_waits_for_approval_is_told_once_with_what_to_do(world: Workshop, kind: str) -> None:
    heard(world, Channel(name="team", kind=kind))
    run = world.control.start(ASKED)
    world.done(world.begin(run))
    assert world.one.begin(run, "build") is None, "it looks again, and still waits"
    waiting = told(world, run)[1:]
    assert [(one["type"], one["state"], one["reason"]) for one in waiting] == [
        ("run.waiting", "waiting", "awaiting_approval")
    ]
    (only,) = waiting
    assert only["id"] == f"run-{run}-run-waiting-team"
    assert (only["sentence"], only["who_acts"]) == ("The run waits for approval.", "developer")
    assert only["next_step"] == f"Approve it with `pilotage run approve {run}`."
    assert [(name, state) for name, state, _ in only["stages"]][:2] == [("check", "succeeded"), ("build", "waiting")]
    assert only["url"] == f"https://pilotage.example.com/runs/{run}"
    world.control.approve(run, "mina")
    world.finish(world.begin(run))
    assert [one["type"] for one in told(world, run)].count("run.waiting") == 1


def test_a_channel_may_be_told_of_approvals_only_and_of_no_other_wait(world: Workshop) -> None:
    heard(world, Channel(name="team", kind="slack", on=frozenset({"waiting"})))
    world.control.hold("plate-web", "stg", "freeze", "mina")
    world.push(1)
    world.done(world.begin(1))
    run = world.control.start(ASKED)
    world.done(world.begin(run))
    assert world.run(1).reason is Reason.ON_HOLD
    assert [[one["type"] for one in told(world, number)] for number in (1, run)] == [[], ["run.waiting"]]


def test_a_channel_that_edits_one_message_shows_the_wait_instead_of_the_start(world: Workshop) -> None:
    heard(world, Channel(name="team", kind="slack-api"))
    run = world.control.start(ASKED)
    world.done(world.begin(run))
    assert [(one["type"], one["kept"]) for one in told(world, run)] == [
        ("run.started", "merged"),
        ("run.waiting", "pending"),
    ]


def test_messages_name_the_person_who_was_the_last_to_act(world: Workshop) -> None:
    heard(world, Channel(name="team", kind="webhook"))
    run = world.control.start(ASKED)
    world.done(world.begin(run))
    world.control.approve(run, "mina")
    world.finish(world.begin(run))
    acts = [(one["type"], one["actor"], one["action"]) for one in told(world, run)]
    assert acts == [
        ("run.started", "jun", "started"),
        ("run.waiting", "jun", "started"),
        ("run.succeeded", "mina", "approved"),
    ]


@pytest.mark.parametrize("at_work", [False, True], ids=["waiting", "at work"])
def test_a_message_of_a_cancelled_run_names_who_cancelled_it(world: Workshop, at_work: bool) -> None:
    heard(world, Channel(name="team", kind="webhook"))
    run = world.control.start(ASKED)
    check = world.begin(run)
    if at_work:
        world.control.cancel(run, "hana")
    world.done(check)
    if not at_work:
        world.control.approve(run, "mina")
        world.control.cancel(run, "hana")
    last = told(world, run)[-1]
    assert (last["type"], last["actor"], last["action"]) == ("run.cancelled", "hana", "cancelled")


def test_of_what_nobody_asked_for_nobody_is_named(world: Workshop) -> None:
    heard(world, Channel(name="team", kind="webhook"))
    world.push(1)
    world.finish(world.begin(1))
    world.done(world.begin(2))
    assert world.run(2).actor == "run 1"
    assert {(one["actor"], one["action"]) for number in (1, 2) for one in told(world, number)} == {("", "")}


def test_whoever_promotes_rolls_back_or_repeats_is_named(world: Workshop) -> None:
    heard(world, Channel(name="team", kind="webhook"))
    for number in (1, 3):
        world.push(number)
        world.finish(world.done(world.begin(number), image=f"h/p:{number}", digest=f"sha256:{number}"))
    promoted = world.control.promote("plate-web", "prod", "mina")
    back = world.control.rollback("plate-web", "stg", "hana", None)
    no = Reported(stage=StageName.CHECK, outcome=Fail(reason=Reason.ARGOCD_FORBIDDEN))
    for run in (promoted, back):
        world.one.report(world.begin(run), no, "build")
    again = world.control.rerun(back, "jun")
    world.begin(again)
    acts = [(one["actor"], one["action"]) for run in (promoted, back, again) for one in told(world, run)[:1]]
    assert acts == [("mina", "promoted"), ("hana", "rolled back"), ("jun", "repeated")]


def test_a_message_that_another_version_wrote_is_read(world: Workshop) -> None:
    heard(world, Channel(name="team", kind="webhook"))
    world.push(1)
    older = {name: value for name, value in asdict(STARTED).items() if name not in ("actor", "action")}
    row = {
        "run_id": 1,
        "channel": "team",
        "type": "run.started",
        "state": "pending",
        "due_at": 0.0,
        "created_at": 0.0,
    }
    with world.database.write() as connection:
        notifications.add(connection, [row | {"message": older | {"of_tomorrow": 1}}])
    parcel = Outbox(world.database).next("team")
    assert parcel is not None
    assert parcel.message == replace(STARTED, actor="", action="")
    assert isinstance(parcel.message, Message)
