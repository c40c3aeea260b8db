"""The REST API (``/api/v2.0``) and the token service of the stand-in of Harbor.

Rules from contracts of goharbor/harbor: api/v2.0/swagger.yaml for shapes, src/server for who is told what.
"""

import re
from collections.abc import Callable, Sequence
from urllib.parse import unquote

from flask import Flask, Response, request
from werkzeug.exceptions import HTTPException

from orchestrator.sandbox import harbor_artifacts as shown
from orchestrator.sandbox.harbor_answers import as_json, as_page, asked_reports, fits, read_body, read_query
from orchestrator.sandbox.harbor_auth import ADMIN, SERVICE, Accounts
from orchestrator.sandbox.harbor_rules import JSON_TYPE, READ_ONLY, HarborError, ProjectPolicy, check_csrf
from orchestrator.sandbox.harbor_scanner import Scanner, when
from orchestrator.sandbox.harbor_store import Artifact, HarborStore, ImageRepository, Json, Project
from orchestrator.sandbox.harbor_wire import house_headers

VERSION = "v2.14.0-sandbox"
MAX_BODY = 1024 * 1024
"""Bytes of a request."""
COMPONENTS = ("core", "database", "jobservice", "portal", "redis", "registry", "registryctl", "trivy")
_PROJECT = re.compile(r"[a-z0-9]+(?:[._-][a-z0-9]+)*\Z")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}\Z")
_TRUE = "true"
_ARTIFACTS = "/api/v2.0/projects/<project>/repositories/<repository>/artifacts"
_ARTIFACT = f"{_ARTIFACTS}/<reference>"
_View = Callable[..., Response]


