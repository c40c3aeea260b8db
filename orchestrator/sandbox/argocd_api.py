"""The REST API of the stand-in of Argo CD: routes, error bodies and quirks of the real server.

Errors are ``{"error", "code", "message"}`` with the gRPC code; see the table of quirks in each function's docstring.
"""

import hmac
import json
from collections.abc import Callable, Mapping
from typing import Any

from flask import Flask, Response, request

from orchestrator.domain.refs import repo_key
from orchestrator.sandbox import argocd_fields as fields
from orchestrator.sandbox import argocd_objects as objects
from orchestrator.sandbox.argocd_controller import Controller
from orchestrator.sandbox.argocd_faults import MANUAL, FaultName, Faults
from orchestrator.sandbox.argocd_http import compressed, is_token
from orchestrator.sandbox.argocd_objects import REFRESH, Json, SandboxApplication
from orchestrator.sandbox.argocd_page import application_page
from orchestrator.sandbox.argocd_repo import Clone, GitError
from orchestrator.sandbox.argocd_store import ObjectStore
from orchestrator.sandbox.argocd_streams import stream_applications, stream_tree
from orchestrator.sandbox.argocd_tree import events_of, log_entries, resource_tree

ACCOUNT = "pilotage"
"""The local account whose token the stand-in knows."""
VERSION = "v3.6.0+sandbox"
MAX_BODY = 50 * 1024 * 1024
"""Bytes of a request body (``webhook.maxPayloadSizeMB`` is 50 by default)."""
REFRESH_LIMIT = 300.0
"""Seconds after which a blocking refresh is given up; the real one waits as long as the connection lives."""
_HTTP = {2: 500, 3: 400, 5: 404, 7: 403, 9: 400, 13: 500, 14: 503, 16: 401}
_HOOKS = ("X-Vss-Activityid", "X-Gogs-Event", "X-GitHub-Event", "X-Gitlab-Event", "X-Hook-UUID", "X-Event-Key")
_FAULTS = "/api/v1/sandbox/faults"
_OPEN = ("/api/version", "/api/webhook")
_RIGHTS = {"applications": ("get", "sync"), "logs": ("get",)}


