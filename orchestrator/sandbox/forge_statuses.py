"""Statuses of commits by the APIs of GitHub, GitLab, Gitea and Forgejo, as strict as these are."""

import json
import re
import threading
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask, Response, request

from orchestrator.sandbox.posts import Arrived, Posts

if TYPE_CHECKING:
    from collections.abc import Mapping

PREFIX = "/api/"
PIPELINE = 7
"""The one pipeline of every commit, as GitLab numbers them."""
Has = Callable[[str, str], bool | None]
"""Tells whether a repository has a commit; None: there is no such repository."""
Body = dict[str, Any]
_REPOS = re.compile(r"/api/(?P<api>v3|v1)/repos/(?P<repo>[^/]+/[^/]+)/statuses/(?P<sha>[0-9a-f]{40})\Z")
_PROJECTS = re.compile(r"/api/(?P<api>v4)/projects/(?P<repo>[^/]+)/statuses/(?P<sha>[0-9a-f]{40})\Z")
_SHOWN = (
    re.compile(r"/api/(?P<api>v3)/repos/(?P<repo>[^/]+/[^/]+)/commits/HEAD/statuses\Z"),
    re.compile(r"/api/(?P<api>v4)/projects/(?P<repo>[^/]+)\Z"),
    re.compile(r"/api/(?P<api>v1)/repos/(?P<repo>[^/]+/[^/]+)\Z"),
)
_STATES: "Mapping[str, Collection[str]]" = {
    "v3": ("error", "failure", "pending", "success"),
    "v4": ("pending", "running", "success", "failed", "canceled", "skipped"),
    "v1": ("pending", "success", "error", "failure", "warning"),
}
"""What a commit can be, by version of the API: GitHub has 3, GitLab 4, Gitea and Forgejo 1."""
_LONGEST = {"v3": 140, "v4": 255, "v1": 65_535}
"""Characters of a description."""
_NO_COMMIT = {"v3": 422, "v4": 404, "v1": 500}
_EVENTS = {"pending": "enqueue", "running": "run"}
"""What GitLab calls the way to a state that does not end a job."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PostedStatus:
    """What a commit was said to be."""

    repo: str
    sha: str
    context: str
    state: str
    description: str
    url: str
    ref: str = ""


class _Refusal(Exception):
    """The forge does not take it."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class ForgeStatuses:
    """Takes statuses of commits (WSGI).

    :param has: see `Has`. :param tokens: those that open it. :ivar faults: what goes wrong next.
    """

    def __init__(self, has: Has, tokens: Iterable[str]) -> None:
        self._has = has
        self._tokens = frozenset(tokens)
        self._posts = Posts()
        self.faults = self._posts.faults
        self._taken: list[PostedStatus] = []
        self._lock = threading.Lock()
        self._app = Flask("forge-statuses", static_folder=None)
        self._app.config["PROPAGATE_EXCEPTIONS"] = True  # a cut connection is the server's business, not a 500
        self._app.add_url_rule(f"{PREFIX}<path:rest>", "post", self._take, methods=["POST"])
        self._app.add_url_rule(f"{PREFIX}<path:rest>", "look", self._look, methods=["GET"])

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request below `PREFIX`."""
        return self._app(environ, start_response)

    @property
    def arrived(self) -> list[Arrived]:
        """Return every request that came, oldest first, those that went wrong included."""
        return self._posts.arrived

    @property
    def taken(self) -> list[PostedStatus]:
        """Return what was taken, oldest first."""
        with self._lock:
            return list(self._taken)

    def of(self, repo: str, sha: str) -> dict[str, PostedStatus]:
        """Return the statuses of a commit by their names; the last one of a name counts."""
        return {one.context: one for one in self.taken if (one.repo, one.sha) == (repo, sha)}

    def _take(self, rest: str) -> Response:
        return self._posts.take(self._answer)

    def _look(self, rest: str) -> Response:
        """Show a repository, or on GitHub the statuses of its head, to a token that opens it."""
        raw = _raw_path()
        found = next((match for pattern in _SHOWN if (match := pattern.match(raw))), None)
        if found is None:
            return _json(404, {"message": "Not Found"})
        if _token(found["api"]) not in self._tokens:
            return _json(401, {"message": "Bad credentials"})
        known = self._has(unquote(found["repo"]), "") is not None
        return _json(200, {}) if known else _json(404, {"message": "Not Found"})

    def _answer(self, body: bytes) -> Response:
        try:
            status = self._judge(body)
        except _Refusal as refusal:
            return _json(refusal.status, {"message": str(refusal)})
        with self._lock:
            self._taken.append(status)
        told = {"state": status.state, "context": status.context, "description": status.description}
        return _json(201, told | {"pipeline_id": PIPELINE})

    def _judge(self, body: bytes) -> PostedStatus:
        raw = _raw_path()
        found = _REPOS.match(raw) or _PROJECTS.match(raw)
        if found is None:
            raise _Refusal(404, "404 Not Found")
        api, repo, sha = found["api"], unquote(found["repo"]), found["sha"]
        if _token(api) not in self._tokens:
            raise _Refusal(401, "Bad credentials" if api == "v3" else "401 Unauthorized")
        has = self._has(repo, sha)
        if has is None:
            raise _Refusal(404, "Not Found")
        if not has:
            raise _Refusal(_NO_COMMIT[api], f"No commit found for SHA: {sha}")
        status = _read(api, repo, sha, body)
        if api == "v4":
            self._move(status)
        return status

    def _move(self, status: PostedStatus) -> None:
        """Refuse a state to which a job cannot come that has not ended; one that has makes place for another."""
        before = self.of(status.repo, status.sha).get(status.context)
        if before is None or before.state not in _EVENTS or status.state not in _EVENTS:
            return
        if before.state in (status.state, "running"):
            words = f"Cannot transition status via :{_EVENTS[status.state]} from :{before.state}"
            raise _Refusal(400, f"{words} (Reason(s): Status cannot transition via {_EVENTS[status.state]!r})")


def _raw_path() -> str:
    """Return the path as it was sent: GitLab tells a slash from an escaped one."""
    return str(request.environ.get("RAW_URI", request.path)).partition("?")[0]


def _token(api: str) -> str:
    """Return the token as the service takes it."""
    kind, _, given = request.headers.get("Authorization", "").partition(" ")
    if api == "v4":
        return request.headers.get("PRIVATE-TOKEN") or (given if kind == "Bearer" else "")
    return given if kind.lower() in ("token", "bearer") else ""


def _read(api: str, repo: str, sha: str, body: bytes) -> PostedStatus:
    """Read what is posted. :raises _Refusal: it breaks a rule of the service."""
    broken = 422 if api != "v4" else 400
    try:
        said: Body = json.loads(body)
    except ValueError:
        raise _Refusal(400, "Problems parsing JSON") from None
    name = said.get("name" if api == "v4" else "context", "default")
    if api == "v4" and said.get("pipeline_id", str(PIPELINE)) != str(PIPELINE):
        raise _Refusal(404, "404 Not Found")
    state, words, url = str(said.get("state")), said.get("description", ""), said.get("target_url", "")
    if state not in _STATES[api]:
        raise _Refusal(broken, "state does not have a valid value")
    if len(words) > _LONGEST[api] or (api == "v4" and max(len(url), len(name)) > 255):
        raise _Refusal(broken, "description is too long")
    if api == "v3" and any(char > "\uffff" for char in words):
        raise _Refusal(broken, "description doesn't accept 4-byte Unicode")
    if url and not url.startswith(("http://", "https://")):
        raise _Refusal(broken, "target_url must use http(s) scheme")
    return PostedStatus(
        repo=repo, sha=sha, context=name, state=state, description=words, url=url, ref=said.get("ref", "")
    )


def _json(status: int, body: Body) -> Response:
    return Response(json.dumps(body), status, mimetype="application/json")
