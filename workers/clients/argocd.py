"""The Argo CD API as we use it: a few calls, each with a deadline, each foreign error made ours.

What the server really does (and its documentation does not say) was read from argo-cd's source; the rules that
matter here: an unknown application answers 403 unless ``project`` is sent, a ``refresh`` blocks without a limit of
its own, every request that is not a GET needs a Content-Type of exactly ``application/json``, POST binds the body
only, and a 400 is told apart by the gRPC code and the message.
"""

import json
import threading
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from typing import Any, Literal, cast
from urllib.parse import quote

from orchestrator.domain.apps import ArgoCD
from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.argocd_answers import (
    JSON,
    content_type,
    is_busy,
    is_foreign,
    is_printed,
    is_window,
    json_object,
    no_json,
    refusal,
    said_in,
    stream_error,
)
from workers.clients.http import Http, Observe, Response, TooSlow
from workers.shapes import Json, mappings

REFRESH_TIMEOUT = 5.0
"""Seconds to wait for a refresh: a waiting run holds no worker, and the server keeps at it after we have gone."""
STREAM_SILENCE = 45.0
"""Seconds without a byte after which a stream is taken for dead: three of the server's keepalives of 15 s."""
MAX_EVENT = 8 * 1024 * 1024
"""Bytes of one event of a stream: a whole application, which can be over 1 MB."""
MAX_LOG_LINE = 256 * 1024
"""Bytes of one line of a pod's log, in JSON."""
MAX_LOG_FRAMES = 200
"""Lines of a pod's log that are read at all: the server makes several of one that holds carriage returns."""

STREAM_FIELDS = (
    "result.type",
    "result.application.metadata.name",
    "result.application.metadata.namespace",
    "result.application.metadata.resourceVersion",
)
"""A stream is only a wake-up, so names are enough. Nobody reads the type, but the server passes over a frame that
repeats the last one, and only by its type the end of an application differs from its last change."""

Refresh = Literal["", "normal", "hard"]
OnEvent = Callable[[dict[str, Any]], None]


