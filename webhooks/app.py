"""The endpoint: ``POST /webhooks/<forge>``, as an app of its own or mounted in another Flask app.

Hooks of known forges are answered before Flask routes them, by the same code as behind Flask: routing, the contexts
and the signals of Flask cost as much as verifying and parsing the delivery.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flask import Blueprint, Flask, Response, request
from werkzeug import Request as PlainRequest

from orchestrator import access, journal
from orchestrator.domain.apps import Hook
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.events import Delivery
from orchestrator.domain.inbox import Answer, Inbox
from webhooks.body import LARGE, Place, Room, check_size, read_body
from webhooks.forges import FORGES, Forge
from webhooks.headers import Headers
from webhooks.payload import FORM
from webhooks.problems import RETRY_AFTER, Turned, problem
from webhooks.receive import Accepted, RefusedDelivery, announced, receive, unproven

_CONTENT_TYPES = ("application/json", FORM)
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

_log = journal.get(__name__)


Observe = Callable[[str, int, float], None]
"""Is told of each answer: the forge, the status, and the seconds that it took."""


def create_app(
    hooks: Mapping[str, Hook],
    inbox: Inbox,
    *,
    max_body: int,
    now: Callable[[], datetime],
    observe: Observe | None = None,
) -> Flask:
    """Make an app that serves the webhooks and nothing else.

    :param hooks: the configured hooks by forge. :param inbox: takes what arrives.
    :param max_body: bytes of a body; more is answered with 413. :param now: our clock, with a time zone.
    :param observe: is told of each answer.
    """
    app = Flask(__name__, static_folder=None)
    door = _mount(app, _door(hooks, inbox, max_body, now, observe or _nobody))
    app.wsgi_app = _Front(door=door, flask=app.wsgi_app)  # type: ignore[method-assign]
    # For probes. It says that the process answers, and nothing about the database, which is no reason to restart it.
    app.add_url_rule("/healthz", "health", lambda: {"status": "ok"})
    return app


def mount(app: Flask, hooks: Mapping[str, Hook], inbox: Inbox, *, max_body: int, now: Callable[[], datetime]) -> None:
    """Add the routes to `app`; the parameters are those of `create_app`."""
    _mount(app, _door(hooks, inbox, max_body, now, _nobody))


def _nobody(_forge: str, _status: int, _seconds: float) -> None:
    """Is told of answers that nobody counts."""


def _door(
    hooks: Mapping[str, Hook], inbox: Inbox, max_body: int, now: Callable[[], datetime], observe: Observe
) -> "_Door":
    room = Room(LARGE * max_body)
    return _Door(hooks=hooks, inbox=inbox, max_body=max_body, now=now, observe=observe, room=room)


def _mount(app: Flask, door: "_Door") -> "_Door":
    routes = Blueprint("webhooks", __name__)
    # All methods and both spellings of the path come here: a forge does not follow a redirect with its POST.
    routes.add_url_rule(
        "/webhooks/<forge>",
        view_func=lambda forge: door.answer(request, forge),
        endpoint="receive",
        methods=_METHODS,
        strict_slashes=False,
        provide_automatic_options=False,
    )
    app.register_blueprint(routes)
    return door


@dataclass(frozen=True, slots=True, kw_only=True)
class _Door:
    """Answers requests, with what it needs for that."""

    hooks: Mapping[str, Hook]
    inbox: Inbox
    max_body: int
    now: Callable[[], datetime]
    observe: Observe
    room: Room

    def answer(self, asked: PlainRequest, forge: str) -> Response:
        """Answer one request."""
        begun = time.monotonic()
        answer = self._answer(asked, forge)
        # Anybody can ask for any name: what is counted by name must be few.
        self.observe(forge if forge in FORGES else "unknown", answer.status_code, time.monotonic() - begun)
        return answer

    def _answer(self, asked: PlainRequest, forge: str) -> Response:
        request_id = access.begin(asked.environ)
        try:
            told = self._take(asked, forge)
        except Turned as turned:
            answer = problem(turned, request_id)
        else:
            answer = Response(json.dumps(told.body), status=told.status, content_type="application/json")
        answer.headers["X-Request-Id"] = request_id
        return answer

    def _take(self, asked: PlainRequest, name: str) -> Answer:
        row = _known(name)
        with self.room.place() as place:
            result = self._judge(row, asked, place)
        if isinstance(result, RefusedDelivery):
            raise self._refuse(row, result)
        with journal.about(forge=name, delivery=result.delivery.key):
            return self._hand_in(result)

    def _judge(self, row: Forge, asked: PlainRequest, place: Place) -> Accepted | RefusedDelivery:
        headers, size, remote = Headers(asked.headers), asked.content_length or 0, asked.remote_addr or ""
        try:
            hook = self._hook(row.name)
            _check_form(asked)
            check_size(asked, self.max_body)
            refused = unproven(row, hook, headers, self.now(), size, remote)
            if refused is not None:
                return refused
            body = read_body(asked, self.max_body, place)
        except Turned as turned:
            if asked.method == "POST":  # what else comes is no delivery
                self._remember(announced(row, headers, size, remote), turned.reason, turned.detail)
            raise
        return receive(row, hook, headers, body, self.now(), remote=remote)

    def _hand_in(self, accepted: Accepted) -> Answer:
        try:
            told = self.inbox.accept(accepted.delivery, accepted.parsed)
        except Unavailable as error:
            _log.error("webhook not written down", reason=error.reason.value, detail=error.evidence)
            raise _try_later(error) from None
        _log.info("webhook taken", delivery_id=told.body.get("delivery"), outcome=_outcome(told), reason=_why(told))
        return told

    def _hook(self, name: str) -> Hook:
        hook = self.hooks.get(name)
        if hook is None:
            raise Turned(404, "forge", f"No hook is configured for {name}; set `webhooks.{name}` and restart.")
        return hook

    def _refuse(self, row: Forge, result: RefusedDelivery) -> Turned:
        self._remember(result.delivery, result.reason, result.detail)
        # RFC 9110 section 15.5.2: a 401 says which proof is wanted.
        wanted = {"WWW-Authenticate": f'Webhook header="{row.proof_header}"'} if result.status == 401 else {}
        return Turned(result.status, result.reason, f"The delivery was refused: {result.detail}.", wanted)

    def _remember(self, delivery: Delivery, reason: str, detail: str) -> None:
        """Log a refusal and write it down; where that is not possible the answer stays the same."""
        log = _log.bind(forge=delivery.hook, delivery=delivery.key)
        log.warning("webhook refused", reason=reason, detail=detail, remote=delivery.remote)
        try:
            self.inbox.refuse(delivery, reason, detail)
        except Unavailable as error:
            log.error("refused webhook not written down", reason=error.reason.value, detail=error.evidence)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Front:
    """A WSGI application: hooks of known forges go to the door at once, all other requests to Flask."""

    door: _Door
    flask: Callable[..., Any]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        forge = _PATHS.get(environ.get("PATH_INFO", ""))
        if forge is None:
            return self.flask(environ, start_response)
        return self.door.answer(PlainRequest(environ), forge)(environ, start_response)


_PATHS = {f"/webhooks/{name}{end}": name for name in FORGES for end in ("", "/")}


def _known(name: str) -> Forge:
    """Find a forge. What is sent to another path than that of a forge leaves no trace: it is nobody's delivery."""
    row = FORGES.get(name)
    if row is None:
        raise Turned(404, "forge", f"There is no such forge; the hooks are /webhooks/{{{','.join(FORGES)}}}.")
    return row


def _check_form(asked: PlainRequest) -> None:
    if asked.method != "POST":
        raise Turned(405, "method", "A webhook is delivered with POST.", {"Allow": "POST"})
    charset = asked.mimetype_params.get("charset", "utf-8").lower()
    if asked.mimetype not in _CONTENT_TYPES or charset not in ("utf-8", "utf8"):
        raise Turned(415, "content_type", "Set the hook's content type to application/json (UTF-8).")
    if asked.headers.get("Content-Encoding", "identity") != "identity":
        raise Turned(415, "content_encoding", "Deliver the body without compression.")


def _outcome(told: Answer) -> str:
    """Name what became of a delivery, for the log."""
    return next((word for word in ("duplicate", "ignored", "pong") if word in told.body), "runs")


def _why(told: Answer) -> str | None:
    """Return the reason for which a delivery was ignored."""
    return told.body.get("ignored")


def _try_later(error: Unavailable) -> Turned:
    wait = str(math.ceil(error.retry_after or RETRY_AFTER))
    detail = "The delivery is genuine but could not be written down; deliver it again."
    return Turned(503, error.reason.value, detail, {"Retry-After": wait})
