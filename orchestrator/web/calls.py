"""What a call of the API is, and how a request for it is handled: role, input, view, answer."""

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeVar, cast

from flask import Flask, Response, request
from pydantic import BaseModel, ValidationError
from werkzeug.exceptions import RequestEntityTooLarge

from orchestrator.domain.ansi import inert
from orchestrator.domain.apps import Settings
from orchestrator.domain.runs import Run
from orchestrator.services.control import Control
from orchestrator.services.once import ACCEPTED, InFlight, Once, Repeated
from orchestrator.services.queries import Queries
from orchestrator.services.readiness import Readiness
from orchestrator.services.tokens import Principal, Role
from orchestrator.web.auth import Guard
from orchestrator.web.models import ApiModel
from orchestrator.web.problems import Problem, invalid
from orchestrator.web.streams import Streams

MAX_BODY = 64 * 1024
"""Bytes of a request's JSON."""
KEY_HEADER = "Idempotency-Key"
_KEY = re.compile(r'"([ !#-~]{1,200})"|([!#-+\--~][ !#-+\--~]{0,199})')
"""A key in quotes (RFC 9651, section 3.3.3), or without them and then without a comma: of a header that is sent twice
servers make one with a comma between (RFC 9110, section 5.3)."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Everything that views need."""

    settings: Settings
    queries: Queries
    control: Control
    readiness: Readiness
    guard: Guard
    now: Callable[[], datetime]
    in_flight: InFlight = field(default_factory=InFlight)
    streams: Streams = field(default_factory=Streams)

    def base(self) -> str:
        """Return the address in front of our own links: the configured one, or the one that was asked."""
        return (self.settings.external_url or request.url_root).rstrip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request that was admitted: who asks, and what was sent (None where the call takes nothing)."""

    site: Site
    who: Principal | None
    query: Any = None
    body: Any = None

    @property
    def actor(self) -> str:
        """The name to record for what is done."""
        return self.who.name if self.who else ""


View = Callable[..., Response]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One row of the API's table.

    :param rule: Flask's path. :param role: the least role; None: open to everybody.
    :param answer: model of the answer (None: not JSON, see `media`). :param query, body: models of the input (None:
        there is none).
    :param problems: statuses of errors beside those that follow from the other fields.
    """

    method: str
    rule: str
    view: View
    role: Role | None
    summary: str
    tag: str
    answer: type[BaseModel] | None = None
    status: int = 200
    query: type[BaseModel] | None = None
    body: type[BaseModel] | None = None
    media: tuple[str, ...] = ("application/json",)
    problems: tuple[int, ...] = ()

    @property
    def name(self) -> str:
        """The operation's id."""
        return cast(str, getattr(self.view, "__name__", ""))

    @property
    def checks_query(self) -> bool:
        """Whether the query is looked at; probes may ask what is open to everybody with any."""
        return self.query is not None or self.role is not None


def mount(app: Flask, site: Site, calls: tuple[Call, ...]) -> None:
    """Add the calls to `app`."""
    for call in calls:
        app.add_url_rule(call.rule, f"api.{call.name}", _handler(site, call), methods=[call.method])


def _handler(site: Site, call: Call) -> Callable[..., Response]:
    def handle(**arguments: Any) -> Response:
        who = site.guard.require(call.role) if call.role is not None else None
        query = _query(call.query or NoQuery) if call.checks_query else None
        body = _body(call.body) if call.body is not None else None
        return call.view(Asked(site=site, who=who, query=query, body=body), **arguments)

    return handle


class NoQuery(ApiModel):
    """The call takes no parameters: one that is meant for the body, as in ``rollback?to=5``, must not be lost."""


def _query(model: type[M]) -> M:
    given = request.args.to_dict(flat=False)
    twice = [name for name, values in given.items() if len(values) > 1]
    if twice:
        errors = [{"in": "query", "field": name, "message": "is given more than once"} for name in twice]
        raise Problem(422, "invalid", "The query is not what this call takes; see `errors`.", errors=errors)
    try:
        return model.model_validate({name: values[0] for name, values in given.items()})
    except ValidationError as error:
        raise invalid("query", error) from None


def _body(model: type[M]) -> M:
    data = _read() or b"{}"
    try:
        found = model.model_validate_json(data)
    except ValidationError as error:
        if any(one["type"] == "json_invalid" for one in error.errors(include_url=False, include_input=False)):
            raise Problem(400, "malformed", "The body is not JSON.") from None
        raise invalid("body", error) from None
    json.loads(data, object_pairs_hook=_no_key_twice)
    return found


def _no_key_twice(pairs: list[tuple[str, Any]]) -> None:
    """Refuse an object with equal keys, as the webhooks do (RFC 7493, section 2.3): each reader takes another one."""
    names = [name for name, _ in pairs]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise Problem(400, "malformed", f"The body has the field `{twice}` more than once.")


def _read() -> bytes:
    """Read the body, bounded before it is in memory; "" when none was sent."""
    request.max_content_length = MAX_BODY
    try:
        data = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise Problem(413, "too-large", f"The body is larger than {MAX_BODY} bytes.") from None
    charset = request.mimetype_params.get("charset", "utf-8").lower()
    if data and (request.mimetype != "application/json" or charset not in ("utf-8", "utf8")):
        raise Problem(415, "content-type", "Send JSON as `Content-Type: application/json` (UTF-8).")
    return data


def to_json(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON."""
    text = inert(json.dumps(body, ensure_ascii=False, separators=(",", ":")))
    return Response(text, status, headers, content_type="application/json")


def carry_out(
    asked: Asked, do: Callable[[Once], object], word: Callable[[Run | None], Mapping[str, Any]]
) -> Response:
    """Carry out the request once for each ``Idempotency-Key``, and answer 202.

    :param do: does it and settles the `Once` that it gets. :param word: words the answer.
    """
    key = _key(asked)
    once = Once(word, key=key, request=_digest(asked))
    with asked.site.in_flight.hold(key):
        try:
            do(once)
        except Repeated as earlier:
            return _accepted(earlier.answer, earlier.status, {"Idempotent-Replayed": "true"})
    return _accepted(once.answer, ACCEPTED, {})


def _accepted(answer: Mapping[str, Any], status: int, headers: Mapping[str, str]) -> Response:
    place = {"Location": answer["api_url"]} if "api_url" in answer else {}
    return to_json(answer, status, {**place, **headers})


def _key(asked: Asked) -> str:
    """Return the key of this request, apart for each token; "" when none was sent."""
    given = request.headers.get(KEY_HEADER)
    if given is None:
        return ""
    found = _KEY.fullmatch(given)
    if found is None:
        detail = f"Send one {KEY_HEADER}, of 1 to 200 printable ASCII characters and without a comma."
        raise Problem(400, "malformed", detail)
    return f"{asked.who.id if asked.who else 0}:{found[1] or found[2]}"


def _digest(asked: Asked) -> str:
    body = asked.body.model_dump_json(by_alias=True) if asked.body is not None else ""
    return hashlib.sha256(f"{request.method} {request.path} {body}".encode()).hexdigest()
