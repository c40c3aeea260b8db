"""The line of a request: what it says, how loud, and what never stands there."""

from typing import Any

import pytest

from orchestrator import access
from tests.support.journals import Logged


def asked(path: str = "/api/v1/runs", **more: str) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "REMOTE_ADDR": "127.0.0.1",
        "QUERY_STRING": "token=plt_x",
        **more,
    }


def test_a_request_ends_as_one_line_with_its_id_and_who_asked(logged: Logged) -> None:
    environ = asked()
    request_id = access.begin(environ)
    access.asks("mina")
    access.end(environ, 200, 12)

    assert logged.lines == [
        {
            "event": "request answered",
            "level": "info",
            "request_id": request_id,
            "method": "GET",
            "path": "/api/v1/runs",
            "status": 200,
            "remote": "127.0.0.1",
            "duration_ms": 12,
            "actor": "mina",
        }
    ]


@pytest.mark.parametrize(
    ("path", "status", "level"),
    [
        ("/runs/1", 200, "info"),
        ("/runs/1", 404, "info"),
        ("/runs/1", 503, "warning"),
        ("/healthz", 200, "debug"),
        ("/readyz", 503, "debug"),
        ("/metrics", 200, "debug"),
        ("/static/pilotage.js", 200, "debug"),
    ],
)
def test_how_loud_the_line_of_a_request_is(logged: Logged, path: str, status: int, level: str) -> None:
    access.end(asked(path), status, 1)

    assert [line["level"] for line in logged.lines] == [level]


def test_a_thread_forgets_the_request_before(logged: Logged) -> None:
    access.begin(asked())
    access.asks("mina")
    second = asked(HTTP_X_REQUEST_ID="second")
    access.begin(second)
    access.end(second, 401, 1)

    assert [(line["request_id"], line.get("actor")) for line in logged.lines] == [("second", None)]
