"""The endpoint with an event loop: the same answers as the Flask app's, and what only a loop can do."""

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.hooks import NOW, FakeBatchInbox, FakeInbox, FakeItem, hooks, make_app, own_case
from tests.support.journals import Logged
from webhooks.asgi import HookApp

CASE = own_case("github", "push-branch")
MOST = 100_000
Event = dict[str, Any]


@dataclass
class Told:
    """An answer as the server was given it."""

    status: int
    headers: dict[str, str]
    body: bytes


def app(inbox: FakeBatchInbox, **changed: Any) -> HookApp:
    return HookApp(hooks(), inbox, **{"max_body": MOST, "now": lambda: NOW} | changed)


def whole(body: bytes) -> list[Event]:
    return [{"type": "http.request", "body": body, "more_body": False}]


async def ask(
    hook_app: HookApp,
    path: str = "/webhooks/github",
    *,
    method: str = "POST",
    headers: dict[str, str] | None = None,
    events: list[Event] | None = None,
) -> Told:
    """Ask as a server does, which sends the body in `events`."""
    events = whole(CASE.body) if events is None else events
    given = {"X-Request-Id": "1", **(CASE.headers() if headers is None else headers)}
    scope = {
        "method": method,
        "path": path,
        "client": ("127.0.0.1", 1),
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
    }
    sent: list[Event] = []

    async def receive() -> Event:
        return events.pop(0)

    async def send(event: Event) -> None:
        sent.append(event)

    await hook_app(scope, receive, send)
    start, body = sent
    named = {name.decode(): value.decode() for name, value in start["headers"]}
    return Told(start["status"], named, body["body"])


def answer(inbox: FakeBatchInbox, path: str = "/webhooks/github", **asked: Any) -> Told:
    return asyncio.run(ask(app(inbox), path, **asked))


ASKED: dict[str, tuple[str, dict[str, str], bytes]] = {
    "accepted": ("POST", CASE.headers(), CASE.body),
    "bad signature": ("POST", CASE.headers(), CASE.body + b" "),
    "another method": ("PUT", {}, b""),
    "another type": ("POST", {"Content-Type": "text/plain"}, b"x"),
    "compressed": ("POST", CASE.headers() | {"Content-Encoding": "gzip"}, CASE.body),
    "too large": ("POST", {"Content-Type": "application/json"}, b"x" * (MOST + 1)),
    "no hook's secret": ("POST", {"Content-Type": "application/json"}, b""),
    "no event": ("POST", CASE.headers() | {"X-GitHub-Event": ""}, CASE.body),
}


@pytest.mark.parametrize("path", [f"/webhooks/{end}" for end in ("github", "github/", "gitlab", "sourceforge")])
@pytest.mark.parametrize("name", ASKED)
def test_the_answer_is_that_of_the_flask_app(name: str, path: str) -> None:
    method, headers, body = ASKED[name]
    here, there = FakeBatchInbox(), FakeInbox()
    headers = headers | {"Content-Length": str(len(body)), "User-Agent": "a forge"}

    told = answer(here, path, method=method, headers=headers, events=whole(body))

    client = make_app(there, max_body=MOST).test_client()
    other = client.open(path, method=method, headers={"X-Request-Id": "1"} | headers, data=body)
    assert (told.status, told.body) == (other.status_code, other.data)
    assert told.headers == {name.lower(): value for name, value in other.headers}
    assert (here.accepted, here.refused) == (there.accepted, there.refused)


def test_a_probe_is_told_that_the_process_answers() -> None:
    told = answer(FakeBatchInbox(), "/healthz", method="GET", headers={}, events=[])
    assert (told.status, told.body) == (200, b'{"status": "ok"}')


@pytest.mark.parametrize("path", ["/", "/api/v1/runs", "/webhooks", "/webhooks/", "/webhooks/github/other"])
def test_there_is_nothing_else(path: str) -> None:
    assert answer(inbox := FakeBatchInbox(), path).status == 404
    assert not inbox.refused


