"""The forge stand-in's server of Git LFS: the Batch API and basic downloads, never more lenient than real forges.

As GitHub, GitLab and Gitea do, it takes the media type of Git LFS only and at most 100 objects at a time, and gives
out an address for each object with a token of its own. Its contents may be kept elsewhere, as in an object store: the
address is signed then, and whoever sends a login there is refused, as S3 does.
"""

import hashlib
import json
import re
import secrets
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

from flask import Flask, Response, request

from orchestrator.sandbox.posts import Arrived, Posts

MEDIA_TYPE = "application/vnd.git-lfs+json"
MARK = ".git/info/lfs/"
"""Part of the path of every request to it."""
MAX_OBJECTS = 100
"""Objects that one request may ask for."""
Login = Callable[[WSGIEnvironment], str | None]
"""Returns who asks; None: the login is wrong or missing."""
_OID = re.compile(r"[0-9a-f]{64}\Z")
_SIGNATURE = "X-Signature"
_CHUNK = 64 * 1024
_Json = dict[str, Any]


class _LfsRefusal(Exception):
    """The server does not take a request."""

    def __init__(self, status: int, words: str) -> None:
        super().__init__(words)
        self.status = status


class ForgeLfs:
    """Answers below ``<repository>.git/info/lfs`` (WSGI), and as the store of the contents at any other path.

    :param root: the folder of the bare repositories; contents lie inside them. :param login: see `Login`.
    :ivar faults: what goes wrong next. :ivar store_url: where another server hands the contents out; "" = this one.
    :ivar redirects: whether it leads to that server only when a content is asked for, as GitLab does.
    """

    def __init__(self, root: Path, login: Login) -> None:
        self.store_url = ""
        self.redirects = False
        self._root = root
        self._login = login
        self._token = secrets.token_hex(16)
        self._posts = Posts()
        self.faults = self._posts.faults
        self._sizes: dict[tuple[str, str], int] = {}
        self._cut: set[str] = set()
        self._held: dict[str, threading.Event] = {}
        self._app = Flask("forge-lfs", static_folder=None)
        self._app.config["PROPAGATE_EXCEPTIONS"] = True  # a cut connection is the server's business, not a 500
        below = f"/<path:repo>{MARK}objects"
        self._app.add_url_rule(f"{below}/batch", "batch", self._batch, methods=["POST"])
        self._app.add_url_rule(f"{below}/<oid>", "download", self._download, methods=["GET"])
        self._app.add_url_rule("/store/<path:repo>/<oid>", "store", self._stored, methods=["GET"])

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        return self._app(environ, start_response)

    @property
    def arrived(self) -> list[Arrived]:
        """Return every request that came, oldest first, those that went wrong included."""
        return self._posts.arrived

    def put(self, repo: str, content: bytes) -> str:
        """Keep a content for a repository (``owner/name``); return the pointer that stands for it in a commit."""
        oid = hashlib.sha256(content).hexdigest()
        self._sizes[repo, oid] = len(content)
        self.spoil(repo, oid, content)
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize {len(content)}\n"

    def spoil(self, repo: str, oid: str, content: bytes) -> None:
        """Hand out another content under an id."""
        path = self._path(repo, oid)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    def forget(self, repo: str, oid: str) -> None:
        """Lose a content."""
        self._path(repo, oid).unlink()

    def cut(self, oid: str) -> None:
        """Break off in the middle of a content the next time."""
        self._cut.add(oid)

    def hold(self, oid: str) -> threading.Event:
        """Send only the first half of a content until the event is set."""
        return self._held.setdefault(oid, threading.Event())

    def _path(self, repo: str, oid: str) -> Path:
        return self._root / f"{repo}.git" / "lfs" / "objects" / oid

    def _batch(self, repo: str) -> Response:
        return self._posts.take(lambda body: self._answer(repo, body))

    def _answer(self, repo: str, body: bytes) -> Response:
        try:
            if self._login(request.environ) is None:
                raise _LfsRefusal(401, "Credentials needed")
            if not (self._root / f"{repo}.git").is_dir():
                raise _LfsRefusal(404, "Not found")
            wanted = _read_question(body)
        except _LfsRefusal as refusal:
            return _say(refusal.status, {"message": str(refusal)})
        objects = [self._object(repo, one) for one in wanted]
        return _say(200, {"transfer": "basic", "objects": objects, "hash_algo": "sha256"})

    def _object(self, repo: str, one: _Json) -> _Json:
        oid, size = one.get("oid"), one.get("size")
        if not isinstance(oid, str) or not _OID.match(oid) or type(size) is not int or size < 0:
            return {"oid": oid, "size": size, "error": {"code": 422, "message": "Validation error"}}
        path = self._path(repo, oid)
        if not path.is_file():
            return {"oid": oid, "size": size, "error": {"code": 404, "message": "Object does not exist"}}
        if size != self._sizes.get((repo, oid), path.stat().st_size):
            return {"oid": oid, "size": size, "error": {"code": 422, "message": f"Object {oid} is not {size} bytes"}}
        return {"oid": oid, "size": size, "authenticated": True, "actions": {"download": self._action(repo, oid)}}

    def _action(self, repo: str, oid: str) -> _Json:
        if self.store_url and not self.redirects:
            return {"href": self._signed(repo, oid), "expires_in": 900}
        href = f"{request.host_url}{repo}{MARK}objects/{oid}"
        return {"href": href, "header": {"Authorization": f"RemoteAuth {self._token}"}, "expires_in": 900}

    def _signed(self, repo: str, oid: str) -> str:
        return f"{self.store_url}/store/{repo}/{oid}?{_SIGNATURE}={self._token}"

    def _download(self, repo: str, oid: str) -> Response:
        return self._posts.take(lambda _: self._content(repo, oid))

    def _content(self, repo: str, oid: str) -> Response:
        if request.headers.get("Authorization") != f"RemoteAuth {self._token}":
            return _say(401, {"message": "Credentials needed"})
        if self.store_url:
            return Response(status=302, headers={"Location": self._signed(repo, oid)})
        return self._hand_out(repo, oid)

    def _stored(self, repo: str, oid: str) -> Response:
        return self._posts.take(lambda _: self._from_store(repo, oid))

    def _from_store(self, repo: str, oid: str) -> Response:
        if "Authorization" in request.headers:
            return Response("Only one auth mechanism allowed", 400)
        if request.args.get(_SIGNATURE) != self._token:
            return Response("SignatureDoesNotMatch", 403)
        return self._hand_out(repo, oid)

    def _hand_out(self, repo: str, oid: str) -> Response:
        path = self._path(repo, oid)
        if not path.is_file():
            return _say(404, {"message": "Not found"})
        content = path.read_bytes()
        headers = {"Content-Length": str(len(content))}
        return Response(self._sent(oid, content), 200, headers, mimetype="application/octet-stream")

    def _sent(self, oid: str, content: bytes) -> Iterator[bytes]:
        half = len(content) // 2
        yield content[:half]
        if oid in self._cut:
            self._cut.discard(oid)
            return  # the server closes the connection then, short of the length that it named
        if oid in self._held:
            self._held[oid].wait(60)
        for at in range(half, len(content), _CHUNK):
            yield content[at : at + _CHUNK]


