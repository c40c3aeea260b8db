"""Pilotage's HTTP API as the command line sees it, over real HTTP on loopback, with runs that a test scripts."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from tests.support.loopback import Asked, Loopback, Reply, loopback

STAGES = ("check", "build", "push", "scan", "commit", "sync", "health")
ENDINGS: dict[str, dict[str, Any]] = {
    "succeeded": {"state": "succeeded", "reason": "healthy", "sentence": "The commit is live and healthy."},
    "failed": {
        "state": "failed",
        "reason": "build_failed",
        "sentence": "The image build failed.",
        "detail": "exit code 2",
        "next_step": "Read the end of the build log.",
        "who_acts": "developer",
    },
    "cancelled": {"state": "cancelled", "reason": "cancelled", "sentence": "A person cancelled the run."},
    "superseded": {"state": "cancelled", "reason": "superseded", "superseded_by": 43},
    "running": {"state": "running", "reason": "running"},
}


def stage(name: str, state: str = "queued", **more: Any) -> dict[str, Any]:
    plain: dict[str, Any] = {
        "name": name,
        "state": state,
        "reason": state,
        "detail": "",
        "attempt": 1,
        "reused": False,
    }
    return plain | more


def run(number: int = 42, ending: str = "running", **more: Any) -> dict[str, Any]:
    """Make a run as the API shows it; `ending` is a key of `ENDINGS`."""
    whole: dict[str, Any] = {
        "id": number,
        "app": "plate-web",
        "environment": "stg",
        "trigger": "push",
        "ref": "main",
        "commit": "0123456789abcdef0123456789abcdef01234567",
        "title": "메뉴 화면 고침",
        "author": "김하나",
        "attempt": 1,
        "created_at": "2026-11-24T03:11:00Z",
        "started_at": "2026-11-24T03:11:02Z",
        "seconds": 130.0,
        "url": f"https://pilotage.example.com/runs/{number}",
        "stages": [stage(name) for name in STAGES],
        "receipt": None,
    }
    return whole | ENDINGS[ending] | more


def sse(kind: str, data: Any, number: int | None = None) -> bytes:
    """Write one server-sent event."""
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def log_line(number: int, text: str = "", stage_name: str = "build") -> dict[str, Any]:
    return {"n": number, "stage": stage_name, "at": "2026-11-24T03:11:05Z", "text": text or f"line {number}"}


@dataclass(slots=True)
class FakeApi:
    """The state of the fake: runs by number, log lines, and a script for each stream that is opened.

    :param streams: one per connection, in order; each yields the bytes of the stream, then the connection ends.
    :param answers: fixed replies by ``METHOD /path``, before everything else.
    """

    runs: dict[int, dict[str, Any]] = field(default_factory=dict)
    lines: list[dict[str, Any]] = field(default_factory=list)
    streams: list[Callable[[], Iterator[bytes]]] = field(default_factory=list)
    answers: dict[str, Reply] = field(default_factory=dict)
    token: str = ""
    over: threading.Event = field(default_factory=threading.Event)
    server: Loopback = field(default_factory=lambda: Loopback(""))

    @property
    def url(self) -> str:
        return self.server.url

    def asked(self, method: str, path: str) -> list[Asked]:
        return [asked for asked in self.server.asked if (asked.method, asked.path) == (method, f"/api/v1{path}")]

    def answer(self, asked: Asked) -> Reply:
        path = asked.path.removeprefix("/api/v1")
        if self.token and asked.headers.get("authorization") != f"Bearer {self.token}":
            return problem(401, "no valid token")
        if f"{asked.method} {path}" in self.answers:
            return self.answers[f"{asked.method} {path}"]
        parts = path.strip("/").split("/")
        found = self.runs.get(int(parts[1])) if parts[0] == "runs" and len(parts) > 1 else None
        if found is None:
            return problem(404, f"there is no {path}")
        return self._logs(asked) if parts[-1] == "logs" else Reply(body=found)

    def _logs(self, asked: Asked) -> Reply:
        if asked.headers["accept"] == "application/x-ndjson":
            wanted = [line for line in self.lines if line["n"] > int(asked.query.get("after", ["-1"])[0])]
            wanted = [line for line in wanted if line["stage"] in asked.query.get("stage", [line["stage"]])]
            return Reply(body="".join(json.dumps(line) + "\n" for line in wanted))
        if not self.streams:
            return problem(503, "too many streams")
        return Reply(parts=self.streams.pop(0), headers={"Content-Type": "text/event-stream"})


def problem(status: int, detail: str) -> Reply:
    body = {"type": "about:blank", "title": "problem", "status": status, "detail": detail}
    return Reply(status=status, body=body, headers={"Content-Type": "application/problem+json"})


@contextmanager
def fake_api(**state: Any) -> Iterator[FakeApi]:
    """Serve a fake API while the block runs; streams that wait for ``over`` end with it."""
    api = FakeApi(**state)
    with loopback(api.answer) as server:
        api.server = server
        try:
            yield api
        finally:
            api.over.set()
