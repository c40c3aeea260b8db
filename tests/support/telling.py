"""Telling a channel of one message."""

import time

from orchestrator.domain.apps import Channel
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.messages import Message, Sent
from workers.notifiers.table import NOTIFIERS
from workers.notifiers.tools import NotifierTools

KIND_NAMES = sorted(NOTIFIERS)


def tell(message: Message, channel: Channel, previous: str = "") -> Sent:
    """Have the channel's notifier send a message."""
    return NOTIFIERS[channel.kind](message, channel, previous, NotifierTools(now=time.time))


# What the Web API and incoming webhooks say, and whether a later try may help.
API_ERRORS: list[tuple[str, type[Exception]]] = [
    ("channel_not_found", Refused),
    ("not_in_channel", Refused),
    ("is_archived", Refused),
    ("invalid_auth", Refused),
    ("token_revoked", Refused),
    ("missing_scope", Refused),
    ("msg_too_long", Refused),
    ("a_code_of_tomorrow", Refused),
    ("ratelimited", Unavailable),
    ("internal_error", Unavailable),
    ("fatal_error", Unavailable),
    ("service_unavailable", Unavailable),
]


WEBHOOK_ERRORS: list[tuple[int, str, type[Exception]]] = [
    (400, "invalid_payload", Refused),
    (400, "no_text", Refused),
    (403, "action_prohibited", Refused),
    (403, "invalid_token", Refused),
    (404, "channel_not_found", Refused),
    (404, "no_service", Refused),
    (404, "no_team", Refused),
    (410, "channel_is_archived", Refused),
    (429, "rate_limited", Unavailable),
    (500, "rollup_error", Unavailable),
    (502, "<html>bad gateway</html>", Unavailable),
    (520, "", Unavailable),
    (302, "", Refused),
    (200, '{"success":false,"error":"no"}', Refused),
]
