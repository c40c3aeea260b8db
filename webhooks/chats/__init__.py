"""One file per chat whose messages have buttons, and the table of them. A new chat is a file and a row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from orchestrator.domain.clicks import Click
from webhooks.chats import slack


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """What the endpoint needs to know about a chat.

    :param name: the last part of the path to which it posts clicks. :param kind: of the channels that have buttons.
    :param verify: headers, body, one secret, our clock; raises BadSignature.
    :param parse: headers, body; returns None where the chat tells of something else; raises Malformed.
    :param proof_header: carries the signature.
    """

    name: str
    kind: str
    verify: Callable[[Mapping[str, str], bytes, str, datetime], None]
    parse: Callable[[Mapping[str, str], bytes], Click | None]
    proof_header: str


_ROWS = (
    Chat(name="slack", kind="slack-api", verify=slack.verify, parse=slack.parse, proof_header=slack.PROOF_HEADER),
)

CHATS: Mapping[str, Chat] = MappingProxyType({chat.name: chat for chat in _ROWS})
"""Every chat by its name."""