class HarborApi:
    """The views. A ``<repository>`` is URL-encoded once more than the server has undone.

    :param healthy: tells whether the registry behind runs.
    """

    def __init__(self, store: HarborStore, accounts: Accounts, scanner: Scanner, healthy: Callable[[], bool]) -> None:
        self.store = store
        self.accounts = accounts
        self.scanner = scanner
        self.healthy = healthy

    def admit(self) -> None:
        """Judge a request before any view: the session cookie, the maintenance mode."""
        check_csrf(request.method, request.headers.get("Cookie", ""), request.headers.get("X-Harbor-CSRF-Token", ""))
        if self.store.read_only and request.method not in ("GET", "HEAD"):
            raise HarborError("DENIED", READ_ONLY)

    def token(self) -> Response:
        """Issue a token. Wrong credentials with a scope get one too, which allows nothing."""
        service = request.args.get("service", "")
        if service != SERVICE:
            return Response(f"Unable to handle service: {service}", 400, content_type="text/plain; charset=utf-8")
        scopes = [scope for value in request.args.getlist("scope") for scope in value.split()]
        if not self._who and not scopes:
            raise HarborError("UNAUTHORIZED", "unauthorized")
        return as_json(self.accounts.issue(self._who, scopes))

    def health(self) -> Response:
        """Tell which parts run; 200 also when one does not."""
        states = dict.fromkeys(COMPONENTS, "healthy")
        if not self.healthy():
            states["registry"] = "unhealthy"
        parts = [
            {"name": name, "status": state} | ({} if state == "healthy" else {"error": "connection refused"})
            for name, state in states.items()
        ]
        return as_json({"status": states["registry"], "components": parts})

    def systeminfo(self) -> Response:
        """Tell about the system; to somebody without valid credentials only what the login page needs."""
        said: Json = {
            "auth_mode": "db_auth",
            "primary_auth_mode": False,
            "self_registration": False,
            "banner_message": "",
            "oidc_provider_name": "",
        }
        if self._who:
            said |= {
                "harbor_version": VERSION,
                "external_url": f"http://{request.host}",
                "registry_url": request.host,
                "has_ca_root": False,
                "project_creation_restriction": "adminonly",
                "read_only": self.store.read_only,
                "registry_storage_provider_name": "filesystem",
                "notification_enable": True,
                "current_time": when(self.store.clock()),
            }
        return as_json(said)

    def projects(self) -> Response:
        """HEAD: is there such a project; the call that proves credentials. GET: those that the account may see."""
        if request.method == "HEAD":
            self._login()
            name = request.args.get("project_name", "")
            return Response(status=200 if self.store.project(name) else 404)
        name = request.args.get("name", "")
        seen = [one for one in self.store.projects() if name in one.name and self.accounts.rights(self._who, one)]
        return as_page([shown.show_project(one, self.store.clock()) for one in seen])

    def create_project(self) -> Response:
        """POST a project; only the admin and system robots may."""
        self._login()
        if not self.accounts.creates_projects(self._who):
            raise HarborError("FORBIDDEN", "forbidden")
        body = read_body()
        name = str(body.get("project_name", ""))
        if not _PROJECT.match(name) or len(name) > 255:
            raise HarborError("BAD_REQUEST", f"project name {name!r} is not valid")
        metadata = body.get("metadata") or {}
        project = self.store.create_project(name, ProjectPolicy.from_request(metadata, body.get("storage_limit")))
        by_name = request.headers.get("X-Resource-Name-In-Location", "").lower() == _TRUE
        return Response(status=201, headers={"Location": f"/api/v2.0/projects/{name if by_name else project.id}"})

    def project(self, project: str) -> Response:
        """GET a project; robots do not have the permission unless it was granted, so they are told 403."""
        found = self._named(project)
        if self._who != ADMIN and not (found and found.policy.public):
            raise self._refusal()
        if found is None:
            raise HarborError("NOT_FOUND", f"project {project} not found")
        return as_json(shown.show_project(found, self.store.clock()))

    def repositories(self, project: str) -> Response:
        """GET the repositories of a project."""
        found = self._may("repository:list", project)
        places = [one for one in found.repositories.values() if one.artifacts]
        return as_page([shown.show_repository(found, one) for one in places])

    def repository(self, project: str, repository: str) -> Response:
        """GET one repository."""
        found = self._may("repository:read", project)
        return as_json(shown.show_repository(found, self._place(found, repository)))

    def artifacts(self, project: str, repository: str) -> Response:
        """GET the artifacts of a repository, newest first."""
        found = self._may("artifact:list", project)
        place = self._place(found, repository)
        wanted = read_query().get("tags", "")
        known = sorted(place.artifacts.values(), key=lambda one: -one.id)
        chosen = [one for one in known if not wanted or any(fits(wanted, tag) for tag in one.tags)]
        return as_page([self._show(found, place, one) for one in chosen])

    def artifact(self, project: str, repository: str, reference: str) -> Response:
        """GET one artifact by tag or digest."""
        return as_json(self._show(*self._find("artifact:read", project, repository, reference)))

    def delete_artifact(self, project: str, repository: str, reference: str) -> Response:
        """DELETE an artifact with all its tags, also when it is named by one of them."""
        self.store.delete(*self._find("artifact:delete", project, repository, reference))
        return Response(status=200)

    def scan(self, project: str, repository: str, reference: str) -> Response:
        """POST: start a scan."""
        found, place, artifact = self._find("scan:create", project, repository, reference)
        kind = str(artifact.about["manifest_media_type"])
        self.scanner.check(found.id, kind, shown.is_image(artifact))
        names = shown.names_of(found, place, artifact)
        self.store.start_scan(artifact, self.scanner.begin(names, self.store.clock()))
        return Response(status=202)

    def vulnerabilities(self, project: str, repository: str, reference: str) -> Response:
        """GET the full report of the type that ``X-Accept-Vulnerabilities`` chooses."""
        _, _, artifact = self._find("artifact-addition:read", project, repository, reference)
        return as_json(shown.report(artifact, asked_reports(), self.store.clock()))

    def tags(self, project: str, repository: str, reference: str) -> Response:
        """GET the tags of an artifact."""
        found, place, artifact = self._find("tag:list", project, repository, reference)
        kept = request.args.get("with_immutable_status") == _TRUE
        tags = sorted(artifact.tags.values(), key=lambda one: -one.id)
        return as_page([shown.show_tag(found, place, artifact, one, kept) for one in tags])

    def create_tag(self, project: str, repository: str, reference: str) -> Response:
        """POST one more tag for an artifact; an existing one is never moved."""
        _, place, artifact = self._find("tag:create", project, repository, reference)
        name = str(read_body().get("name", ""))
        if not _TAG.match(name):
            raise HarborError("BAD_REQUEST", f"invalid tag name: {name}")
        self.store.add_tag(place, artifact, name)
        return Response(status=201, headers={"Location": f"{request.path}/{name}"})

    def delete_tag(self, project: str, repository: str, reference: str, tag: str) -> Response:
        """DELETE one tag; the artifact stays."""
        self.store.delete(*self._find("tag:delete", project, repository, reference), tag)
        return Response(status=200)

    @property
    def _who(self) -> str:
        return self.accounts.who(request.headers.get("Authorization", ""))

    def _login(self) -> None:
        if not self._who:
            raise HarborError("UNAUTHORIZED", "unauthorized")

    def _refusal(self) -> HarborError:
        return HarborError("FORBIDDEN", "forbidden") if self._who else HarborError("UNAUTHORIZED", "unauthorized")

    def _named(self, name: str) -> Project | None:
        """Find a project by name; a name of digits is an id unless the client says that it is a name."""
        if name.isdigit() and request.headers.get("X-Is-Resource-Name", "").lower() != _TRUE:
            return next((one for one in self.store.projects() if one.id == int(name)), None)
        return self.store.project(name)

    def _may(self, action: str, name: str) -> Project:
        """Return the project if the account may do this in it; only the admin is told that there is none."""
        project = self._named(name)
        if project is not None and action in self.accounts.rights(self._who, project):
            return project
        if project is None and self._who == ADMIN:
            raise HarborError("NOT_FOUND", f"project {name} not found")
        raise self._refusal()

    def _place(self, project: Project, repository: str) -> ImageRepository:
        path = unquote(repository)
        place = project.repositories.get(path)
        if place is None or not place.artifacts:
            raise HarborError("NOT_FOUND", f"repository {project.name}/{path} not found")
        return place

    def _find(
        self, action: str, project: str, repository: str, reference: str
    ) -> tuple[Project, ImageRepository, Artifact]:
        found = self._may(action, project)
        place = self._place(found, repository)
        return found, place, self.store.find(f"{found.name}/{place.path}", reference)

    def _show(self, project: Project, place: ImageRepository, artifact: Artifact) -> Json:
        return shown.show(project, place, artifact, request.args, asked_reports(), self.store.clock())


