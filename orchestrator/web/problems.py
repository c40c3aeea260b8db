"""Errors as RFC 9457 problem documents, and the request id that each answer carries."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, g, render_template, request
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import ClientDisconnected, HTTPException, NotFound

from orchestrator import access, journal
from orchestrator.domain.errors import PilotageError, Unavailable
from orchestrator.domain.reasons import explain
from orchestrator.domain.wording import ended, joined, plainly, said, worded
from orchestrator.services.control import NotPossible
from orchestrator.services.once import KeyBusy, KeyReused
from orchestrator.services.tokens import Principal
from orchestrator.web import language, place
from orchestrator.web.patterns import WORDS

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER = 5
"""Seconds after which a client may ask again when a service did not answer."""

TITLES = (
    "Bad Request",
    "Unauthorized",
    "Forbidden",
    "Not Found",
    "Method Not Allowed",
    "Conflict",
    "Content Too Large",
    "Request Entity Too Large",
    "Unsupported Media Type",
    "Unprocessable Content",
    "Unprocessable Entity",
    "Too Many Requests",
    "Internal Server Error",
    "Service Unavailable",
)
"""What error pages are headed; RFC 9110 renamed two, which Python does since 3.13."""

_KINDS = {"missing": (404, "not-found"), "invalid": (422, "invalid"), "conflict": (409, "conflict")}
_BARE = {"extra_forbidden": "is not known here", "missing": "is required"}
"""What pydantic says of a name rather than of its value, in words of people who have never seen pydantic."""
_QUOTED = re.compile(r"'([^']*)'")
_WHO = "pilotage.who"
_MACHINES = ("/api/", "/webhooks/", "/healthz", "/readyz", "/metrics")

_log = journal.get(__name__)


class Problem(Exception):
    """The request is answered with an error.

    :param status: of the answer. :param kind: a stable word, the end of the ``type``.
    :param detail: one sentence: what is wrong and what to do. :param errors: what is wrong in detail, each
        ``{"in": "body", "field": "ref", "message": ...}``. :param headers: more headers of the answer.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: Sequence[Mapping[str, str]] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = list(errors)
        self.headers = dict(headers or {})


def invalid(place: str, error: ValidationError) -> Problem:
    """Make the problem of what pydantic found wrong in `place` (``body`` or ``query``), without the values."""
    found: dict[str, list[ErrorDetails]] = {}
    for one in error.errors(include_url=False, include_input=False):
        found.setdefault(".".join(map(str, one["loc"][:1])), []).append(one)  # what follows names pydantic's types
    errors = [{"in": place, "field": field, "message": _message(wrong)} for field, wrong in found.items()]
    return Problem(422, "invalid", f"The {place} is not what this call takes; see `errors`.", errors=errors)


def _message(wrong: Sequence[ErrorDetails]) -> str:
    """Say what is wrong with one field; a field of several types has an error for each."""
    known = [_QUOTED.findall(str(one.get("ctx", {}).get("expected", ""))) for one in wrong]
    if any(known):
        return f"must be one of {', '.join(f'`{value}`' for values in known for value in values)}"
    pattern = wrong[0].get("ctx", {}).get("pattern", "")
    return _BARE.get(wrong[0]["type"]) or WORDS.get(pattern) or plainly(str(wrong[0]["msg"]))


def install(app: Flask, who: Callable[[], Principal | None]) -> None:
    """Have every error of `app` answered as a problem, and every answer carry ``X-Request-Id``.

    :param who: tells who asks, for the menu on error pages.
    """
    app.extensions[_WHO] = who
    app.before_request(_begin)
    app.after_request(_name)
    app.register_error_handler(Problem, answer)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(NotPossible, _not_possible)
    app.register_error_handler(Unavailable, _unavailable)
    app.register_error_handler(KeyReused, _key_reused)
    app.register_error_handler(KeyBusy, _key_busy)
    app.register_error_handler(Exception, _mistake)


def answer(problem: Problem) -> Response:
    """Answer with a problem: a document for programs, a page for browsers."""
    body: dict[str, Any] = {
        "type": f"{access.PROBLEM}{problem.kind}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": _sentence(problem.detail),
        "instance": place.path(),
        "errors": problem.errors,
        "request_id": request_id(),
    }
    if _is_for_people():
        told = _sentence(str(said(problem.detail, language.said)))
        text = render_template("problem.html", problem=body | {"detail": told}, who=_who())
        return Response(text, problem.status, problem.headers, content_type="text/html; charset=utf-8")
    return Response(json.dumps(body), problem.status, problem.headers, content_type=MEDIA_TYPE)


def _sentence(text: str) -> str:
    """Make a sentence of a text; most are one already."""
    return ended(f"{text[:1].upper()}{text[1:]}")


def _who() -> Principal | None:
    """Return who asks; None also if that cannot be found out, for instance without a database."""
    try:
        who: Principal | None = current_app.extensions[_WHO]()
    except (Problem, PilotageError):
        return None
    return who


def request_id() -> str:
    """Return the id of the request that is being answered."""
    return str(g.get("request_id", ""))


def _begin() -> None:
    g.request_id = access.begin(request.environ)


def _name(response: Response) -> Response:
    response.headers["X-Request-Id"] = request_id()
    return response


def _is_for_people() -> bool:
    if request.path.startswith(_MACHINES):
        return False
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    kind = HTTPStatus(status).phrase.lower().replace(" ", "-")
    headers = {name: value for name, value in error.get_headers() if name.lower() != "content-type"}
    if status < 400:  # a redirect is raised as an exception too
        return Response(status=status, headers=headers)
    detail = error.description or HTTPStatus(status).phrase
    if isinstance(error, NotFound) and request.path.startswith(_MACHINES):
        detail = f"There is no call {place.path()} here."
    elif isinstance(error, ClientDisconnected):  # so it is called also where the body is too slow or not as HTTP says
        detail = worded("The body did not come as a whole; send the request again.")
    elif isinstance(error, NotFound):
        detail = worded("There is no page {path} here.", path=place.path())
    return answer(Problem(status, kind, detail, headers=headers))


def _not_possible(error: NotPossible) -> Response:
    status, kind = _KINDS[error.kind]
    return answer(Problem(status, kind, error.text))


def _unavailable(error: Unavailable) -> Response:
    _log.warning("request not answered", reason=error.reason.value, detail=error.evidence)
    told = explain(error.reason)
    wait = {"Retry-After": str(round(error.retry_after or RETRY_AFTER))}
    text = joined(worded(told.text), worded(told.next_step))
    return answer(Problem(503, error.reason.value.replace("_", "-"), text, headers=wait))


def _key_reused(_: KeyReused) -> Response:
    return answer(Problem(422, "idempotency-key-reused", "This Idempotency-Key was used for another request."))


def _key_busy(_: KeyBusy) -> Response:
    detail = "The first request with this Idempotency-Key is still being carried out; ask again."
    return answer(Problem(409, "idempotency-key-busy", detail, headers={"Retry-After": "1"}))


def _mistake(error: Exception) -> Response:
    _log.error("request failed", path=request.path, method=request.method, exc_info=error)
    text = worded("Pilotage made a mistake; report it with the log lines of request {request}.", request=request_id())
    return answer(Problem(500, "internal", text))
