"""Reads what the REST API of the stand-in of Harbor is asked, and writes its answers: JSON, pages, queries."""

import json
from collections.abc import Sequence
from typing import Any

from flask import Response, request

from orchestrator.sandbox.harbor_rules import HarborError
from orchestrator.sandbox.harbor_store import Json

MAX_PAGE = 100
"""Entries of one page of a list."""


def as_json(content: Any, headers: dict[str, str] | None = None) -> Response:
    """Answer 200 with JSON."""
    return Response(json.dumps(content) + "\n", 200, headers, content_type="application/json")


def read_body() -> Json:
    """Return the JSON object that was sent.

    :raises HarborError: BAD_REQUEST, it is not JSON; UNPROCESSABLE_ENTITY, it is no object.
    """
    try:
        body = json.loads(request.get_data() or b"{}")
    except ValueError as error:
        raise HarborError("BAD_REQUEST", f"parsing body failed: {error}") from error
    if not isinstance(body, dict):
        raise HarborError("UNPROCESSABLE_ENTITY", "validation failure list:\nbody must be of type object")
    return body


def asked_reports() -> str:
    """Return the ``X-Accept-Vulnerabilities`` header; "" = there is none."""
    return request.headers.get("X-Accept-Vulnerabilities", "")


def read_query() -> dict[str, str]:
    """Read ``q=name=x,tags=~main``."""
    pairs = (part.partition("=") for part in request.args.get("q", "").split(",") if "=" in part)
    return {name: value for name, _, value in pairs}


def fits(wanted: str, text: str) -> bool:
    """Tell whether a value of ``q`` fits: ``main`` exactly, ``~main`` as a part."""
    return wanted[1:] in text if wanted.startswith("~") else wanted == text


def _number(name: str, default: int, most: int) -> int:
    text = request.args.get(name, str(default))
    if not text.isdigit() or not 1 <= int(text) <= most:
        raise HarborError(
            "UNPROCESSABLE_ENTITY", f"validation failure list:\n{name} in query should be between 1 and {most}"
        )
    return int(text)


def as_page(items: Sequence[Json]) -> Response:
    """Answer with one page of a list; the links to its neighbours are relative and separated by ' , '.

    :raises HarborError: UNPROCESSABLE_ENTITY, the page or its size is out of bounds.
    """
    page, size = _number("page", 1, 2**31), _number("page_size", 10, MAX_PAGE)
    headers = {"X-Total-Count": str(len(items))}
    near = [("prev", page - 1)] if page > 1 else []
    near += [("next", page + 1)] if page * size < len(items) else []
    if near:
        raw = str(request.environ.get("RAW_URI", request.path)).partition("?")[0]
        headers["Link"] = " , ".join(f'<{raw}?page={number}&page_size={size}>; rel="{name}"' for name, number in near)
    return as_json(list(items[(page - 1) * size : page * size]), headers)
