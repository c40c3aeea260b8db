"""What people see in the chat of a whole run, on both databases."""

import threading
from dataclasses import replace

import pytest

from orchestrator.domain.masking import Mask
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Fail, RunState, StageName
from orchestrator.engine.facts import Reported
from orchestrator.sandbox.chat import SandboxChat
from orchestrator.sandbox.faults import HttpFault
from orchestrator.services.outbox import Outbox
from orchestrator.store import logs, notifications
from orchestrator.store.database import now
from tests.support.chats import chat
from tests.support.clicking import long_ago
from tests.support.executing import Workshop
from tests.support.messages import channel_to
from workers.messenger import Messenger

__all__ = ["chat"]


@pytest.fixture
def heard(workshop: Workshop, chat: SandboxChat) -> Workshop:
    """A workshop whose runs are told to the chat."""
    workshop.use(replace(workshop.settings, channels=(channel_to(chat, "slack-api"),)))
    return workshop


def tell(workshop: Workshop) -> None:
    """Have a relay that has just started send one message, long after the last one."""
    long_ago(workshop.database)
    Messenger(workshop.settings.channels[0], Outbox(workshop.database), Mask(())).once(threading.Event())


def hurry(workshop: Workshop) -> None:
    """Have what was postponed be due at once."""
    with workshop.database.write() as connection:
        for row in notifications.of_run(connection, 1):
            if row["state"] == "pending":
                notifications.postpone(connection, row["id"], 0.0, "", 0, 0)


def test_a_run_is_one_message_whatever_restarts_on_its_way(heard: Workshop, chat: SandboxChat) -> None:
    heard.push(1)
    at_work = heard.begin(1)
    tell(heard)
    for number in range(7):
        if number == 2:
            chat.faults.add(HttpFault(where="chat.update", drop="after"))
        at_work = heard.done(at_work) if at_work else None
        tell(heard)
        hurry(heard)

    [shown] = chat.slack.shown
    assert [one.path for one in chat.arrived].count("/api/chat.postMessage") == 1
    assert shown.edits >= 3
    assert "Deployed: plate-web to stg" in shown.text


@pytest.mark.parametrize("status", [429, 503])
def test_a_chat_that_takes_nothing_for_a_while_holds_no_run_up_and_hears_how_it_ended(
    heard: Workshop, chat: SandboxChat, status: int
) -> None:
    chat.faults.add(HttpFault(status=status, times=3, headers={"Retry-After": "60"}))
    heard.push(1)
    at_work = heard.begin(1)
    tell(heard)
    heard.finish(at_work)
    assert heard.run(1).state is RunState.SUCCEEDED
    for _ in range(4):
        hurry(heard)
        tell(heard)

    [shown] = chat.slack.shown
    assert "Deployed: plate-web to stg" in shown.text


def test_a_failure_is_told_with_the_end_of_the_log_of_its_stage(heard: Workshop, chat: SandboxChat) -> None:
    heard.push(1)
    at_work = heard.until(1, StageName.BUILD)
    tell(heard)
    with heard.database.write() as connection:
        logs.append(connection, 1, "check", ["of check"], now())
        logs.append(connection, 1, "build", [f"line {number}" for number in range(30)], now())
    outcome = Fail(reason=Reason.BUILD_FAILED)
    heard.one.report(at_work, Reported(stage=StageName.BUILD, outcome=outcome), "build")
    tell(heard)

    _, reply = chat.slack.shown
    said = reply.blocks[1]["text"]["text"].splitlines()
    assert said == ["```", *(f"line {number}" for number in range(10, 30)), "```"]


def test_a_failure_that_is_the_first_message_has_its_reply_after_a_restart(
    heard: Workshop, chat: SandboxChat
) -> None:
    heard.push(1)
    at_work = heard.until(1, StageName.BUILD)
    with heard.database.write() as connection:
        logs.append(connection, 1, "build", ["the cause"], now())
    outcome = Fail(reason=Reason.BUILD_FAILED)
    heard.one.report(at_work, Reported(stage=StageName.BUILD, outcome=outcome), "build")
    for _ in range(4):
        tell(heard)

    parent, reply = chat.slack.shown
    assert (reply.thread_ts, reply.broadcast) == (parent.ts, False)
    with heard.database.read() as connection:
        assert notifications.of_run(connection, 1)[-1]["state"] == "sent"


@pytest.mark.parametrize("fails", [False, True], ids=["healthy", "failed"])
def test_an_incoming_webhook_gets_two_posts_without_buttons(
    workshop: Workshop, chat: SandboxChat, fails: bool
) -> None:
    workshop.use(replace(workshop.settings, channels=(channel_to(chat, "slack"),)))
    workshop.push(1)
    at_work = workshop.begin(1)
    for _ in range(3):
        at_work = workshop.done(at_work) if at_work else None
        tell(workshop)
    if fails and at_work is not None:
        no = Reported(stage=at_work.stage, outcome=Fail(reason=Reason.SCAN_FINDINGS))
        workshop.one.report(at_work, no, "build")
    else:
        workshop.finish(at_work)
    for _ in range(3):
        tell(workshop)

    assert len(chat.arrived) == 2
    assert "actions" not in [block["type"] for one in chat.slack.shown for block in one.blocks]
