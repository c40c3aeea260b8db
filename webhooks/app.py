"""The endpoint: ``POST /webhooks/<forge>`` and ``/webhooks/<chat>``, alone or mounted in another Flask app.

Hooks of known forges, and clicks, are answered before Flask routes them: routing, the contexts and the signals of
Flask cost as much as verifying and parsing the delivery.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from flask import Blueprint, Flask, request
from werkzeug import Response

from orchestrator import access
from orchestrator.at_once import AT_ONCE, Pending
from orchestrator.domain.apps import Channel, Hook
from orchestrator.domain.clicks import ClickBox
from orchestrator.domain.errors import PilotageError
from orchestrator.domain.inbox import Inbox
from orchestrator.domain.reasons import explain
from orchestrator.rooted import ROOTS, AtOnceApp, RootedAtOnce
from webhooks.chats import CHATS
from webhooks.clicks import ClickHandler
from webhooks.forges import FORGES
from webhooks.handler import Observe, WebhookHandler
from webhooks.problems import TurnedAway, problem

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def create_app(
    hooks: Mapping[str, Hook],
    inbox: Inbox,
    *,
    max_body: int,
    now: Callable[[], datetime],
    observe: Observe | None = None,
    ping: Callable[[], None] | None = None,
    channels: Sequence[Channel] = (),
    clicks: ClickBox | None = None,
    roots: Sequence[str] = (),
) -> Flask:
    """Make an app that serves the webhooks and nothing else.

    :param hooks: the configured hooks by forge. :param inbox: takes what arrives.
    :param max_body: bytes of a body; more is answered with 413. :param now: our clock, with a time zone.
    :param observe: is told of each answer. :param ping: proves that what arrives can be written down, or raises.
    :param channels: destinations of messages; clicks come from those that have buttons. :param clicks: takes them.
    :param roots: the paths under which we are served, as those of `orchestrator.rooted.Rooted`; none: at the top.
    """
    app = Flask(__name__, static_folder=None)
    app.url_map.merge_slashes = False  # else a redirect, to plain http behind a proxy with TLS
    handler = _mount(app, WebhookHandler(hooks, inbox, max_body, now, observe or _nobody))
    asking = [channel for channel in channels if channel.buttons is not None]
    chats = ClickHandler(asking, clicks, now, observe or _nobody) if clicks is not None else None
    front: AtOnceApp = _Front(handler, chats, app.wsgi_app)
    if any(roots):
        app.extensions[ROOTS], front = roots, RootedAtOnce(front, roots)
    app.wsgi_app = app.extensions[AT_ONCE] = front  # type: ignore[method-assign]
    # For probes. It says that the process answers, and nothing about the database, which is no reason to restart it.
    app.add_url_rule("/healthz", "health", lambda: {"status": "ok"})
    app.add_url_rule("/readyz", "ready", lambda: _ready(ping or _nothing))
    return app


def mount(app: Flask, hooks: Mapping[str, Hook], inbox: Inbox, *, max_body: int, now: Callable[[], datetime]) -> None:
    """Add the routes to `app`; the parameters are those of `create_app`."""
    _mount(app, WebhookHandler(hooks, inbox, max_body, now, _nobody))


def _ready(ping: Callable[[], None]) -> Response:
    """Say whether a delivery could be recorded now; if not, a load balancer should send it to another process."""
    request_id = access.begin(request.environ)
    answer = Response(json.dumps({"status": "ready"}), content_type="application/json")
    try:
        ping()
    except PilotageError as error:
        said = explain(error.reason)
        turned = TurnedAway(503, "not_ready", f"{said.text} {said.next_step}")
        answer = problem(turned, request.script_root + request.path, request_id)
    answer.headers["X-Request-Id"] = request_id
    return answer


def _nothing() -> None:
    """Prove nothing."""


def _nobody(_forge: str, _status: int, _seconds: float) -> None:
    """Observe nothing."""


def _mount(app: Flask, handler: WebhookHandler) -> WebhookHandler:
    routes = Blueprint("webhooks", __name__)
    # All methods and both spellings of the path come here: a forge does not follow a redirect with its POST.
    routes.add_url_rule(
        "/webhooks/<forge>",
        view_func=lambda forge: handler.answer(request.environ, forge),
        endpoint="receive",
        methods=_METHODS,
        strict_slashes=False,
        provide_automatic_options=False,
    )
    app.register_blueprint(routes)
    return handler


class _Front:
    """A WSGI application: hooks of known forges, and clicks, go to their handler at once, all else to Flask.

    It is also the handlers' `orchestrator.at_once.AtOnce`.
    """

    def __init__(self, hooks: WebhookHandler, clicks: ClickHandler | None, flask: Callable[..., Any]) -> None:
        rows: list[tuple[str, WebhookHandler | ClickHandler]] = [(name, hooks) for name in FORGES]
        rows += [(name, clicks) for name in CHATS] if clicks is not None else []
        self.paths = {f"/webhooks/{name}{end}": (handler, name) for name, handler in rows for end in ("", "/")}
        self._hooks = hooks
        self._flask = flask

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if environ.get("PATH_INFO", "") not in self.paths:
            return self._flask(environ, start_response)
        handler, name = self.paths[environ["PATH_INFO"]]
        return handler.answer(environ, name)(environ, start_response)

    def begin(self, environ: dict[str, Any]) -> Pending:
        """Judge a request for one of the paths."""
        handler, name = self.paths[environ["PATH_INFO"]]
        return handler.begin(environ, name)

    def flush(self) -> None:
        """Record the requests that were judged so far; clicks are few, and are recorded one by one."""
        self._hooks.flush()
