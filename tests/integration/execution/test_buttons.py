"""A click on a button in the chat, from Slack's request to what people see of it, on both databases."""

import json
from collections.abc import Iterator
from urllib.parse import unquote_plus, urlencode

import pytest

from orchestrator.domain.clicks import Button
from orchestrator.domain.runs import RunState, Trigger
from orchestrator.sandbox.chat import SandboxChat
from orchestrator.sandbox.chat_clicks import PERSON
from orchestrator.sandbox.faults import HttpFault
from orchestrator.sandbox.githttp import serve
from orchestrator.services.pressing import LATE
from orchestrator.store import notifications
from orchestrator.store.schema import clicks
from tests.support.chats import chat
from tests.support.clicking import Desk
from tests.support.executing import Workshop

__all__ = ["chat"]

ME = f"mina (Slack {PERSON})"


@pytest.fixture
def desk(workshop: Workshop, chat: SandboxChat) -> Iterator[Desk]:
    made = Desk(workshop, chat)
    with serve(made.app) as url:
        chat.clicks.request_url = f"{url}/webhooks/slack"
        yield made


def whispers(desk: Desk) -> list[str]:
    return [one.text for one in desk.chat.clicks.whispers]


def test_an_approval_by_click_lets_the_run_go_on_and_names_who_clicked(desk: Desk) -> None:
    run = desk.asking()
    assert desk.buttons == ["approve", "cancel"]

    assert not desk.click("approve").warned
    assert desk.waiting == 1
    desk.deal()

    assert (desk.workshop.run(run).approved_by, desk.waiting, whispers(desk)) == (ME, 0, [])
    desk.tell()
    assert f"Approved by {ME}." in desk.newest.text
    assert "Approve it with" not in desk.newest.text
    assert desk.buttons == ["cancel"]
    desk.workshop.finish(desk.workshop.begin(run))
    desk.tell()
    assert f"approved by {ME}" in desk.newest.text


def test_buttons_of_a_run_that_is_over_still_work_under_another_name_of_their_channel(desk: Desk) -> None:
    run = desk.failed()
    posted = len(desk.chat.slack.shown)
    desk.rename("ops")
    desk.click("rerun")
    desk.deal()
    desk.tell()

    assert whispers(desk) == []
    assert desk.workshop.run(run + 1).rerun_of == run
    assert f"Repeated by {ME}" in desk.of(run).text, "the message is edited"
    assert len(desk.chat.slack.shown) == posted


def test_while_a_click_is_carried_out_there_is_no_button_to_click_again(desk: Desk) -> None:
    desk.asking()
    desk.click("approve")
    desk.deal()

    assert f"{ME} approves it …" in desk.newest.text
    assert desk.buttons == []
    with pytest.raises(LookupError):
        desk.click("approve")


def test_a_double_click_makes_one_attempt(desk: Desk) -> None:
    run = desk.failed()
    for _ in range(2):
        desk.click("rerun")
    for _ in range(3):
        desk.deal()
    desk.tell()

    [again] = desk.made_by(ME)
    assert (again.attempt, again.rerun_of) == (2, run)
    assert whispers(desk) == ["It was done already, by an earlier click."]
    assert f"Repeated by {ME}: run {again.id}." in desk.newest.text
    assert desk.buttons == []


def test_a_request_that_is_played_again_does_nothing_new(desk: Desk) -> None:
    desk.failed()
    body = desk.chat.clicks.request(desk.newest, "rerun")
    signed = desk.chat.clicks.sign(body)
    for _ in range(2):
        assert desk.chat.clicks.send(body, **signed).status == 200
        desk.deal()

    assert (len(desk.made_by(ME)), whispers(desk)) == (1, [])


