"""The Argo CD API as we use it: a few calls, each with a deadline, each foreign error made ours.

What the server really does (and its documentation does not say) was read from argo-cd's source; the rules that
matter here: an unknown application answers 403 unless ``project`` is sent, a ``refresh`` blocks without a limit of
its own, every request that is not a GET needs a Content-Type of exactly ``application/json``, POST binds the body
only, and a 400 is told apart by the gRPC code and the message.
"""

import json
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, cast
from urllib.parse import quote

from orchestrator.domain.apps import ArgoCD
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.http import Http, Observe, Response, TooSlow, retry_after

REFRESH_TIMEOUT = 5.0
"""Seconds to wait for a refresh: a waiting run holds no worker, and the server keeps at it after we have gone."""
STREAM_SILENCE = 45.0
"""Seconds without a byte after which a stream is taken for dead: three of the server's keepalives of 15 s."""
MAX_EVENT = 8 * 1024 * 1024
"""Bytes of one event of a stream: a whole application, which can be over 1 MB."""

STREAM_FIELDS = (
    "result.type",
    "result.application.metadata.name",
    "result.application.metadata.namespace",
    "result.application.metadata.resourceVersion",
)
"""A stream is only a wake-up, so names are enough."""

_BUSY = "another operation is already in progress"
_WINDOW = "blocked by sync window"
_DELETING = "application is deleting"
_FAILED_PRECONDITION = 9
_JSON = "application/json"

Refresh = Literal["", "normal", "hard"]
OnEvent = Callable[[str, dict[str, Any]], None]


