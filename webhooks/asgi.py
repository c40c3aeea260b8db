"""The endpoint as an ASGI application, for a process that does nothing else.

One thread reads, verifies and answers, one writes; with a thread for each request, and 50 of them, nine tenths of
the time went into passing Python's lock around (measured). What arrives while one transaction is being written goes
into the next one.
"""

import asyncio
import io
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import Response
from werkzeug.wrappers import Request

from orchestrator import access, journal
from orchestrator.domain.apps import Hook
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.inbox import BatchInbox, Written
from webhooks.app import PATHS, Observe, counted, nobody
from webhooks.door import Clock, Door, Refusal, not_remembered, not_taken, taken
from webhooks.problems import Turned, problem

MAX_BATCH = 100
"""Deliveries in one transaction."""
_ROOT = "/webhooks/"

Scope = Mapping[str, Any]
Receive = Callable[[], Any]
Send = Callable[[dict[str, Any]], Any]


class HookApp:
    """Answers what `webhooks.app.create_app` answers, and has its parameters."""

    def __init__(
        self,
        hooks: Mapping[str, Hook],
        inbox: BatchInbox,
        *,
        max_body: int,
        now: Clock,
        observe: Observe = nobody,
    ) -> None:
        self._door = Door(hooks=hooks, max_body=max_body, now=now)
        self._inbox = inbox
        self._desk = _Desk(inbox)
        self._max_body = max_body
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        begun = time.monotonic()
        environ = _environ(scope)
        request_id = access.begin(environ)
        answer = await self._route(environ, receive, request_id)
        answer.headers["X-Request-Id"] = request_id
        await _send(answer, environ, send)
        access.end(environ, answer.status_code, round((time.monotonic() - begun) * 1000))

    async def _route(self, environ: dict[str, Any], receive: Receive, request_id: str) -> Response:
        path = environ["PATH_INFO"]
        forge = PATHS.get(path) or path.removeprefix(_ROOT).removesuffix("/")
        if path.startswith(_ROOT) and forge and "/" not in forge:
            begun = time.monotonic()
            answer = await self._answer(environ, receive, forge, request_id)
            self._observe(counted(forge), answer.status_code, time.monotonic() - begun)
            return answer
        if path == "/healthz" and environ["REQUEST_METHOD"] in ("GET", "HEAD"):
            return Response('{"status": "ok"}', content_type="application/json")
        return problem(Turned(404, "not_found", f"There is nothing here; the hooks are {_ROOT}<forge>."), request_id)

    async def _answer(self, environ: dict[str, Any], receive: Receive, forge: str, request_id: str) -> Response:
        asked = Request(environ)
        environ["wsgi.input"] = io.BytesIO(await _body(receive, asked.content_length or 0, self._max_body))
        result = self._door.examine(asked, forge)
        if isinstance(result, Refusal):
            await self._remember(result)
            return problem(result.turned, request_id)
        with journal.about(forge=forge, delivery=result.delivery.key):
            item = self._inbox.judge(result.delivery, result.parsed)
            await self._desk.written(item)
            try:
                return taken(self._inbox.answer(item))
            except Unavailable as error:
                return problem(not_taken(error), request_id)

    async def _remember(self, refusal: Refusal) -> None:
        if refusal.delivery is None:
            return
        item = self._inbox.refusal(refusal.delivery, refusal.reason, refusal.detail)
        await self._desk.written(item)
        if isinstance(item.error, Unavailable):
            not_remembered(item.error)


class _Desk:
    """Has a thread write what has arrived, one transaction after the other."""

    def __init__(self, inbox: BatchInbox) -> None:
        self._inbox = inbox
        self._waiting: list[tuple[Written, asyncio.Future[None]]] = []
        self._writer = ThreadPoolExecutor(1, "writer")
        self._writing: asyncio.Task[None] | None = None

    async def written(self, item: Written) -> None:
        """Return when `item` is written down, or has its ``error``."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self._waiting.append((item, done))
        if self._writing is None:
            self._writing = loop.create_task(self._write(loop))
        await done

    async def _write(self, loop: asyncio.AbstractEventLoop) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:MAX_BATCH], self._waiting[MAX_BATCH:]
            await loop.run_in_executor(self._writer, self._inbox.write, [item for item, _ in batch])
            for _, done in batch:
                if not done.done():  # whoever waited may be gone
                    done.set_result(None)
        self._writing = None


def _environ(scope: Scope) -> dict[str, Any]:
    """Describe a request as PEP 3333 does: by this the endpoint knows it."""
    client = scope.get("client") or ("", 0)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "PATH_INFO": scope["path"],
        "REMOTE_ADDR": client[0],
        "wsgi.url_scheme": "http",
        "wsgi.input_terminated": True,
    }
    for name, value in scope["headers"]:
        key = name.decode("latin-1").upper()
        if "_" in key:  # it would pass for another header
            continue
        key = key.replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        text = value.decode("latin-1")
        environ[key] = f"{environ[key]},{text}" if key in environ else text
    return environ


async def _body(receive: Receive, announced: int, most: int) -> bytes:
    """Read a body, but none that is announced as too large, and no more than `most` bytes and one."""
    parts: list[bytes] = []
    left = most + 1 if announced <= most else 0
    while left > 0:
        event = await receive()
        if event["type"] != "http.request":
            break
        parts.append(event.get("body", b"")[:left])
        left -= len(parts[-1])
        if not event.get("more_body", False):
            break
    return b"".join(parts)


async def _send(answer: Response, environ: dict[str, Any], send: Send) -> None:
    headers = [
        (name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in answer.get_wsgi_headers(environ)
    ]
    await send({"type": "http.response.start", "status": answer.status_code, "headers": headers})
    await send({"type": "http.response.body", "body": answer.get_data()})
