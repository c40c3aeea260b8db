"""The notifiers by kind of channel. What each kind is told by default: `domain.messages.KINDS`."""

from collections.abc import Callable, Mapping

from orchestrator.domain.apps import Channel
from orchestrator.domain.messages import Message, Sent
from workers.notifiers import gitea_status, github_status, gitlab_status, slack, slack_api, webhook
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
