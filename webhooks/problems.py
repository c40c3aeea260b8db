"""Errors as RFC 9457 problem documents."""

import json
from collections.abc import Mapping
from http import HTTPStatus

from werkzeug import Response

from orchestrator.access import PROBLEM

RETRY_AFTER = 5
"""Seconds after which a forge may deliver again, if nothing else is known."""


class TurnedAway(Exception):
    """The request is turned away.

    :param status: of the answer. :param reason: a stable word. :param detail: one sentence: what and what to do.
    :param headers: more headers of the answer.
    """

    def __init__(self, status: int, reason: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = dict(headers or {})


def problem(turned: TurnedAway, path: str, request_id: str) -> Response:
    """Make the answer: the members that problems of the API have, and ``reason``."""
    body = {
        "type": f"{PROBLEM}{turned.reason.replace('_', '-')}",
        "title": HTTPStatus(turned.status).phrase,
        "status": turned.status,
        "detail": turned.detail,
        "instance": path,
        "errors": [],
        "reason": turned.reason,
        "request_id": request_id,
    }
    return Response(
        json.dumps(body), status=turned.status, headers=turned.headers, content_type="application/problem+json"
    )