class ArgoClient:
    """One Argo CD API server and one account. ``observe`` is told of each request.

    :raises Refused: from every call: ARGOCD_UNAUTHORIZED (401), ARGOCD_FORBIDDEN or APPLICATION_MISSING (403, 404),
        APPLICATION_DELETING, ARGOCD_REFUSED (any other 4xx).
    :raises Unavailable: from every call: ARGOCD_UNAVAILABLE for what says nothing about the application: 429, 5xx,
        a timeout, a redirect or a page instead of JSON (a sign-on proxy, a wrong root path), whatever its status.
    """

    def __init__(self, config: ArgoCD, observe: Observe | None = None) -> None:
        headers = {"Accept": JSON}
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

    def applications(self, fields: Iterable[str] = ()) -> list[Json]:
        """Read all applications that the account may see, in one request; from a cache that may lag.

        :param fields: ``items.metadata.name`` and so on; the server knows a fixed set (no revision among them) and
            drops other names without a word. Empty: whole objects, on 3.x without the health of single resources.
        """
        named = ",".join(fields)
        answer = self._get("/api/v1/applications", {"fields": named} if named else {}, 60.0)
        return mappings(answer.get("items"))

    def sync(self, name: str, *, project: str = "", app_namespace: str = "") -> bool:
        """Ask for a sync to the head of what the application tracks; return False when one is already under way.

        It is only queued: `get` tells what came of it. The application's own sync options stay in force.

        :raises Unavailable: with SYNC_WINDOW when a sync window of the project blocks it; a later try may pass.
        """
        body = {"name": name, "prune": False} | _where(project, app_namespace)
        answer = self._http.request(
            "POST", f"{_application(name)}/sync", data=json.dumps(body), headers={"Content-Type": JSON}
        )
        if is_busy(answer):
            return False
        self._checked(answer, name, _where(project, app_namespace))
        return True

    def resource_tree(self, name: str, *, project: str = "", app_namespace: str = "") -> dict[str, Any]:
        """Read the live resources below an application: ``{"nodes": [...]}`` with health and "Status Reason"."""
        return self._get(f"{_application(name)}/resource-tree", _where(project, app_namespace), name=name)

    def events(
        self, name: str, *, project: str = "", app_namespace: str = "", resource: Mapping[str, Any] | None = None
    ) -> list[Json]:
        """Read the Kubernetes events of an application, or of one node of its resource tree."""
        params = _where(project, app_namespace)
        if resource:
            keys = {"resourceUID": "uid", "resourceName": "name", "resourceNamespace": "namespace"}
            params |= {param: str(resource[key]) for param, key in keys.items() if resource.get(key)}
        return mappings(self._get(f"{_application(name)}/events", params, name=name).get("items"))

    def logs(
        self,
        name: str,
        pod: str,
        namespace: str,
        *,
        project: str = "",
        app_namespace: str = "",
        container: str = "",
        previous: bool = False,
        lines: int = 20,
    ) -> list[str]:
        """Read the last lines that a pod printed (needs the right ``logs, get``, always checked since 3.0).

        What Kubernetes itself says where it has no log is left out: the server sends that as a line without a time.

        :param container: needed where the pod has several. :param previous: of the container before the present one.
        :raises Unavailable: also when a line is longer than `MAX_LOG_LINE`.
        """
        params = _where(project, app_namespace) | {"podName": pod, "namespace": namespace, "tailLines": str(lines)}
        params |= {"container": container} if container else {}
        params |= {"previous": "true"} if previous else {}
        answer = self._http.request("GET", f"{_application(name)}/logs", params=params, stream=True)
        self._status(answer, name, params)
        frames = islice(self._http.lines(answer, MAX_LOG_LINE), MAX_LOG_FRAMES)
        entries = (json_object(frame).get("result") for frame in frames if frame.strip())
        return [str(one.get("content", "")) for one in entries if isinstance(one, dict) and is_printed(one)][-lines:]

    def sync_windows(self, name: str, *, project: str = "", app_namespace: str = "") -> dict[str, Any]:
        """Read the sync windows that are about an application: those that are open, and all of them."""
        return self._get(f"{_application(name)}/syncwindows", _where(project, app_namespace), name=name)

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

    def can_i(self, action: str, project: str, name: str) -> bool:
        """Tell whether our account may do `action` ("get", "sync") on an application of a project.

        :param name: with its namespace in front, ``team/api``, when that is not Argo CD's own.
        """
        path = f"/api/v1/account/can-i/applications/{action}/{quote(project, safe='')}/{quote(name)}"
        return self._get(path, {}).get("value") == "yes"

    def stream(self, on_event: OnEvent, stop: threading.Event) -> None:
        """Follow all applications and call ``on_event(application)`` for each change, until `stop` is set.

        A wake-up, never a verdict: events get lost without a trace and an application that we may not see is
        silence. `stop` is noticed with the next event or keepalive, within 15 s.

        :raises Unavailable: the stream ended or broke; read the applications again, then call once more.
        """
        answer = self._http.request(
            "GET",
            "/api/v1/stream/applications",
            params={"fields": ",".join(STREAM_FIELDS)},
            headers={"Accept": "text/event-stream", "Accept-Encoding": "identity"},
            read_timeout=STREAM_SILENCE,
            endless=True,
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
        return json_object(answer.content)

    def _status(self, answer: Response, name: str, where: Mapping[str, Any]) -> None:
        """Raise unless the answer is a success that speaks JSON (or events)."""
        if answer.status_code == 403 and name and not is_foreign(answer) and not is_window(answer):
            raise self._forbidden(said_in(answer), name, where)
        if answer.status_code != 200:
            raise refusal(answer, name)
        kind = content_type(answer)
        if kind not in (JSON, "text/event-stream"):
            answer.close()
            raise no_json(f"{self._http.base_url} answered {kind or 'without a content type'}")

    def _forbidden(self, said: str, name: str, where: Mapping[str, Any]) -> Refused | Unavailable:
        """Find out what a 403 means: it stands for "no such application", "not allowed" and Kubernetes errors."""
        project, namespace = str(where.get("project", "")), where.get("appNamespace", "")
        if "permission denied: " in said:  # behind it is the right that we lack, of an application that is there
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


def _deliver(line: bytes, on_event: OnEvent) -> None:
    """Hand on one line of a stream: ``data: {"result": {...}}``, a ``:`` keepalive, or the final error."""
    text = line.removeprefix(b"data:").strip()
    if not text or text.startswith(b":"):
        return
    frame = json_object(text)
    if isinstance(frame.get("error"), dict):
        raise stream_error(frame["error"])
    result = frame.get("result")
    if isinstance(result, dict) and isinstance(result.get("application"), dict):
        on_event(cast("dict[str, Any]", result["application"]))
