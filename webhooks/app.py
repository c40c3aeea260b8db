"""The endpoint as a Flask app: ``POST /webhooks/<forge>``, alone or mounted in another one.

Hooks of known forges are answered before Flask routes them, by the same code as behind Flask: routing, the contexts
and the signals of Flask cost as much as verifying and parsing the delivery.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Flask, Response, request
from werkzeug.wrappers import Request

from orchestrator import access, journal
from orchestrator.domain.apps import Hook
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.inbox import Inbox
from webhooks.door import Clock, Door, Refusal, not_remembered, not_taken, taken
from webhooks.forges import FORGES
from webhooks.problems import problem
from webhooks.receive import Accepted

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

Observe = Callable[[str, int, float], None]
"""Is told of each answer: the forge, the status, and the seconds that it took."""

PATHS = {f"/webhooks/{name}{end}": name for name in FORGES for end in ("", "/")}
"""The paths of the forges, and the forge of each: one does not follow a redirect with its POST."""


def nobody(_forge: str, _status: int, _seconds: float) -> None:
    """Is told of answers that nobody counts."""


def counted(forge: str) -> str:
    """Return the name under which an answer is counted: anybody can ask for any name, so there must be few."""
    return forge if forge in FORGES else "unknown"


def create_app(
    hooks: Mapping[str, Hook], inbox: Inbox, *, max_body: int, now: Clock, observe: Observe = nobody
) -> Flask:
    """Make an app that serves the webhooks and nothing else.

    :param hooks: the configured hooks by forge. :param inbox: takes what arrives.
    :param max_body: bytes of a body; more is answered with 413. :param now: our clock, with a time zone.
    :param observe: is told of each answer.
    """
    app = Flask(__name__, static_folder=None)
    hatch = _mount(app, _Hatch(door=Door(hooks=hooks, max_body=max_body, now=now), inbox=inbox, observe=observe))
    app.wsgi_app = _Front(hatch=hatch, flask=app.wsgi_app)  # type: ignore[method-assign]
    # For probes. It says that the process answers, and nothing about the database, which is no reason to restart it.
    app.add_url_rule("/healthz", "health", lambda: {"status": "ok"})
    return app


def mount(app: Flask, hooks: Mapping[str, Hook], inbox: Inbox, *, max_body: int, now: Clock) -> None:
    """Add the routes to `app`; the parameters are those of `create_app`."""
    _mount(app, _Hatch(door=Door(hooks=hooks, max_body=max_body, now=now), inbox=inbox, observe=nobody))


def _mount(app: Flask, hatch: "_Hatch") -> "_Hatch":
    routes = Blueprint("webhooks", __name__)
    # All methods and both spellings of the path come here: a forge does not follow a redirect with its POST.
    routes.add_url_rule(
        "/webhooks/<forge>",
        view_func=lambda forge: hatch.answer(request, forge),
        endpoint="receive",
        methods=_METHODS,
        strict_slashes=False,
        provide_automatic_options=False,
    )
    app.register_blueprint(routes)
    return hatch


@dataclass(frozen=True, slots=True, kw_only=True)
class _Hatch:
    """Answers requests, each in a thread of its own that waits until what arrived is written down."""

    door: Door
    inbox: Inbox
    observe: Observe

    def answer(self, asked: Request, forge: str) -> Response:
        begun = time.monotonic()
        request_id = access.begin(asked.environ)
        answer = self._answer(asked, forge, request_id)
        answer.headers["X-Request-Id"] = request_id
        self.observe(counted(forge), answer.status_code, time.monotonic() - begun)
        return answer

    def _answer(self, asked: Request, forge: str, request_id: str) -> Response:
        result = self.door.examine(asked, forge)
        if isinstance(result, Refusal):
            self._remember(result)
            return problem(result.turned, request_id)
        with journal.about(forge=forge, delivery=result.delivery.key):
            return self._hand_in(result, request_id)

    def _hand_in(self, accepted: Accepted, request_id: str) -> Response:
        try:
            return taken(self.inbox.accept(accepted.delivery, accepted.parsed))
        except Unavailable as error:
            return problem(not_taken(error), request_id)

    def _remember(self, refusal: Refusal) -> None:
        if refusal.delivery is not None:
            try:
                self.inbox.refuse(refusal.delivery, refusal.reason, refusal.detail)
            except Unavailable as error:
                not_remembered(error)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Front:
    """A WSGI application: hooks of known forges are answered at once, all other requests by Flask."""

    hatch: _Hatch
    flask: Callable[..., Any]

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        forge = PATHS.get(environ.get("PATH_INFO", ""))
        if forge is None:
            return self.flask(environ, start_response)
        return self.hatch.answer(Request(environ), forge)(environ, start_response)
