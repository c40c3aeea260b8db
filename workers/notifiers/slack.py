"""A Slack incoming webhook, or a service that understands one (Mattermost, Rocket.Chat, Discord's ``/slack``).

Such a message can never be edited, so only start and end are told. The address is the secret: it is never shown.
"""

import json
from typing import Any

from orchestrator.domain.apps import Channel
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.messages import Message, Sent
from orchestrator.domain.reasons import Reason
from workers.clients.outbound import Posted
from workers.notifiers import wording
from workers.notifiers.tools import NotifierTools
from workers.shapes import read_json

_HEADERS = {"Content-Type": "application/json; charset=utf-8"}
_TOO_FANCY = frozenset({"invalid_blocks", "invalid_payload"})
"""Codes of a 400 that refuses the blocks, not the message."""


def send(message: Message, channel: Channel, previous: str, tools: NotifierTools) -> Sent:
    """Post one message; once more as plain text when the channel does not like the blocks.

    :raises Refused: NOTIFY_REFUSED, the webhook is gone, forbidden, or takes no such message.
    :raises Unavailable: NOTIFY_UNAVAILABLE. :raises Unanswered: the same, and the message may be there already.
    """
    text = wording.text(message)
    answer = _post(channel, tools, {"text": text, "blocks": wording.blocks(message), "unfurl_links": False})
    if answer.status == 400 and _code(answer) in _TOO_FANCY:
        answer = _post(channel, tools, {"text": text})
    _judge(answer, channel)
    return Sent()


def _post(channel: Channel, tools: NotifierTools, body: dict[str, Any]) -> Posted:
    encoded = json.dumps(body, ensure_ascii=False).encode()
    return tools.post(channel.secret.reveal(), encoded, _HEADERS, allow_private=channel.allow_private)


def _judge(answer: Posted, channel: Channel) -> None:
    """Judge an answer: 2xx (Slack: 200 ``ok``; Discord: 204) is success unless the body says no (Rocket.Chat)."""
    said = f"{channel.name}: HTTP {answer.status} {_code(answer)}".rstrip()
    if answer.status == 429 or answer.status >= 500:
        raise Unavailable(Reason.NOTIFY_UNAVAILABLE, said, answer.retry_after)
    if not 200 <= answer.status < 300 or _denies(answer):
        raise Refused(Reason.NOTIFY_REFUSED, said)


def _code(answer: Posted) -> str:
    """Return the first words of a plain-text error; never a whole page."""
    line = answer.body[:2000].decode("utf-8", "replace").strip().partition("\n")[0]
    return "" if line.startswith("<") else wording.plain(line, 100)


def _denies(answer: Posted) -> bool:
    try:
        body = read_json(answer.body)
    except ValueError:
        return False
    return isinstance(body, dict) and False in (body.get("success"), body.get("ok"))
