"""The shape of what the file says about buttons in Slack, and the ids that Slack gives to workspaces and people."""

import re
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, Field

from orchestrator.config import types as t
from orchestrator.config.base import ConfigModel, described


def _id(kinds: str, sentence: str) -> Callable[[str], str]:
    form = re.compile(rf"[{kinds}][A-Z0-9]{{2,30}}")

    def check(text: str) -> str:
        if not form.fullmatch(text):
            raise t.wrong(sentence)
        return text

    return check


SlackTeam = Annotated[
    str,
    AfterValidator(_id("TE", "is not a workspace's id, such as `T0123456789`: Slack's address in a browser has it")),
    t.ValueType("Slack id"),
]
SlackPerson = Annotated[
    str,
    AfterValidator(_id("UW", "is not a member's id, such as `U0123456789`: the menu of a profile copies it")),
    t.ValueType("Slack id"),
]


class SlackButtons(ConfigModel):
    """Buttons under the messages of a bot: approve, cancel, re-run, roll back."""

    signing_secret: t.SecretText = described(
        "The Slack app's signing secret; with it Slack proves that a click comes from there.",
        example="${SLACK_SIGNING_SECRET}",
    )
    team: SlackTeam = described("Id of the workspace whose members may click.", example="T0123456789")
    people: Annotated[list[SlackPerson], Field(min_length=1)] = described(
        "Ids of the members who may click, as their profiles show them. They may do all that the buttons do.",
        example=["U0123456789"],
    )