def _read_question(body: bytes) -> list[_Json]:
    """Read a batch request. :raises _LfsRefusal: it breaks a rule."""
    if MEDIA_TYPE not in request.headers.get("Accept", ""):
        raise _LfsRefusal(406, f"Accept has to be {MEDIA_TYPE}")
    if request.mimetype != MEDIA_TYPE:
        raise _LfsRefusal(415, f"Content-Type has to be {MEDIA_TYPE}")
    try:
        said = json.loads(body)
        wanted = list(said["objects"])
    except (ValueError, TypeError, KeyError):
        raise _LfsRefusal(400, "not a batch request") from None
    if said.get("operation") != "download":
        raise _LfsRefusal(501, "this stand-in takes no uploads")
    if "basic" not in said.get("transfers", ["basic"]):
        raise _LfsRefusal(422, "only the basic transfer is offered")
    if said.get("hash_algo", "sha256") != "sha256":
        raise _LfsRefusal(409, "only sha256 is offered")
    if len(wanted) > MAX_OBJECTS:
        raise _LfsRefusal(413, "too many objects")
    return [one if isinstance(one, dict) else {} for one in wanted]


def _say(status: int, body: _Json) -> Response:
    headers = {"LFS-Authenticate": 'Basic realm="Git LFS"'} if status == 401 else {}
    return Response(json.dumps(body), status, headers, content_type=MEDIA_TYPE)
