"""The Argo CD client: the stream of events, and every way in which it ends."""

import json
import threading
from collections.abc import Iterator

import pytest

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.argocd_client import always, client, error
from tests.support.loopback import Reply, loopback
from workers.clients import argocd


def event(name: str) -> bytes:
    frame = {"result": {"type": "MODIFIED", "application": {"metadata": {"name": name}}}}
    return b"data: " + json.dumps(frame).encode() + b" \n\n"


def streaming(*parts: bytes) -> Reply:
    def chunks() -> Iterator[bytes]:
        yield from parts

    return Reply(headers={"Content-Type": "text/event-stream"}, parts=chunks)


def follow(reply: Reply, stop: threading.Event | None = None) -> tuple[list[str], Unavailable | Refused | None]:
    names: list[str] = []
    with loopback(always(reply)) as server:
        try:
            client(server.url).stream(lambda app: names.append(app["metadata"]["name"]), stop or threading.Event())
        except (Unavailable, Refused) as caught:
            return names, caught
    assert server.asked[0].headers["accept"] == "text/event-stream"
    return names, None


def test_a_stream_hands_on_events_cut_anywhere_and_passes_over_keepalives():
    data = event("a") + b":\n\n" + event("b")
    names, caught = follow(streaming(data[:7], data[7:50], data[50:]))
    assert names == ["a", "b"]
    assert isinstance(caught, Unavailable), "the end of a stream is told, so that the caller reads and reconnects"


def test_newline_framing_is_understood_as_well():
    names, _ = follow(streaming(event("a").removeprefix(b"data: "), b'{"result":{"type":"ADDED"}}\n'))
    assert names == ["a"]


@pytest.mark.parametrize(
    ("last", "kind", "reason"),
    [
        (
            b'{"error":{"grpc_code":14,"http_code":503,"message":"transport is closing"}}',
            Unavailable,
            Reason.ARGOCD_UNAVAILABLE,
        ),
        (b'{"error":{"grpc_code":16,"http_code":401,"message":"expired"}}', Refused, Reason.ARGOCD_UNAUTHORIZED),
        (b"data: {broken\n", Unavailable, Reason.ARGOCD_UNAVAILABLE),
    ],
)
def test_the_last_frame_of_a_stream_may_be_an_error(last, kind, reason):
    names, caught = follow(streaming(event("a"), last))
    assert names == ["a"]
    assert isinstance(caught, kind)
    assert caught.reason is reason


def test_a_stream_ends_quietly_when_it_is_told_to_stop():
    stop = threading.Event()
    stop.set()
    assert follow(streaming(b":\n\n", event("a")), stop) == ([], None)


def test_a_line_beyond_the_bound_ends_the_stream(monkeypatch):
    monkeypatch.setattr(argocd, "MAX_EVENT", 1000)
    names, caught = follow(streaming(event("a"), b"data: " + b"x" * 2000))
    assert names == ["a"]
    assert isinstance(caught, Unavailable)


def test_a_silent_stream_is_given_up(monkeypatch):
    monkeypatch.setattr(argocd, "STREAM_SILENCE", 0.2)
    never = threading.Event()

    def chunks() -> Iterator[bytes]:
        yield event("a")
        never.wait(5)

    names, caught = follow(Reply(headers={"Content-Type": "text/event-stream"}, parts=chunks))
    never.set()
    assert names == ["a"]
    assert isinstance(caught, Unavailable)


def test_a_stream_is_not_given_up_between_two_keepalives():
    assert argocd.STREAM_SILENCE >= 2 * 15, "the server's keepalive comes every 15 s, and one may be late"


@pytest.mark.parametrize("frame", [False, True], ids=["answer", "frame of a stream"])
def test_what_argo_cd_quotes_of_helm_is_cut(frame):
    said = "helm: " + "x " * 5000
    if frame:
        _, caught = follow(streaming(event("a"), json.dumps({"error": {"message": said}}).encode()))
    else:
        _, caught = follow(Reply(400, error(3, said)))
    assert isinstance(caught, Refused | Unavailable)
    assert "helm: x x" in caught.evidence
    assert len(caught.evidence) < 400


def test_a_stream_that_is_refused_is_refused():
    _, caught = follow(Reply(401, error(16, "no session information")))
    assert isinstance(caught, Refused)
