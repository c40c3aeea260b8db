"""What the Argo CD API answers, and how its errors become ours; a 400 is told apart by gRPC code and message."""

from collections.abc import Mapping
from typing import Any

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.wording import shorten
from workers.clients.http import Response
from workers.clients.http_pause import retry_after
from workers.shapes import read_json

JSON = "application/json"
_MAX_WORDS = 300
"""Characters of an error that Argo CD tells."""
_BUSY = "another operation is already in progress"
_WINDOW = "blocked by sync window"
_DELETING = "application is deleting"
_UNRESOLVED = ("error resolving repo revision", "error getting repo")
"""How a sync is refused when the Git server or the repo-server does not answer; a 400 all the same."""
_FAILED_PRECONDITION = 9
_IN_JSON = (400, 401, 403)
"""Refusals that Argo CD always words in JSON: a page is of a proxy before it, which knows nothing of our account."""


def content_type(answer: Response) -> str:
    """Return the content type without its parameters; "" when there is none."""
    return answer.headers.get("Content-Type", "").split(";", 1)[0].strip().lower()


def _body(answer: Response) -> dict[str, Any]:
    """Return an error's JSON object; {} when it is none."""
    if content_type(answer) != JSON:
        return {}
    try:
        body = read_json(answer.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def said_in(answer: Response) -> str:
    """Return the error's message as one line; it may quote Helm's output over thousands of characters."""
    return shorten(str(_body(answer).get("message", "")), _MAX_WORDS) or f"HTTP {answer.status_code}"


def is_busy(answer: Response) -> bool:
    """Tell whether a sync was refused because another operation is under way."""
    return (
        answer.status_code == 400 and _body(answer).get("code") == _FAILED_PRECONDITION and _BUSY in said_in(answer)
    )


def is_window(answer: Response) -> bool:
    """Tell whether a sync window is why a sync was refused."""
    return _WINDOW in said_in(answer)


def is_foreign(answer: Response) -> bool:
    """Tell whether a refusal is not Argo CD's."""
    return answer.status_code in _IN_JSON and content_type(answer) != JSON


def refusal(answer: Response, name: str) -> Refused | Unavailable:
    """Make our error of any answer that is not 200; the body has been read or is read here."""
    status, said = answer.status_code, said_in(answer)
    answer.close()
    if is_foreign(answer):
        return no_json(f"HTTP {status}")
    if status == 401:
        return Refused(Reason.ARGOCD_UNAUTHORIZED, said)
    if status == 403:
        if _WINDOW in said:
            return Unavailable(Reason.SYNC_WINDOW, said, retry_after(answer.headers))
        return Refused(Reason.ARGOCD_FORBIDDEN, said)
    if status == 404 and name and "not found" in said:
        return Refused(Reason.APPLICATION_MISSING, said)
    if status == 400 and _DELETING in said:
        return Refused(Reason.APPLICATION_DELETING, said)
    if status == 400 and said.startswith(_UNRESOLVED):
        return Unavailable(Reason.COMPARISON_FAILED, said)
    if status < 400 or status == 404 or status >= 500:
        return no_json(f"HTTP {status}" + (" (a redirect)" if 300 <= status < 400 else ""))
    return Refused(Reason.ARGOCD_REFUSED, f"HTTP {status}: {said}")


def no_json(what: str) -> Unavailable:
    """Make our error of an answer that cannot come from the Argo CD API."""
    return Unavailable(
        Reason.ARGOCD_UNAVAILABLE,
        f"{what} where the Argo CD API speaks JSON; check `argocd.url`, its root path and any sign-on proxy",
    )


def json_object(text: bytes) -> dict[str, Any]:
    """Read a JSON object. :raises Unavailable: it is none."""
    try:
        body = read_json(text)
    except ValueError as error:
        raise Unavailable(Reason.ARGOCD_UNAVAILABLE, f"the answer is not valid JSON: {error}"[:200]) from error
    if not isinstance(body, dict):
        raise Unavailable(Reason.ARGOCD_UNAVAILABLE, "the answer is not a JSON object")
    return body


def is_printed(entry: Mapping[str, Any]) -> bool:
    """Tell a line of a log from the end mark and from an error of Kubernetes, which has the time zero of Go."""
    return not entry.get("last") and not str(entry.get("timeStampStr", "")).startswith("0001-01-01T")


def stream_error(error: Mapping[str, Any]) -> Refused | Unavailable:
    """Make our error of what ends a stream."""
    said = shorten(str(error.get("message", "")), _MAX_WORDS)
    if error.get("http_code") == 401:
        return Refused(Reason.ARGOCD_UNAUTHORIZED, said)
    return Unavailable(Reason.ARGOCD_UNAVAILABLE, f"the stream of applications ended: {said}")
