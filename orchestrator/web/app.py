"""Puts the web together: API, pages, errors, headers, sessions."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import cache
from http import HTTPStatus
from urllib.parse import quote, urlsplit, urlunsplit

from flask import Flask, Response, abort, request
from werkzeug.http import parse_date

from orchestrator.domain.apps import Settings
from orchestrator.rooted import ROOTS, Rooted
from orchestrator.services.bell import Bell
from orchestrator.services.control import Control
from orchestrator.services.queries import Queries
from orchestrator.services.readiness import Readiness
from orchestrator.store.database import Database
from orchestrator.web import auth, metrics, openapi, pages, problems, words
from orchestrator.web.api import CALLS, V1
from orchestrator.web.calls import Site, mount, to_json
from orchestrator.web.streams import STREAMS, Streams

_SLASHES = re.compile("/{2,}")
_DATES = ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_RANGE")
"""Where a request has a date that is compared with that of a file."""


def utc_now() -> datetime:
    """Return the time with its zone."""
    return datetime.now(UTC)


def create_app(
    *,
    database: Database,
    settings: Settings,
    control: Control,
    bell: Bell,
    now: Callable[[], datetime] = utc_now,
    streams: Streams | None = None,
) -> Flask:
    """Make the app that serves the API and the pages; the caller mounts the webhooks beside them.

    :param now: our clock, with a time zone. :param streams: how many logs are followed at a time.
    """
    app = Flask(__name__)
    guard = auth.Guard(database=database, external_url=settings.external_url)
    site = Site(
        settings=settings,
        queries=Queries(database, settings),
        control=control,
        readiness=Readiness(database, bell),
        guard=guard,
        now=now,
        streams=streams or Streams(),
    )
    _configure(app, settings)
    _put_under(app, settings.root)
    app.extensions[STREAMS] = site.streams
    metrics.install(app, database.counts.answers_of("web"))
    problems.install(app, guard.who)
    app.before_request(_know_no_nul)
    app.before_request(_know_one_slash)
    app.before_request(_leave_odd_dates)
    app.after_request(_lead_from_here)
    app.after_request(auth.secure)
    mount(app, site, CALLS)
    document = cache(lambda: openapi.document(settings.root))
    app.add_url_rule(f"{V1}/openapi.json", "api.openapi", lambda: _document(document))
    pages.install(app, site)
    return app


def _configure(app: Flask, settings: Settings) -> None:
    app.jinja_options = {"finalize": words.shown}
    app.secret_key = settings.session_key.reveal() or auth.session_key(settings.state_dir)
    app.session_interface = auth.Sessions()
    app.config.update(
        SESSION_COOKIE_NAME="pilotage_session",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_SECURE=settings.external_url.startswith("https://"),
        SESSION_REFRESH_EACH_REQUEST=False,
        PERMANENT_SESSION_LIFETIME=timedelta(days=auth.SESSION_DAYS),
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(minutes=5),
    )


def _put_under(app: Flask, root: str) -> None:
    """Serve the app under a path. :param root: the path, as ``/pilotage``; "" = none."""
    app.jinja_env.globals["root"] = root
    if root:
        app.config.update(SESSION_COOKIE_PATH=root)
        app.extensions[ROOTS] = (root,)
        app.wsgi_app = Rooted(app.wsgi_app, (root,))  # type: ignore[method-assign]


def _know_no_nul() -> None:
    """Know nothing whose name has a NUL in it: no text of PostgreSQL holds one, and to look for it is an error."""
    if "\0" in request.path:
        abort(404)


def _know_one_slash() -> Response | None:
    """Lead from an address that begins with two slashes to that with one, for which a proxy may have a rule."""
    if not request.environ.get("PATH_INFO", "").startswith("//"):
        return None
    path = quote(request.script_root + _SLASHES.sub("/", request.path))
    there = urlunsplit(("", "", path, request.query_string.decode("latin-1"), ""))
    return Response(status=HTTPStatus.PERMANENT_REDIRECT, headers={"Location": there})


def _leave_odd_dates() -> None:
    """Take a date that no calendar has for none (RFC 9110, section 13.1.3): whoever reads it later fails over it."""
    for name in _DATES:
        try:
            parse_date(request.environ.get(name))
        except OverflowError:
            request.environ[name] = ""


def _lead_from_here(answer: Response) -> Response:
    """Have the redirect of an address with two slashes name no host and scheme: a proxy may have others than we."""
    if answer.status_code == HTTPStatus.PERMANENT_REDIRECT and answer.location:
        there = urlsplit(answer.location)
        answer.location = urlunsplit(("", "", f"/{there.path.lstrip('/')}", there.query, ""))
        answer.set_data(b"")  # it has the whole address, too
    return answer


def _document(document: Callable[[], dict[str, object]]) -> Response:
    return to_json(document())
