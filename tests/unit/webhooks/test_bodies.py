"""Bodies as they arrive: with or without a length, too large, cut short, or given up."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from orchestrator.web.answers import ProblemView
from tests.support.hooks import NOW, FakeInbox, hooks, make_app, own_case
from webhooks import handler
from webhooks.app import mount
from webhooks.body import CHUNK, SMALL

CASE = own_case("github", "push-branch")


def post(inbox: FakeInbox, path: str = "/webhooks/github", **changed: Any) -> Any:
    asked = {"data": CASE.body, "headers": CASE.headers()} | changed
    return make_app(inbox).test_client().post(path, **asked)


API = frozenset(ProblemView.model_fields)
"""The members that a problem of the API has."""


def assert_problem(response: Any, status: int, reason: str) -> None:
    assert (response.status_code, response.content_type) == (status, "application/problem+json")
    assert response.json.keys() == API | {"reason"}
    assert response.json["type"] == "urn:pilotage:problem:" + reason.replace("_", "-")
    assert (response.json["instance"], response.json["errors"]) == (response.request.path, [])
    assert (response.json["status"], response.json["reason"]) == (status, reason)
    assert response.json["detail"].endswith(".")
    assert response.json["request_id"] == response.headers["X-Request-Id"]


def test_a_compressed_body_is_refused() -> None:
    response = post(FakeInbox(), headers=CASE.headers() | {"Content-Encoding": "gzip"})
    assert_problem(response, 415, "content_encoding")


class Endless(io.RawIOBase):
    """A body that does not end, and counts what was read."""

    def __init__(self) -> None:
        self.read_bytes = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self.read_bytes += len(buffer)
        buffer[:] = b" " * len(buffer)
        return len(buffer)


def chunked(inbox: FakeInbox, stream: Any, *, max_body: int) -> Any:
    """Post without a length, as a server does that ends the stream itself."""
    environ = {"wsgi.input": stream, "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    client = make_app(inbox, max_body=max_body).test_client()
    return client.post("/webhooks/github", headers=CASE.headers(), environ_overrides=environ)


def test_a_body_without_a_length_is_read() -> None:
    assert chunked(FakeInbox(), io.BytesIO(CASE.body), max_body=len(CASE.body)).status_code == 202


def test_a_body_without_a_length_is_bounded() -> None:
    stream = Endless()
    assert_problem(chunked(FakeInbox(), stream, max_body=100_000), 413, "too_large")
    assert stream.read_bytes <= 100_000 + CHUNK


def test_a_body_of_one_byte_too_many_is_too_large() -> None:
    most = len(CASE.body) - 1
    assert_problem(chunked(FakeInbox(), io.BytesIO(CASE.body), max_body=most), 413, "too_large")
    announced = make_app(FakeInbox(), max_body=most).test_client()
    assert_problem(announced.post("/webhooks/github", data=CASE.body, headers=CASE.headers()), 413, "too_large")


class Meanwhile(io.BytesIO):
    """A body of `size` bytes; `then` happens when all of it was read and before its end is."""

    def __init__(self, size: int, then: Callable[[], None]) -> None:
        super().__init__(b" " * size)
        self._then = then

    def read(self, size: int | None = -1) -> bytes:
        if self.tell() == len(self.getbuffer()):
            self._then()
        return super().read(size)


@pytest.mark.parametrize("length", [True, False])
def test_a_large_body_for_which_there_is_no_room_comes_again_and_small_ones_are_taken(
    length: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handler, "LARGE", 1)
    inbox, large = FakeInbox(), SMALL + 3 * CHUNK  # there is room for two, as the first SMALL bytes are free
    client = make_app(inbox, max_body=large - SMALL + 4 * CHUNK).test_client()
    told: list[Any] = []

    def send(size: int, then: Callable[[], None] = lambda: None) -> None:
        environ: dict[str, Any] = {"wsgi.input": Meanwhile(size, then), "wsgi.input_terminated": True}
        environ |= {"CONTENT_LENGTH": str(size)} if length else {"HTTP_TRANSFER_ENCODING": "chunked"}
        told.append(client.post("/webhooks/github", headers=CASE.headers(), environ_overrides=environ))

    def crowd() -> None:
        send(large)
        send(SMALL)

    for _ in range(3):  # what was taken is given back, whatever became of it
        send(large, lambda: send(large, crowd))
    assert [one.status_code for one in told] == [503, 401, 401, 401] * 3
    assert_problem(told[0], 503, "busy")
    assert told[0].headers["Retry-After"] == "5"
    assert [reason for _, reason, _ in inbox.refused][:2] == ["busy", "signature"]


class Failing(io.BytesIO):
    """A body at which the server gives up."""

    def __init__(self, error: Exception) -> None:
        super().__init__(CASE.body[:50])
        self._error = error

    def read(self, size: int | None = -1) -> bytes:
        read = super().read(size)
        if not read:
            raise self._error
        return read


@pytest.mark.parametrize(
    ("error", "status", "reason"),
    [
        (TimeoutError(), 408, "slow"),
        (ConnectionResetError(), 400, "malformed"),
        (OSError("it ended"), 400, "malformed"),
        (ValueError("bad chunk"), 400, "malformed"),
    ],
)
def test_a_body_that_the_server_gives_up_is_told_why(error: Exception, status: int, reason: str) -> None:
    inbox = FakeInbox()
    assert_problem(chunked(inbox, Failing(error), max_body=100_000), status, reason)
    assert [why for _, why, _ in inbox.refused] == [reason]


@pytest.mark.parametrize("ends_stream", [True, False])
def test_a_body_that_is_cut_short_is_malformed(ends_stream: bool) -> None:
    environ: dict[str, Any] = {"wsgi.input": io.BytesIO(CASE.body[:50]), "CONTENT_LENGTH": str(len(CASE.body))}
    environ |= {"wsgi.input_terminated": True} if ends_stream else {}
    client = make_app(FakeInbox()).test_client()
    response = client.post("/webhooks/github", headers=CASE.headers(), environ_overrides=environ)
    assert_problem(response, 400, "malformed")
    assert "before the body did" in response.json["detail"]


def test_a_limit_of_the_app_around_it_does_not_count() -> None:
    app = Flask("around")
    app.config["MAX_CONTENT_LENGTH"] = 10
    mount(app, hooks(), FakeInbox(), max_body=100_000, now=lambda: NOW)
    response = app.test_client().post("/webhooks/github", data=CASE.body, headers=CASE.headers())
    assert response.status_code == 202
