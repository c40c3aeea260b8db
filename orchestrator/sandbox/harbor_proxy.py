"""The registry's API (``/v2/``) of the stand-in of Harbor: Harbor's rules in front, a real registry behind.

Blobs go through in pieces, in both directions. Tags are Harbor's own: the registry is asked by digest only.
"""

import hashlib
import json
import re
import threading
from collections.abc import Iterable, Iterator
from http.client import HTTPException, HTTPResponse
from urllib.parse import quote

from orchestrator.sandbox.harbor_artifacts import describe, is_image, names_of
from orchestrator.sandbox.harbor_auth import ADMIN, SERVICE, Accounts
from orchestrator.sandbox.harbor_registry import RegistryConnection, RegistryProcess
from orchestrator.sandbox.harbor_rules import READ_ONLY, HarborError, check_csrf
from orchestrator.sandbox.harbor_scanner import Scanner
from orchestrator.sandbox.harbor_store import HarborStore, Project
from orchestrator.sandbox.harbor_wire import HOP_BY_HOP, BrokenRequest, RegistryCall, frame, passed_headers

MAX_MANIFEST = 4 * 1024 * 1024
"""Bytes of a manifest (distribution/distribution allows as many)."""
BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>\n"
"""What the web server in front of Harbor says while Harbor restarts."""
MERGED = 64 * 1024
"""Bytes from which on a piece is sent by itself."""
MAX_CONFIG = 8 * 1024 * 1024
"""Bytes of an image's configuration that are read."""
_WORD = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
_ROUTE = re.compile(
    rf"/v2/(?P<name>{_WORD}(?:/{_WORD})*)/(?:(?P<kind>manifests)/(?P<ref>[^/]+)|(?P<blobs>blobs)/(?P<blob>uploads/[^/]*|[^/]+)"
    r"|(?P<tags>tags)/list|(?P<referrers>referrers)/[^/]+)\Z"
)
_NEEDED = {"GET": "pull", "HEAD": "pull", "POST": "push", "PUT": "push", "PATCH": "push", "DELETE": "delete"}
_NOT_FORWARDED = HOP_BY_HOP | {"authorization", "cookie", "expect", "content-length", "forwarded"}
_VERSION = ("Docker-Distribution-Api-Version", "registry/2.0")
_JSON = ("Content-Type", "application/json; charset=utf-8")
_EMPTY_INDEX = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": []}