class ArgoClient:
    """One Argo CD API server and one account. ``observe`` is told of each request.

    :raises Refused: from every call: ARGOCD_UNAUTHORIZED (401), ARGOCD_FORBIDDEN or APPLICATION_MISSING (403, 404),
        APPLICATION_DELETING, ARGOCD_REFUSED (any other 4xx).
    :raises Unavailable: from every call: ARGOCD_UNAVAILABLE for what says nothing about the application: 429, 5xx,
        a timeout, a redirect or a page instead of JSON (a sign-on proxy, a wrong root path).
    """

    def __init__(self, config: ArgoCD, observe: Observe | None = None) -> None:
        headers = {"Accept": _JSON}
        if config.token:
            headers["Authorization"] = f"Bearer {config.token.reveal()}"
        self._http = Http(
            config.url, Reason.ARGOCD_UNAVAILABLE, headers=headers, ca_file=config.ca_file, observe=observe
        )

    def get(self, name: str, *, project: str = "", app_namespace: str = "", refresh: Refresh = "") -> dict[str, Any]:
        """Read one application, fresh from the Kubernetes API.

        :param refresh: ask for a comparison with Git first and wait for it up to `REFRESH_TIMEOUT`. When that is not
            enough the object is read as it is: it then still carries the annotation ``argocd.argoproj.io/refresh``.
        """
        path, params = _application(name), _where(project, app_namespace)
        if refresh:
            try:
                return self._get(path, params | {"refresh": refresh}, REFRESH_TIMEOUT, name=name)
            except TooSlow:
                pass  # the request stays noted on the object and the controller still does it
        return self._get(path, params, name=name)

    def applications(self, fields: Iterable[str] = (), projects: Iterable[str] = ()) -> list[dict[str, Any]]:
        """Read all applications that the account may see, in one request; from a cache that may lag.

        :param fields: ``items.metadata.name`` and so on; the server knows a fixed set (no revision among them) and
            drops other names without a word. Empty: whole objects, on 3.x without the health of single resources.
        """
        params: dict[str, Any] = {"fields": ",".join(fields), "projects": list(projects)}
        answer = self._get("/api/v1/applications", {k: v for k, v in params.items() if v}, 60.0)
        return _dicts(answer.get("items"))

    def sync(
        self,
        name: str,
        *,
        project: str = "",
        app_namespace: str = "",
        prune: bool = False,
        infos: Mapping[str, str] | None = None,
    ) -> bool:
        """Ask for a sync to the head of what the application tracks; return False when one is already under way.

        It is only queued: `get` tells what came of it. The application's own sync options stay in force.

        :param infos: names and values that Argo CD shows beside the operation, such as the address of the run.
        :raises Unavailable: with SYNC_WINDOW when a sync window of the project blocks it; a later try may pass.
        """
        body: dict[str, Any] = {"name": name, "prune": prune} | _where(project, app_namespace)
        if infos:
            body["infos"] = [{"name": key, "value": value} for key, value in infos.items()]
        answer = self._http.request(
            "POST", f"{_application(name)}/sync", data=json.dumps(body), headers={"Content-Type": _JSON}
        )
        if _is_busy(answer):
            return False
        self._checked(answer, name, _where(project, app_namespace))
        return True

    def resource_tree(self, name: str, *, project: str = "", app_namespace: str = "") -> dict[str, Any]:
        """Read the live resources below an application: ``{"nodes": [...]}`` with health and "Status Reason"."""
        return self._get(f"{_application(name)}/resource-tree", _where(project, app_namespace), name=name)

    def events(
        self, name: str, *, project: str = "", app_namespace: str = "", resource: Mapping[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Read the Kubernetes events of an application, or of one node of its resource tree."""
        params = _where(project, app_namespace)
        if resource:
            keys = {"resourceUID": "uid", "resourceName": "name", "resourceNamespace": "namespace"}
            params |= {param: str(resource[key]) for param, key in keys.items() if resource.get(key)}
        return _dicts(self._get(f"{_application(name)}/events", params, name=name).get("items"))

    def logs(
        self, name: str, pod: str, namespace: str, *, project: str = "", app_namespace: str = "", lines: int = 20
    ) -> list[str]:
        """Read the last lines that a pod printed (needs the right ``logs, get``, always checked since 3.0)."""
        params = _where(project, app_namespace) | {"podName": pod, "namespace": namespace, "tailLines": str(lines)}
        answer = self._http.request("GET", f"{_application(name)}/logs", params=params, stream=True)
        self._status(answer, name, params)
        entries = (_json_object(line).get("result") for line in self._http.lines(answer, MAX_EVENT) if line.strip())
        found = [str(e.get("content", "")) for e in entries if isinstance(e, dict) and not e.get("last")]
        return found[-lines:]

    def version(self) -> str:
        """Return the server's version, such as ``v3.2.1+8c4ab63``; needs no token."""
        return str(self._get("/api/version", {}).get("Version", ""))

    def userinfo(self) -> str:
        """Return the name of the account that our token belongs to.

        :raises Refused: ARGOCD_UNAUTHORIZED, also where anonymous access hides a bad token behind a 200.
        """
        answer = self._get("/api/v1/session/userinfo", {})
        if answer.get("loggedIn") is not True:
            raise Refused(Reason.ARGOCD_UNAUTHORIZED, "the server treats the token as absent (anonymous access)")
        return str(answer.get("username", ""))

    def can_i(self, action: str, project: str, name: str, resource: str = "applications") -> bool:
        """Tell whether our account may do `action` ("get", "sync") on an application of a project.

        :param name: with its namespace in front, ``team/api``, when that is not Argo CD's own.
        """
        path = f"/api/v1/account/can-i/{resource}/{action}/{quote(project, safe='')}/{quote(name)}"
        return self._get(path, {}).get("value") == "yes"

    def stream(
        self,
        on_event: OnEvent,
        stop: threading.Event,
        *,
        fields: Sequence[str] = STREAM_FIELDS,
        projects: Sequence[str] = (),
    ) -> None:
        """Follow all applications and call ``on_event(type, application)`` for each change, until `stop` is set.

        A wake-up, never a verdict: events get lost without a trace and an application that we may not see is
        silence. `stop` is noticed with the next event or keepalive, within 15 s.

        :raises Unavailable: the stream ended or broke; read the applications again, then call once more.
        """
        params = {"fields": ",".join(fields), "projects": list(projects)}
        answer = self._http.request(
            "GET",
            "/api/v1/stream/applications",
            params={key: value for key, value in params.items() if value},
            headers={"Accept": "text/event-stream", "Accept-Encoding": "identity"},
            read_timeout=STREAM_SILENCE,
            stream=True,
        )
        self._status(answer, "", {})
        lines = self._http.lines(answer, MAX_EVENT)
        try:
            for line in lines:
                if stop.is_set():
                    return
                _deliver(line, on_event)
        finally:
            lines.close()
        raise Unavailable(Reason.ARGOCD_UNAVAILABLE, "the stream of applications ended")

    def _get(
        self, path: str, params: Mapping[str, Any], read_timeout: float = 15.0, *, name: str = ""
    ) -> dict[str, Any]:
        answer = self._http.request("GET", path, params=params, read_timeout=read_timeout)
        return self._checked(answer, name, params)

    def _checked(self, answer: Response, name: str, where: Mapping[str, Any]) -> dict[str, Any]:
        self._status(answer, name, where)
        return _json_object(answer.content)

    def _status(self, answer: Response, name: str, where: Mapping[str, Any]) -> None:
        """Raise unless the answer is a success that speaks JSON (or events)."""
        if answer.status_code == 403 and name and not _window(answer):
            raise self._forbidden(_said(answer), name, where)
        if answer.status_code != 200:
            raise _refusal(answer, name)
        kind = _content_type(answer)
        if kind not in (_JSON, "text/event-stream"):
            answer.close()
            raise _no_json(f"{self._http.base_url} answered {kind or 'without a content type'}")

    def _forbidden(self, said: str, name: str, where: Mapping[str, Any]) -> Refused | Unavailable:
        """Find out what a 403 means: it stands for "no such application", "not allowed" and Kubernetes errors."""
        project, namespace = str(where.get("project", "")), where.get("appNamespace", "")
        if "applications, " in said:
            return Refused(Reason.ARGOCD_FORBIDDEN, said)
        if not project:
            return Refused(
                Reason.APPLICATION_MISSING,
                f"{said}: application {name} does not exist or our account may not get it; "
                "Argo CD answers both alike unless `project` is set",
            )
        name = f"{namespace}/{name}" if namespace else name  # as the rules of RBAC have it
        if self.can_i("get", project, name):
            # with the right and the project a missing application is a 404, so this is trouble behind the server
            return Unavailable(Reason.ARGOCD_UNAVAILABLE, f"HTTP 403 for {name} although our account may get it")
        return Refused(
            Reason.ARGOCD_FORBIDDEN,
            f"{said}: our account has no right `applications, get, {project}/{name}` "
            "(whether the application exists is not told)",
        )


def _application(name: str) -> str:
    return f"/api/v1/applications/{quote(name, safe='')}"


def _where(project: str, app_namespace: str) -> dict[str, str]:
    return {key: value for key, value in (("project", project), ("appNamespace", app_namespace)) if value}


def _content_type(answer: Response) -> str:
    return answer.headers.get("Content-Type", "").split(";", 1)[0].strip().lower()


def _body(answer: Response) -> dict[str, Any]:
    """Return an error's JSON object; {} when it is none."""
    if _content_type(answer) != _JSON:
        return {}
    try:
        body = json.loads(answer.content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _said(answer: Response) -> str:
    """Return the error's message as one line; it may quote Helm's output over thousands of characters."""
    return " ".join(str(_body(answer).get("message", "")).split())[:300] or f"HTTP {answer.status_code}"


def _is_busy(answer: Response) -> bool:
    return answer.status_code == 400 and _body(answer).get("code") == _FAILED_PRECONDITION and _BUSY in _said(answer)


def _window(answer: Response) -> bool:
    return _WINDOW in _said(answer)


def _refusal(answer: Response, name: str) -> Refused | Unavailable:
    """Make our error of any answer that is not 200; the body has been read or is read here."""
    status, said = answer.status_code, _said(answer)
    answer.close()
    if status == 401:
        return Refused(Reason.ARGOCD_UNAUTHORIZED, said)
    if status == 403:
        if _WINDOW in said:
            return Unavailable(Reason.SYNC_WINDOW, said, retry_after(answer))
        return Refused(Reason.ARGOCD_FORBIDDEN, said)
    if status == 404 and name and "not found" in said:
        return Refused(Reason.APPLICATION_MISSING, said)
    if status == 400 and _DELETING in said:
        return Refused(Reason.APPLICATION_DELETING, said)
    if status < 400 or status == 404 or status >= 500:
        return _no_json(f"HTTP {status}" + (" (a redirect)" if 300 <= status < 400 else ""))
    return Refused(Reason.ARGOCD_REFUSED, f"HTTP {status}: {said}")


def _no_json(what: str) -> Unavailable:
    return Unavailable(
        Reason.ARGOCD_UNAVAILABLE,
        f"{what} where the Argo CD API speaks JSON; check `argocd.url`, its root path and any sign-on proxy",
    )


def _json_object(text: bytes) -> dict[str, Any]:
    try:
        body = json.loads(text)
    except ValueError as error:
        raise Unavailable(Reason.ARGOCD_UNAVAILABLE, f"the answer is not valid JSON: {error}"[:200]) from error
    if not isinstance(body, dict):
        raise Unavailable(Reason.ARGOCD_UNAVAILABLE, "the answer is not a JSON object")
    return body


def _dicts(items: object) -> list[dict[str, Any]]:
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def _deliver(line: bytes, on_event: OnEvent) -> None:
    """Hand on one line of a stream: ``data: {"result": {...}}``, a ``:`` keepalive, or the final error."""
    text = line.removeprefix(b"data:").strip()
    if not text or text.startswith(b":"):
        return
    frame = _json_object(text)
    if isinstance(frame.get("error"), dict):
        raise _stream_error(frame["error"])
    result = frame.get("result")
    if isinstance(result, dict) and isinstance(result.get("application"), dict):
        on_event(str(result.get("type", "")), cast("dict[str, Any]", result["application"]))


def _stream_error(error: Mapping[str, Any]) -> Refused | Unavailable:
    said = " ".join(str(error.get("message", "")).split())[:300]
    if error.get("http_code") == 401:
        return Refused(Reason.ARGOCD_UNAUTHORIZED, said)
    return Unavailable(Reason.ARGOCD_UNAVAILABLE, f"the stream of applications ended: {said}")