class ApiError(Exception):
    """An answer that is an error: the gRPC code and the message."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class ArgoCDApi:
    """What the routes share: the objects, the controller, the token and the faults."""

    def __init__(
        self,
        store: ObjectStore,
        controller: Controller,
        applications: Mapping[str, SandboxApplication],
        repositories: Mapping[str, Clone],
        faults: Faults,
        token: str,
    ) -> None:
        self.store = store
        self.controller = controller
        self.applications = applications
        self.repositories = repositories
        self.faults = faults
        self.token = token

    def admit(self) -> Response | None:
        """Judge a request before any route: faults, content type, token; None lets it pass."""
        request.get_data(cache=True)
        fault = self.faults.get(FaultName.UNAVAILABLE)
        if fault and request.path != _FAULTS:
            return _unavailable(int(fault.value or 503))
        if not request.path.startswith("/api/") or request.path in _OPEN:
            return None
        if request.method != "GET" and (request.headers.get("Content-Type") or "").lower() != "application/json":
            return Response("Invalid content type\n", 415, content_type="text/plain; charset=utf-8")
        return self._authenticate()

    def get(self, name: str) -> Response:
        """GET an application; any presence of ``refresh`` asks for a comparison and blocks until it is done."""
        self.find(name, *_scope())
        if "refresh" in request.args:
            kind = "hard" if request.args["refresh"] == "hard" else "normal"
            version = self.controller.refresh(name, kind)

            def done(found: Json) -> bool:
                newer = int(found["metadata"]["resourceVersion"]) > version
                return newer and REFRESH not in found["metadata"].get("annotations", {})

            if self.store.wait(name, done, REFRESH_LIMIT) is None:
                raise ApiError(2, "application refresh deadline exceeded")
        return _json(self.find(name, *_scope()))

    def applications_list(self) -> Response:
        """LIST from a cache: may lag, knows some fields only, and holds no health of single resources."""
        lag = self.faults.get(FaultName.LIST_LAG)
        projects = [p for key in ("projects", "project") for p in request.args.getlist(key) if p]
        found = [
            app
            for app in self.store.all(float(lag.value) if lag else 0.0)
            if (not projects or app["spec"]["project"] in projects)
            and request.args.get("name", "") in ("", app["metadata"]["name"])
            and request.args.get("appNamespace", "") in ("", objects.NAMESPACE)
            and not self.hides(app["metadata"]["name"])
        ]
        items = [fields.listed(app, request.args.get("fields", "")) for app in found]
        return _json({"metadata": {"resourceVersion": str(self.store.version)}, "items": items or None})

    def sync(self, name: str) -> Response:
        """POST sync: binds the body only, drops unknown fields, and just queues."""
        body = _body()
        app = self.applications.get(name)
        found = self.find(name, [str(body.get("project") or "")], str(body.get("appNamespace") or ""))
        if app is None:
            raise ApiError(7, "permission denied")
        if not self._can_sync(name):
            raise ApiError(7, "cannot sync: blocked by sync window")
        revision = str(body.get("revision") or "")
        if app.automated and revision not in ("", app.branch) and not body.get("dryRun"):
            raise ApiError(9, f"Cannot sync to {revision}: auto-sync currently set to {app.branch}")
        if "operation" in found:
            raise ApiError(9, "another operation is already in progress")
        try:
            repository = self.repositories[app.repo]
            repository.fetch()
            resolved = repository.resolve(revision or app.branch)
        except GitError as error:
            raise ApiError(9, str(error)) from error
        operation = objects.operation(app, resolved, {"username": ACCOUNT}, body)
        if body.get("dryRun"):
            operation["sync"]["dryRun"] = True
        return _json(self.controller.request(name, operation))

    def sync_windows(self, name: str) -> Response:
        """GET the windows: ``canSync`` is that of manual syncs, and what is empty is left out."""
        self.find(name, *_scope())
        window = self.faults.get(FaultName.SYNC_WINDOW, name)
        manual = {"manualSync": True} if self._can_sync(name) else {}
        windows = [{"kind": "deny", "schedule": "0 0 * * *", "duration": "24h"} | manual] if window else []
        told = {"activeWindows": windows, "assignedWindows": windows} if windows else {}
        return _json(told | {"canSync": self._can_sync(name)})

    def _can_sync(self, name: str) -> bool:
        window = self.faults.get(FaultName.SYNC_WINDOW, name)
        return window is None or window.value == MANUAL

    def terminate(self, name: str) -> Response:
        """DELETE the operation: only one that is blocked is ever seen running here."""
        found = self.find(name, *_scope())
        if "operation" not in found:
            raise ApiError(3, "Unable to terminate operation. No operation is in progress")

        def end(found: Json) -> None:
            found.pop("operation", None)
            state = found["status"].get("operationState")
            if state:
                state |= {"phase": "Failed", "message": "Operation terminated", "finishedAt": objects.timestamp()}

        self.store.update(name, end)
        return _json({})

    def page(self, name: str) -> Response:
        """GET the page of an application, for a browser."""
        found = self.store.get(name)
        return Response(application_page(found, self.controller.deployments[name])) if found else _not_found()

    def tree(self, name: str) -> Response:
        """GET the resource tree: Deployment, ReplicaSets, Pods, Service."""
        found = self.find(name, *_scope())
        judged = self.faults.get(FaultName.UNJUDGED, name) is None
        return _json(resource_tree(found, self.controller.deployments[name], judged=judged))

    def events(self, name: str) -> Response:
        """GET events: of the application, or of the resource that is named."""
        found = self.find(name, *_scope())
        uid, wanted = request.args.get("resourceUID", ""), request.args.get("resourceName", "")
        deployment, own = self.controller.deployments[name], self.controller.events[name]
        items = events_of(found, deployment, list(own), uid, wanted)
        return _json({"metadata": {"resourceVersion": str(self.store.version)}, "items": items})

    def logs(self, name: str, pod: str = "") -> Response:
        """GET the last log lines as newline-delimited JSON; the last entry has ``last``. Needs a right of its own."""
        found = self.find(name, *_scope())
        project = found["spec"]["project"]
        if not self._may("logs", "get", project, name):
            raise ApiError(7, f"permission denied: logs, get, {project}/{name}, sub: {ACCOUNT}")
        wanted = pod or request.args.get("podName", "")
        lines = int(request.args.get("tailLines", "100") or 100)
        container, previous = request.args.get("container", ""), request.args.get("previous") == "true"
        entries = log_entries(self.controller.deployments[name], wanted, container, lines, previous=previous)
        text = "".join(json.dumps({"result": entry}, separators=(",", ":")) + "\n" for entry in entries)
        return Response(text, content_type="application/json")

    def can_i(self, resource: str, action: str, subresource: str) -> Response:
        """GET can-i: our account may get and sync the applications of every declared project, and get their logs."""
        project, _, name = subresource.partition("/")
        return _json({"value": "yes" if self._may(resource, action, project, name) else "no"})

    def _may(self, resource: str, action: str, project: str, name: str) -> bool:
        known = any(app.project == project for app in self.applications.values())
        if not known or action not in _RIGHTS.get(resource, ()) or self.hides(name):
            return False
        return resource != "logs" or not self.faults.get(FaultName.NO_LOGS, name)

    def hides(self, name: str) -> bool:
        """Tell whether our account may not see an application."""
        return self.faults.get(FaultName.FORBIDDEN, name) is not None

    def find(self, name: str, projects: list[str], namespace: str) -> Json:
        """Return an application or raise what the real server says about one that is not to be seen.

        :raises ApiError: without a project 403 for an unknown one; with a project 404, or 403 without the right.
        """
        if len(projects) > 1:
            raise ApiError(3, "multiple projects specified - the get endpoint accepts either zero or one project")
        project = projects[0] if projects else ""
        found = self.store.get(name)
        missing = found is None or namespace not in ("", objects.NAMESPACE)
        if self.hides(name) or (missing and not project):
            raise ApiError(7, "permission denied")
        if project and project not in {app.project for app in self.applications.values()}:
            raise ApiError(7, "permission denied")
        if found is None or missing or (project and found["spec"]["project"] != project):
            raise ApiError(5, f'applications.argoproj.io "{name}" not found')
        return found

    def webhook(self) -> Response:
        """POST from a forge: refresh, without waiting, what reads the pushed repository and branch."""
        if not any(header in request.headers for header in _HOOKS):
            return Response("Unknown webhook event\n", 400, content_type="text/plain; charset=utf-8")
        body = _body()
        ref = str(body.get("ref") or "").removeprefix("refs/heads/")
        keys = {repo_key(url) for url in _urls(body.get("repository")) | _urls(body.get("project"))}
        for app in self.applications.values():
            if repo_key(app.repo) in keys and ref in ("", app.branch):
                self.controller.refresh(app.name, "normal")
        return Response("", 200)

    def set_fault(self) -> Response:
        """POST a fault (the stand-in's own route): ``{"fault", "application", "seconds", "value"}``; null clears."""
        body = _body()
        if not body.get("fault"):
            self.faults.clear()
        elif body["fault"] == "drop_streams":
            self.faults.drop_streams()
        else:
            name, application = str(body["fault"]), str(body.get("application") or "")
            seconds = float(body.get("seconds") or "inf")
            try:
                self.faults.set(name, application, seconds=seconds, value=body.get("value") or 0)
            except ValueError as error:
                raise ApiError(3, str(error)) from error
        return _json({})

    def _authenticate(self) -> Response | None:
        scheme, _, token = (request.headers.get("Authorization") or "").partition(" ")
        if scheme != "Bearer" or not is_token(token):
            token = request.cookies.get("argocd.token", "")
        if not token:
            return _error(16, "no session information")
        if self.faults.get(FaultName.UNAUTHORIZED):
            return _error(16, "invalid session: token has invalid claims: token is expired")
        if not hmac.compare_digest(token.encode(), self.token.encode()):
            return _error(16, f"invalid session: account {ACCOUNT} does not have token with id 4f1c")
        return None


def make_app(api: ArgoCDApi) -> Flask:
    """Return the Flask application with the routes of `api`."""
    app = Flask("argocd", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.before_request(api.admit)
    app.after_request(lambda answer: compressed(request, answer))
    app.register_error_handler(ApiError, lambda error: _error(error.code, str(error)))
    app.register_error_handler(404, lambda _: _not_found())
    one = "/api/v1/applications/<name>"
    account = {"loggedIn": True, "username": ACCOUNT, "iss": "argocd"}
    routes: list[tuple[str, str, Callable[..., Response]]] = [
        ("GET", "/api/version", lambda: _json({"Version": VERSION, "Platform": "linux/amd64"})),
        ("GET", "/api/v1/session/userinfo", lambda: _json(account)),
        ("GET", "/api/v1/account/can-i/<resource>/<action>/<path:subresource>", api.can_i),
        ("GET", "/api/v1/applications", api.applications_list),
        ("GET", one, api.get),
        ("POST", f"{one}/sync", api.sync),
        ("DELETE", f"{one}/operation", api.terminate),
        ("GET", f"{one}/syncwindows", api.sync_windows),
        ("GET", f"{one}/resource-tree", api.tree),
        ("GET", f"{one}/events", api.events),
        ("GET", f"{one}/logs", api.logs),
        ("GET", f"{one}/pods/<pod>/logs", api.logs),
        ("GET", "/api/v1/stream/applications", lambda: stream_applications(api.store, request, api.hides)),
        (
            "GET",
            "/api/v1/stream/applications/<name>/resource-tree",
            lambda name: stream_tree(api.store, api.controller.deployments, api.find(name, *_scope()), request),
        ),
        ("GET", "/applications/<name>", api.page),
        ("GET", f"/applications/{objects.NAMESPACE}/<name>", api.page),
        ("POST", "/api/webhook", api.webhook),
        ("POST", _FAULTS, api.set_fault),
    ]
    for method, path, view in routes:
        app.add_url_rule(path, f"{method} {path}", view, methods=[method])
    return app


def _scope() -> tuple[list[str], str]:
    projects = [p for key in ("project", "projects") for p in request.args.getlist(key) if p]
    return projects, request.args.get("appNamespace", "")


def _body() -> Json:
    try:
        body = json.loads(request.get_data() or b"{}")
    except ValueError as error:
        raise ApiError(3, str(error)) from error
    if not isinstance(body, dict):
        raise ApiError(3, "json: cannot unmarshal into Go value")
    return body


def _urls(repository: object) -> set[str]:
    found = repository.values() if isinstance(repository, dict) else []
    return {url for url in found if isinstance(url, str) and (":" in url and "/" in url)}


def _json(body: Mapping[str, Any], status: int = 200) -> Response:
    return Response(json.dumps(body, separators=(",", ":")), status, content_type="application/json")


def _error(code: int, message: str) -> Response:
    return _json({"error": message, "code": code, "message": message}, _HTTP[code])


def _unavailable(status: int) -> Response:
    if status == 429:
        return Response("Too Many Requests\n", 429, headers={"Retry-After": "1"}, content_type="text/plain")
    message = 'connection error: desc = "transport: Error while dialing: dial tcp 127.0.0.1:8081: connection refused"'
    return _json({"error": message, "code": 14, "message": message}, status)


def _not_found() -> Response:
    """Answer an unknown path: text below /api, else the page of the web interface if a browser asks."""
    if not request.path.startswith("/api/") and "text/html" in (request.headers.get("Accept") or ""):
        return Response("<!DOCTYPE html><title>Argo CD</title>", 200, content_type="text/html; charset=utf-8")
    return Response("Not Found\n", 404, content_type="text/plain; charset=utf-8")