class Proxy:
    """Answers the requests of all clients."""

    def __init__(self, store: HarborStore, accounts: Accounts, scanner: Scanner, registry: RegistryProcess) -> None:
        self._store = store
        self._accounts = accounts
        self._scanner = scanner
        self._registry = registry
        self._uploads: dict[str, int] = {}
        self._lock = threading.Lock()

    def open(self) -> "Upstream":
        """Return a connection to the registry, for the requests that come on one client's connection."""
        return Upstream(self._registry)

    def handle(self, call: RegistryCall, upstream: "Upstream") -> None:
        """Answer one request.

        :raises BrokenRequest: the connection to the client cannot be used any more.
        """
        try:
            check_csrf(call.method, call.header("Cookie"), call.header("X-Harbor-CSRF-Token"))
            self._route(call, upstream)
        except HarborError as error:
            headers = [_VERSION]
            if error.code == "UNAUTHORIZED":
                headers.append(("Www-Authenticate", _challenge(call)))
            call.refuse(error, headers)
        except BrokenRequest:
            upstream.close()
            raise
        except (OSError, HTTPException) as error:
            upstream.close()
            if call.answered:
                raise BrokenRequest("the registry broke off") from error
            call.reply(502, [("Content-Type", "text/html")], BAD_GATEWAY)

    def _route(self, call: RegistryCall, upstream: "Upstream") -> None:
        if call.path in ("/v2", "/v2/"):
            self._root(call)
            return
        if call.path == "/v2/_catalog":
            self._catalog(call)
            return
        route = _ROUTE.match(call.path)
        if route is None:
            raise HarborError("NOT_FOUND", f"path {call.path} was not found")
        name = route["name"]
        project = self._authorize(call, name)
        if self._store.read_only and call.method not in ("GET", "HEAD"):
            raise HarborError("DENIED", READ_ONLY)
        if route["kind"]:
            self._manifest(call, upstream, name, project, route["ref"])
        elif route["blobs"]:
            self._blob(call, upstream, project, route["blob"])
        elif route["tags"]:
            self._tags(call, name)
        else:
            call.reply(200, [("Content-Type", str(_EMPTY_INDEX["mediaType"]))], json.dumps(_EMPTY_INDEX).encode())

    def _root(self, call: RegistryCall) -> None:
        authorization = call.header("Authorization")
        if not self._accounts.who(authorization) and self._accounts.claims(authorization) is None:
            raise HarborError("UNAUTHORIZED", "unauthorized: unauthorized")
        call.reply(200, [_JSON, _VERSION], b"{}")

    def _catalog(self, call: RegistryCall) -> None:
        authorization = call.header("Authorization")
        claims = self._accounts.claims(authorization) or {"access": []}
        granted = any("*" in one["actions"] for one in claims["access"])
        if self._accounts.who(authorization) != ADMIN and not granted:
            text = "unauthorized to list catalog"
            raise HarborError("UNAUTHORIZED", f"{text}: {text}")
        with self._store.lock:
            names = [
                f"{project.name}/{place.path}"
                for project in self._store.projects()
                for place in project.repositories.values()
                if place.artifacts
            ]
        self._page(call, "repositories", names, {})

    def _authorize(self, call: RegistryCall, name: str) -> Project:
        """Return the repository's project if the request may do what it wants.

        :raises HarborError: UNAUTHORIZED, also when there is no such project.
        """
        project = self._store.project_of(name)
        authorization = call.header("Authorization")
        self._require(authorization, name, project, _NEEDED.get(call.method, "push"))
        source = call.query.get("from", "") if call.method == "POST" and "mount" in call.query else ""
        if source:
            self._require(authorization, source, self._store.project_of(source), "pull")
        return project

    def _require(self, authorization: str, name: str, project: Project, action: str) -> None:
        allowed = self._accounts.allowed(authorization, name, project) if authorization else frozenset()
        if action not in allowed:
            text = f"unauthorized to access repository: {name}, action: {action}"
            raise HarborError("UNAUTHORIZED", f"{text}: {text}")

    def _manifest(
        self, call: RegistryCall, upstream: "Upstream", name: str, project: Project, reference: str
    ) -> None:
        if call.method == "PUT":
            self._push(call, upstream, name, project, reference)
        elif call.method == "DELETE":
            with self._store.lock:
                artifact = self._store.find(name, reference)
                place = project.repositories[name.partition("/")[2]]
                self._store.delete(project, place, artifact)
            call.reply(202, [_VERSION])
        else:
            self._pull(call, upstream, name, project, reference)

    def _pull(self, call: RegistryCall, upstream: "Upstream", name: str, project: Project, reference: str) -> None:
        with self._store.lock:
            artifact = self._store.find(name, reference)
            scan = artifact.scan
            scanned = scan is not None and scan.status(self._store.clock()) == "Success"
            if is_image(artifact):
                project.policy.check_pull(scanned, scan.result.counts if scan else {})
            if call.method == "GET":
                self._store.pulled(name, artifact, reference)
        call.pass_on(upstream.send(call, f"/v2/{name}/manifests/{artifact.digest}"))

    def _push(self, call: RegistryCall, upstream: "Upstream", name: str, project: Project, reference: str) -> None:
        content = call.body.read(MAX_MANIFEST)
        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        tag = "" if ":" in reference else reference
        if tag:
            self._store.check_push(name, tag)
        with self._store.lock:
            project.policy.check_quota(project.used, 0 if digest in project.blobs else len(content))
        answer = upstream.send(call, f"/v2/{name}/manifests/{quote(reference, safe=':')}", content)
        if answer.status != 201:
            call.pass_on(answer)
            return
        answer.read()  # the connection is needed for the image's configuration
        self._record(upstream, name, project, tag, content, call.header("Content-Type"))
        call.reply(201, [one for one in passed_headers(answer) if one[0].lower() != "content-length"])

    def _record(
        self, upstream: "Upstream", name: str, project: Project, tag: str, content: bytes, content_type: str
    ) -> None:
        """Write down a manifest that the registry has taken; a push to a project with ``auto_scan`` starts a scan."""

        def size_of(child: str) -> int:
            return int(self._store.find(name, child).about["size"])

        digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
        about, blobs = describe(content, content_type, size_of, lambda blob: upstream.read(name, blob, MAX_CONFIG))
        with self._store.lock:
            artifact = self._store.put(name, digest, tag, about, blobs | {digest: len(content)})
            if project.policy.auto_scan and self._scanner.available and artifact.scan is None and is_image(artifact):
                names = names_of(project, project.repositories[name.partition("/")[2]], artifact)
                self._store.start_scan(
                    artifact, self._scanner.begin(names, self._store.clock() + self._scanner.behind)
                )

    def _blob(self, call: RegistryCall, upstream: "Upstream", project: Project, rest: str) -> None:
        upload = rest.removeprefix("uploads/") if rest.startswith("uploads/") else ""
        digest = call.query.get("digest", "")
        if digest and call.method in ("POST", "PUT"):
            size = self._uploads.get(upload, 0) + (call.body.length or 0)
            with self._store.lock:
                project.policy.check_quota(project.used, 0 if digest in project.blobs else size)
        answer = upstream.send(call, call.url, call.body if call.body.declared else None)
        self._account(call, project, upload, answer, upstream.sent)
        call.pass_on(answer)

    def _account(self, call: RegistryCall, project: Project, upload: str, answer: HTTPResponse, sent: int) -> None:
        """Count what was uploaded: piece by piece until the blob is complete, then against the project's quota."""
        digest = call.query.get("digest") or call.query.get("mount", "")
        with self._lock:
            if call.method == "PATCH" and answer.status == 202:
                self._uploads[upload] = self._uploads.get(upload, 0) + sent
            elif call.method == "DELETE" and upload:
                self._uploads.pop(upload, None)
            elif call.method in ("POST", "PUT") and answer.status == 201:
                size = self._uploads.pop(upload, 0) + sent
                self._store.charge(project, digest, size or self._size_elsewhere(digest))

    def _size_elsewhere(self, digest: str) -> int:
        """Return the bytes of a blob that was mounted from another repository; 0 = not known."""
        return next((one.blobs[digest] for one in self._store.projects() if digest in one.blobs), 0)

    def _tags(self, call: RegistryCall, name: str) -> None:
        project, _, path = name.partition("/")
        with self._store.lock:
            found = self._store.project(project)
            place = found.repositories.get(path) if found else None
            if place is None or not place.artifacts:
                raise HarborError("NOT_FOUND", f"repository {name} not found")
            tags = sorted(tag for one in place.artifacts.values() for tag in one.tags)
        self._page(call, "tags", tags, {"name": name})

    def _page(self, call: RegistryCall, key: str, items: list[str], more: dict[str, str]) -> None:
        """Answer with a sorted list, or the part of it that ``n`` and ``last`` ask for (OCI distribution spec)."""
        rest = [one for one in sorted(items) if one > call.query.get("last", "")]
        count = int(call.query["n"]) if call.query.get("n", "").isdigit() else len(rest)
        shown = rest[:count]
        headers = [_JSON, _VERSION]
        if shown and len(rest) > count:
            headers.append(("Link", f'<{call.path}?last={quote(shown[-1])}&n={count}>; rel="next"'))
        call.reply(200, headers, json.dumps(more | {key: shown}).encode())