def test_a_body_may_come_in_pieces_and_without_a_length() -> None:
    pieces = [CASE.body[at : at + 100] for at in range(0, len(CASE.body), 100)]
    events: list[Event] = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    assert answer(FakeBatchInbox(), events=[*events, *whole(b"")]).status == 202


@pytest.mark.parametrize("announced", [True, False])
def test_no_more_is_read_than_may_come(announced: bool) -> None:
    events: list[Event] = [{"type": "http.request", "body": b"x" * 60_000, "more_body": True} for _ in range(9)]
    length = {"Content-Length": str(MOST + 1)} if announced else {}
    told = answer(FakeBatchInbox(), headers=CASE.headers() | length, events=events)
    assert (told.status, len(events)) == (413, 9 if announced else 7)


def test_a_body_that_is_cut_short_is_malformed() -> None:
    events: list[Event] = [
        {"type": "http.request", "body": CASE.body[:50], "more_body": True},
        {"type": "http.disconnect"},
    ]
    inbox = FakeBatchInbox()
    told = answer(inbox, headers=CASE.headers() | {"Content-Length": str(len(CASE.body))}, events=events)
    assert told.status == 400
    assert [reason for _, reason, _ in inbox.refused] == ["malformed"]


def test_a_header_with_an_underscore_does_not_pass_for_another_one() -> None:
    proof = CASE.headers()["X-Hub-Signature-256"]
    headers = CASE.headers() | {"X-Hub-Signature-256": "", "X_Hub_Signature_256": proof}
    assert answer(FakeBatchInbox(), headers=headers).status == 401


def test_when_it_cannot_be_written_down_the_forge_is_asked_to_come_again() -> None:
    told = answer(FakeBatchInbox(error=Unavailable(Reason.INTERNAL, "db.internal:5432 is down", 30)))
    assert (told.status, told.headers["retry-after"]) == (503, "30")
    assert b"db.internal" not in told.body


def test_a_bad_signature_is_a_401_even_when_it_cannot_be_written_down(logged: Logged) -> None:
    assert answer(FakeBatchInbox(error=Unavailable(Reason.INTERNAL)), events=whole(b"{}")).status == 401
    assert len(logged.of("refused webhook not written down")) == 1


class Slow(FakeBatchInbox):
    """Writes when it is let go on."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()

    def write(self, items: Sequence[FakeItem]) -> None:
        """Wait, then write."""
        self.begun.set()
        assert self.go_on.wait(20)
        super().write(items)


def test_what_arrives_while_something_is_written_is_written_next_and_together() -> None:
    inbox = Slow()

    async def crowd() -> list[Told]:
        hook_app = app(inbox)
        first = asyncio.create_task(ask(hook_app))
        await asyncio.to_thread(inbox.begun.wait, 20)
        others = [asyncio.create_task(ask(hook_app)) for _ in range(5)]
        gone = asyncio.create_task(ask(hook_app))
        await asyncio.sleep(0)  # all of them begin
        assert (await ask(hook_app, "/healthz", method="GET", events=[])).status == 200
        gone.cancel()  # its client went away; it is written down all the same
        inbox.go_on.set()
        return [await one for one in (first, *others)]

    assert [told.status for told in asyncio.run(crowd())] == [202] * 6
    assert inbox.batches == [1, 6]


def test_each_request_is_one_line_with_its_id(logged: Logged) -> None:
    answer(FakeBatchInbox())
    (line,) = logged.of("request answered")
    assert (line["request_id"], line["status"], line["path"]) == ("1", 202, "/webhooks/github")
    (taken,) = logged.of("webhook taken")
    assert (taken["request_id"], taken["forge"]) == ("1", "github")


def test_answers_are_counted_by_forge_and_an_invented_name_makes_no_new_one() -> None:
    seen: list[tuple[str, int]] = []
    counting = app(FakeBatchInbox(), observe=lambda forge, status, _seconds: seen.append((forge, status)))
    asyncio.run(ask(counting))
    asyncio.run(ask(counting, "/webhooks/sourceforge"))
    assert seen == [("github", 202), ("unknown", 404)]
