"""Requests that are posted to a stand-in: remembered as they came, and answered by it or by a fault."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from flask import Request, Response, request

from orchestrator.sandbox.faults import HttpFault, HttpFaults


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """One request as it came; ``status`` is what it was answered with, 0 when it was cut off."""

    path: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes
    at: float
    status: int

    def json(self) -> Any:
        """Return the body as JSON. :raises ValueError: it is none."""
        return json.loads(self.body)


class Posts:
    """What has been posted so far.

    :ivar faults: what goes wrong next; ``where`` is part of a path.
    """

    def __init__(self) -> None:
        self.faults = HttpFaults()
        self._arrived: list[Arrived] = []
        self._lock = threading.Lock()

    @property
    def arrived(self) -> list[Arrived]:
        """Return every request that came, oldest first, those that went wrong included."""
        with self._lock:
            return list(self._arrived)

    def take(self, work: Callable[[bytes], Response]) -> Response:
        """Answer the post that Flask is handling, fault or not, and remember it. :param work: answers a body."""
        body = request.get_data()
        fault = self.faults.take(request.method, request.path) or HttpFault()
        time.sleep(fault.delay)
        if fault.drop == "before":
            self._remember(body, 0)
            _hang_up()
        answer = self._faulty(fault) if fault.status else work(body)
        self._remember(body, 0 if fault.drop else answer.status_code)
        if fault.drop:
            _hang_up()
        return answer

    def _faulty(self, fault: HttpFault) -> Response:
        wait = self.faults.left(fault)
        headers = dict(fault.headers)
        if fault.status == 429 and wait:
            headers.setdefault("Retry-After", str(int(wait) + 1))
        kind = "application/json" if fault.body.startswith("{") else "text/plain"
        return Response(fault.body, fault.status, headers, content_type=kind)

    def _remember(self, body: bytes, status: int) -> None:
        came = Arrived(path=request.path, headers=headers_of(request), body=body, at=time.time(), status=status)
        with self._lock:
            self._arrived.append(came)


def headers_of(one: Request) -> dict[str, str]:
    """Return the headers, with names in lower case."""
    return {name.lower(): value for name, value in one.headers.items()}


def _hang_up() -> None:
    """Cut the connection without an answer. :raises ConnectionAbortedError: always."""
    connection = request.environ.get("werkzeug.socket")
    if connection is not None:
        connection.shutdown(2)
    raise ConnectionAbortedError("dropped on request")
