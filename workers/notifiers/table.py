"""The notifiers by kind of channel. What each kind is told by default: `domain.messages.KINDS`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.domain.apps import Channel
from orchestrator.domain.clicks import Click
from orchestrator.domain.messages import Message, Sent
from workers.notifiers import gitea_status, github_status, gitlab_status, slack, slack_api, slack_buttons, webhook
from workers.notifiers.statuses import Place
from workers.notifiers.tools import NotifierTools

Send = Callable[[Message, Channel, str, NotifierTools], Sent]
"""Message, channel, reference of the run's earlier message on it ("" = none), tools. Raises Refused, Unavailable."""

PlaceOf = Callable[[Channel, str], Place]
"""Channel and address of a repository: where its forge's API has it."""

NOTIFIERS: Mapping[str, Send] = {
    "slack": slack.send,
    "slack-api": slack_api.send,
    "webhook": webhook.send,
    "github-status": github_status.send,
    "gitlab-status": gitlab_status.send,
    "gitea-status": gitea_status.send,
    "forgejo-status": gitea_status.send,
}

PLACES: Mapping[str, PlaceOf] = {
    "github-status": github_status.place,
    "gitlab-status": gitlab_status.place,
    "gitea-status": gitea_status.place,
    "forgejo-status": gitea_status.place,
}

LOOKS: Mapping[str, Callable[[Channel, NotifierTools], str]] = {"slack-api": slack_api.look}
"""The kinds of channels whose service says without a message whether it knows us. Raise Refused, Unavailable."""


@dataclass(frozen=True, slots=True)
class ClickAnswers:
    """What a chat whose messages have buttons can do about a click.

    Both raise Refused, Unavailable. ``disarm``: shows a message in place of the one that was clicked, without its
    buttons. ``whisper``: says something to the one who clicked, and to nobody else.
    """

    disarm: Callable[[Message, Click, Channel, NotifierTools], None]
    whisper: Callable[[str, Click, Channel, NotifierTools], None]


ANSWERS: Mapping[str, ClickAnswers] = {
    "slack-api": ClickAnswers(slack_buttons.disarm, slack_buttons.whisper),
}
"""The kinds of channels whose messages may have buttons."""