class Upstream:
    """One kept connection to the registry; used by one thread.

    :ivar sent: bytes of the last request's body.
    """

    def __init__(self, registry: RegistryProcess) -> None:
        self.sent = 0
        self._registry = registry
        self._connection: RegistryConnection | None = None
        self._spoiled = False

    def send(self, call: RegistryCall, path: str, body: Iterable[bytes] | bytes | None = None) -> HTTPResponse:
        """Send a client's request on and return the answer, its body unread.

        :raises OSError, http.client.HTTPException: the registry does not answer.
        :raises BrokenRequest: the client broke off; the registry then sees a request that broke off too.
        """
        headers = [(name, value) for name, value in call.headers.items() if name.lower() not in _NOT_FORWARDED]
        headers = [one for one in headers if not one[0].lower().startswith("x-forwarded-")]
        whole = len(body) if isinstance(body, bytes) else call.body.length if body is not None else 0
        framed = body is not None and whole is None
        if body is not None:
            headers.append(("Transfer-Encoding", "chunked") if framed else ("Content-Length", str(whole)))
        return self._exchange(call.method, path, headers, [body] if isinstance(body, bytes) else body or (), framed)

    def read(self, name: str, digest: str, limit: int) -> bytes:
        """Return a blob's content.

        :raises HarborError: MANIFEST_INVALID, it is not there or longer than `limit` bytes.
        """
        answer = self._exchange("GET", f"/v2/{name}/blobs/{digest}", [("Host", "registry")], (), False)
        content = answer.read(limit + 1)
        if answer.status != 200 or len(content) > limit:
            self.close()
            raise HarborError("MANIFEST_INVALID", "manifest invalid")
        answer.read()
        return content

    def close(self) -> None:
        """Give the connection up; the next request makes a new one."""
        if self._connection:
            self._connection.close()
            self._connection = None

    def _exchange(
        self, method: str, path: str, headers: Iterable[tuple[str, str]], pieces: Iterable[bytes], framed: bool
    ) -> HTTPResponse:
        if self._spoiled:
            self.close()
        self.sent, self._spoiled = 0, False
        self._connection = connection = self._connection or self._registry.connect()
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        connection.endheaders()
        try:
            for piece in _merged(pieces):
                connection.send(frame(piece) if framed else piece)
                self.sent += len(piece)
            if framed:
                connection.send(frame(b""))
        except BrokenRequest:
            raise
        except OSError:  # it has answered without waiting for the rest
            self._spoiled = True
        return connection.getresponse()


def _merged(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """Join small pieces: clients send chunks of a few KiB, and each piece costs two system calls."""
    held = bytearray()
    for piece in pieces:
        held += piece
        if len(held) >= MERGED:
            yield bytes(held)
            held.clear()
    if held:
        yield bytes(held)


def _challenge(call: RegistryCall) -> str:
    """Return how to log in: a client that has sent any authorization is only told ``Basic``."""
    if call.header("Authorization"):
        return 'Basic realm="harbor"'
    scope = ',scope="registry:catalog:*"' if call.path == "/v2/_catalog" else ""
    route = _ROUTE.match(call.path)
    if route:
        needed = _NEEDED.get(call.method, "push")
        actions = "pull,push" if needed == "push" else needed
        scope = f',scope="repository:{route["name"]}:{actions}"'
    return f'Bearer realm="http://{call.header("Host")}/service/token",service="{SERVICE}"{scope}'