def test_a_crash_between_the_deed_and_its_end_shows_the_same_as_none(desk: Desk) -> None:
    desk.failed()
    desk.click("rerun")
    with desk.workshop.database.read() as connection:
        [row] = [dict(one) for one in connection.execute(clicks.select()).mappings()]
    desk.deal()
    with desk.workshop.database.write() as connection:
        connection.execute(clicks.insert().values(row))
    desk.deal()
    desk.tell()

    [again] = desk.made_by(ME)
    assert (whispers(desk), desk.waiting) == ([], 0)
    assert f"Repeated by {ME}: run {again.id}." in desk.newest.text


def test_a_run_is_cancelled_by_a_click(desk: Desk) -> None:
    run = desk.asking()
    desk.click("cancel")
    desk.deal()
    desk.tell()

    assert desk.workshop.run(run).state is RunState.CANCELLED
    assert f"Cancelled by {ME}." in desk.newest.text
    assert desk.buttons == ["rerun"]


def test_a_run_that_a_worker_holds_is_told_to_stop(desk: Desk) -> None:
    run = desk.workshop.push(1)["runs"][0]
    at_work = desk.workshop.begin(run)
    desk.tell()
    desk.click("cancel")
    desk.deal()
    desk.tell()

    assert f"{ME} stops it." in desk.newest.text
    assert desk.buttons == []
    desk.workshop.done(at_work)
    desk.tell()
    assert "Cancelled: plate-web to stg" in desk.newest.text


def test_a_rollback_goes_back_from_the_run_that_was_clicked(desk: Desk) -> None:
    desk.healthy(1)
    bad = desk.healthy(2)
    desk.click("rollback", desk.of(bad))
    desk.deal()
    desk.tell()

    [back] = desk.made_by(ME)
    assert (back.trigger, back.digest, back.environment) == (Trigger.ROLLBACK, "sha256:1", "stg")
    assert f"Rolled back by {ME}: run {back.id}." in desk.of(bad).text
    assert "Roll back" not in json.dumps(desk.of(bad).blocks)


def test_an_old_message_does_not_roll_back_what_is_newer(desk: Desk) -> None:
    desk.healthy(1)
    bad = desk.healthy(2)
    desk.click("rollback", desk.of(1))
    desk.deal()
    desk.tell()

    assert whispers(desk) == [
        f"Nothing was done: the environment plate-web/stg has moved on: run {bad} is the newest there."
    ]
    assert desk.made_by(ME) == []
    assert "Roll back" not in json.dumps(desk.of(1).blocks)
    assert "Roll back" in json.dumps(desk.of(bad).blocks)


@pytest.mark.parametrize(
    ("who", "named"),
    [
        ({"person": "U0STRANGER"}, "U0STRANGER of the workspace T0SANDBOX"),
        ({"team": "T0ELSEWHERE"}, f"{PERSON} of the workspace T0ELSEWHERE"),
    ],
    ids=["another person", "another workspace"],
)
def test_who_may_not_click_is_told_so_and_nobody_else_is(desk: Desk, who: dict[str, str], named: str) -> None:
    run = desk.asking()
    before = desk.newest
    assert not desk.click("approve", **who).warned
    desk.deal()

    assert not desk.workshop.run(run).approved
    assert desk.newest == before
    [said] = whispers(desk)
    assert said.startswith(f"Nothing was done: {named} may not use these buttons; the operator")


def test_what_is_not_possible_any_more_is_told_and_its_button_goes(desk: Desk) -> None:
    run = desk.asking()
    shown = desk.newest
    desk.workshop.control.approve(run, "hana")
    desk.click("approve", shown)
    desk.deal()
    desk.tell()

    [said] = whispers(desk)
    assert said.startswith("Nothing was done: ")
    assert desk.buttons == ["cancel"]


def test_a_click_that_waited_for_long_is_not_carried_out(desk: Desk) -> None:
    run = desk.asking()
    desk.click("approve")
    with desk.workshop.database.write() as connection:
        connection.execute(clicks.update().values(received_at=clicks.c.received_at - LATE - 1))
    desk.deal()

    assert not desk.workshop.run(run).approved
    [said] = whispers(desk)
    assert said.endswith("old when it was taken up; click again.")


