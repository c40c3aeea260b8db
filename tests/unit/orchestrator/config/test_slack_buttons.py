"""Buttons in Slack: who may click is said in full, or there are none."""

# ruff: noqa: E501 - a row of a table stays one line

import pytest

from orchestrator.domain.secrets import secrets_in
from tests.support.configs import found, look, spoiled

BOT = "token: x, channel: C0123456789"
BUTTONS = "{signing_secret: s3cret-of-slack, team: T0123456789, people: [U0123456789, W0123456789]}"


def slack(text: str) -> str:
    return spoiled("slack: {webhook: ${SLACK_WEBHOOK}}", f"slack: {{{text}}}")


def test_buttons_name_their_secret_their_workspace_and_the_people() -> None:
    settings = look(slack(f"{BOT}, buttons: {BUTTONS}")).settings
    assert settings is not None
    rules = settings.channels[0].buttons
    assert rules is not None
    assert (rules.team, rules.people) == ("T0123456789", {"U0123456789", "W0123456789"})
    assert "s3cret-of-slack" in secrets_in(settings)
    assert "s3cret" not in repr(settings)


def test_there_are_none_by_default() -> None:
    settings = look(slack(BOT)).settings
    assert settings is not None
    assert settings.channels[0].buttons is None


WRONG = [
    ("{team: T0123456789, people: [U0123456789]}", (8, "notify[0].slack.buttons.signing_secret", "is required")),
    ("{signing_secret: s3cret-of-slack, people: [U0123456789]}", (8, "notify[0].slack.buttons.team", "is required")),
    (
        "{signing_secret: s3cret-of-slack, team: T0123456789}",
        (8, "notify[0].slack.buttons.people", "is required"),
    ),
    (
        BUTTONS.replace("U0123456789, W0123456789", ""),
        (8, "notify[0].slack.buttons.people", "is empty"),
    ),
    (
        BUTTONS.replace("W0123456789", "mina"),
        (8, "notify[0].slack.buttons.people[1]", "is not a member's id, such as `U0123456789`: the menu of a profile copies it"),
    ),
    (
        BUTTONS.replace("T0123456789", "acme"),
        (8, "notify[0].slack.buttons.team", "is not a workspace's id, such as `T0123456789`: Slack's address in a browser has it"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("buttons", "expected"), WRONG, ids=[row[1][1] + row[0][-8:] for row in WRONG])
def test_nothing_is_left_open(buttons: str, expected: tuple[int, str, str]) -> None:
    assert found(slack(f"{BOT}, buttons: {buttons}")) == [expected]


def test_what_a_webhook_has_posted_has_no_buttons() -> None:
    text = slack(f"webhook: ${{SLACK_WEBHOOK}}, buttons: {BUTTONS}")
    said = "needs a bot (`token`): what a `webhook` has posted cannot be edited"
    assert found(text) == [(8, "notify[0].slack.buttons", said)]
