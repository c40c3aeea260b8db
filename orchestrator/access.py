"""HTTP requests in the log and in errors: each has an id that all its lines carry, and each ends as one line."""

import re
import uuid
from typing import Any

from orchestrator import journal

QUIET = frozenset({"/healthz", "/readyz", "/metrics"})
"""What machines ask for every few seconds; it is said at ``debug`` only, as are the pages' own files."""
PROBLEM = "urn:pilotage:problem:"
"""Beginning of the ``type`` of every problem document; a stable word follows."""
_QUIET_FOLDER = "/static/"
_KEY = "pilotage.request_id"
_FORM = re.compile(r"[A-Za-z0-9._-]{1,64}\Z")

_log = journal.get(__name__)


def begin(environ: dict[str, Any]) -> str:
    """Give a request its id and have the lines of this thread carry it from now on; return it.

    A client's own ``X-Request-Id`` is kept if it has up to 64 letters, digits, dots, dashes and underscores.
    """
    given = environ.get("HTTP_X_REQUEST_ID", "")
    environ[_KEY] = request_id = given if _FORM.match(given) else uuid.uuid4().hex
    journal.bind_only(request_id=request_id)  # the thread has answered other requests before
    return request_id


def asks(actor: str) -> None:
    """Have the lines of this request carry who asks."""
    journal.bind(actor=actor)


def end(environ: dict[str, Any], status: int, duration_ms: int) -> None:
    """Write the request's line. The query is left out: people put secrets there."""
    log = _log.bind(
        request_id=environ.get(_KEY) or journal.bound("request_id"),  # the server's own answer to a bug has no key
        method=environ.get("REQUEST_METHOD", ""),
        path=environ.get("PATH_INFO", ""),
        status=status,
        remote=environ.get("REMOTE_ADDR", ""),
        duration_ms=duration_ms,
    )
    if environ.get("PATH_INFO") in QUIET or environ.get("PATH_INFO", "").startswith(_QUIET_FOLDER):
        log.debug("request answered")
    elif status >= 500:
        log.warning("request answered")
    else:
        log.info("request answered")