def test_only_the_newest_message_of_a_run_has_a_say(desk: Desk) -> None:
    run = desk.asking()
    desk.click("approve")
    with desk.workshop.database.write() as connection:
        row = {"id": 0, "run_id": run, "channel": "team"}
        notifications.go_on(connection, row, '{"channel": "C0SANDBOX01", "ts": "1.2"}')
    desk.deal()

    assert not desk.workshop.run(run).approved
    assert whispers(desk) == [
        f"Nothing was done: run {run} has another message by now; use that one, or the run's page."
    ]


def test_a_chat_that_does_not_answer_does_not_stop_what_was_clicked(desk: Desk) -> None:
    run = desk.asking()
    desk.chat.faults.add(HttpFault(where="/actions/", status=503))
    desk.click("approve")
    desk.deal()

    assert desk.workshop.run(run).approved


def test_a_click_that_ends_each_worker_is_given_up(desk: Desk) -> None:
    run = desk.asking()
    desk.click("approve")
    with desk.workshop.database.write() as connection:  # as two workers leave it that vanish with it
        connection.execute(clicks.update().values(attempt=2, lease_until=1.0))
    desk.deal()

    assert (desk.waiting, desk.workshop.run(run).approved) == (0, False)


@pytest.mark.parametrize("status", [200, 404])
def test_an_address_for_answers_that_is_used_up_is_not_tried_again(desk: Desk, status: int) -> None:
    desk.asking()
    gone = HttpFault(where="/actions/", status=status, body='{"ok":false,"error":"used_url"}', times=9)
    desk.chat.faults.add(gone)
    desk.click("approve", person="U0STRANGER")
    desk.deal()

    assert (whispers(desk), desk.waiting) == ([], 0)
    assert [one.path.split("/")[1] for one in desk.chat.arrived].count("actions") == 1


@pytest.mark.parametrize(("times", "heard"), [(1, 1), (2, 0)])
def test_that_a_click_was_refused_is_told_once_more_where_the_chat_was_away(
    desk: Desk, times: int, heard: int
) -> None:
    desk.asking()
    desk.chat.faults.add(HttpFault(where="/actions/", status=503, times=times))
    desk.click("approve", person="U0STRANGER")
    for _ in range(2):
        desk.deal()
        with desk.workshop.database.write() as connection:  # what failed is due at once
            connection.execute(clicks.update().values(lease_until=None))

    assert (len(whispers(desk)), desk.waiting) == (heard, 0)


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/actions/T/x",
        "https://hooks.slack.com.evil.example/actions/T/x",
        "https://hooks.slack.com@evil.example/actions/T/x",
        "https://user@hooks.slack.com/actions/T/x",
        "http://hooks.slack.com/actions/T/x",
        "https://hooks.slack.com:8443/actions/T/x",
        "http://169.254.169.254/latest/meta-data",
        "http://[::1",
        "",
    ],
)
def test_an_address_for_answers_that_is_not_slacks_is_not_used(desk: Desk, address: str) -> None:
    run = desk.asking()
    body = desk.chat.clicks.request(desk.newest, "approve")
    payload = json.loads(unquote_plus(body.decode().removeprefix("payload=")))
    forged = urlencode({"payload": json.dumps(payload | {"response_url": address})}).encode()
    came = len(desk.chat.arrived)
    assert desk.chat.clicks.send(forged).status == 200
    desk.deal()

    assert desk.workshop.run(run).approved, "the click itself is genuine"
    assert len(desk.chat.arrived) == came


def test_every_button_has_its_word_and_asks_back(desk: Desk) -> None:
    desk.asking()
    [row] = [block for block in desk.newest.blocks if block["type"] == "actions"]
    assert [button["text"]["text"] for button in row["elements"]] == ["Approve", "Cancel"]
    asked = [button["confirm"]["text"]["text"] for button in row["elements"]]
    assert asked[0].startswith("Approve run")
    assert {button["action_id"] for button in row["elements"]} <= set(Button)
