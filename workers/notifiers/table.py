"""Every notifier there is: how a kind of channel is told, and what it is told by default."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from orchestrator.domain.apps import Channel
from orchestrator.domain.messages import KINDS, Kind, Message, Sent
from workers.notifiers import slack, slack_api, webhook
from workers.notifiers.tools import Tools

Send = Callable[[Message, Channel, str, Tools], Sent]
"""Message, channel, reference of the run's earlier message on it ("" = none), tools. Raises Refused, Unavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifier:
    """:param kind: which messages it is told, how often, and whether only the newest matters."""

    send: Send
    kind: Kind


NOTIFIERS: Mapping[str, Notifier] = {
    "slack": Notifier(send=slack.send, kind=KINDS["slack"]),
    "slack-api": Notifier(send=slack_api.send, kind=KINDS["slack-api"]),
    "webhook": Notifier(send=webhook.send, kind=KINDS["webhook"]),
}