def make_app(api: HarborApi) -> Flask:
    """Return the WSGI application with all routes."""
    app = Flask("harbor")
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY
    app.before_request(api.admit)
    app.register_error_handler(HarborError, _refuse)
    app.register_error_handler(HTTPException, _no_route)
    app.after_request(_house)
    for path, methods, view in _routes(api):
        app.add_url_rule(path, f"{methods[0]} {path}", _locked(api.store, view), methods=methods)
    return app


def _routes(api: HarborApi) -> Sequence[tuple[str, list[str], _View]]:
    base = "/api/v2.0"
    return (
        ("/service/token", ["GET"], api.token),
        (f"{base}/ping", ["GET"], lambda: Response("Pong", content_type="text/plain; charset=utf-8")),
        (f"{base}/health", ["GET"], api.health),
        (f"{base}/systeminfo", ["GET"], api.systeminfo),
        (f"{base}/projects", ["GET", "HEAD"], api.projects),
        (f"{base}/projects", ["POST"], api.create_project),
        (f"{base}/projects/<project>", ["GET"], api.project),
        (f"{base}/projects/<project>/repositories", ["GET"], api.repositories),
        (f"{base}/projects/<project>/repositories/<repository>", ["GET"], api.repository),
        (_ARTIFACTS, ["GET"], api.artifacts),
        (_ARTIFACT, ["GET"], api.artifact),
        (_ARTIFACT, ["DELETE"], api.delete_artifact),
        (f"{_ARTIFACT}/scan", ["POST"], api.scan),
        (f"{_ARTIFACT}/additions/vulnerabilities", ["GET"], api.vulnerabilities),
        (f"{_ARTIFACT}/tags", ["GET"], api.tags),
        (f"{_ARTIFACT}/tags", ["POST"], api.create_tag),
        (f"{_ARTIFACT}/tags/<tag>", ["DELETE"], api.delete_tag),
    )


def _locked(store: HarborStore, view: _View) -> _View:
    """Run a view while nothing changes under it; the views do no input or output."""

    def run(**names: str) -> Response:
        with store.lock:
            return view(**names)

    return run


def _refuse(error: HarborError) -> Response:
    return Response(error.body, error.status, content_type=JSON_TYPE)


def _no_route(error: HTTPException) -> Response:
    codes = {404: "NOT_FOUND", 405: "METHOD_NOT_ALLOWED", 413: "REQUEST_ENTITY_TOO_LARGE", 400: "BAD_REQUEST"}
    code = codes.get(error.code or 500, "UNKNOWN")
    messages = {
        "NOT_FOUND": f"path {request.path} was not found",
        "METHOD_NOT_ALLOWED": f"method {request.method} is not allowed",
        "UNKNOWN": "internal server error",
    }
    return _refuse(HarborError(code, messages.get(code, str(error.description))))


def _house(answer: Response) -> Response:
    for name, value in house_headers(request.headers.get("Cookie", "")):
        answer.headers.add(name, value)
    return answer
