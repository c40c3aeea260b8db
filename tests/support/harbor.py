"""The stand-in of Harbor for tests: clients for it, and images that need no Docker engine."""

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from orchestrator.domain.apps import Registry, Secret
from orchestrator.domain.errors import PilotageError
from orchestrator.sandbox.harbor import SandboxHarbor
from tests.support.needs import require_program
from workers.clients.harbor import Harbor
from workers.clients.registry import RegistryClient

SYSTEM = "robot$pilotage"
ROBOT = "robot$shop+pilotage"
ADMIN = "admin"
SECRETS = {SYSTEM: "System-12345", ROBOT: "Robot-$12345", ADMIN: "Harbor12345"}
REPOSITORY = "shop/team-a/api"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
REPORT = "application/vnd.security.vulnerability.report; version=1.1"
START = 1_787_368_000.123


class Clock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.now = START

    def __call__(self) -> float:
        return self.now


class RunningHarbor:
    """One stand-in and its clients."""

    def __init__(self, sandbox: SandboxHarbor, url: str, clock: Clock) -> None:
        self.sandbox, self.url, self.clock = sandbox, url, clock
        self.host = urlsplit(url).netloc

    def settings(self, user: str = ROBOT, password: str = "") -> Registry:
        return Registry(url=self.url, username=user, password=Secret(password or SECRETS[user]))

    def registry(self, user: str = ROBOT, password: str = "") -> RegistryClient:
        return RegistryClient(self.settings(user, password))

    def api(self, user: str = ROBOT, password: str = "") -> Harbor:
        return Harbor(self.settings(user, password))

    def ask(
        self, method: str, path: str, *, user: str | None = ROBOT, password: str = "", **kwargs: Any
    ) -> requests.Response:
        """Send one request with basic authentication and without cookies; user None = without any."""
        auth = (user, password or SECRETS[user]) if user else None
        return requests.request(method, self.url + path, auth=auth, timeout=10, allow_redirects=False, **kwargs)

    def get(self, path: str, **kwargs: Any) -> Any:
        """GET below /api/v2.0 what must be there."""
        answer = self.ask("GET", f"/api/v2.0{path}", **kwargs)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def artifact(self, tag: str = "v1", reports: str = REPORT, **kwargs: Any) -> dict[str, Any]:
        path = f"{place()}/artifacts/{tag}?with_scan_overview=true&with_immutable_status=true"
        return dict(self.get(path, headers={"X-Accept-Vulnerabilities": reports}, **kwargs))

    def push_blob(self, repository: str, content: bytes, **kwargs: Any) -> requests.Response:
        begun = self.ask("POST", f"/v2/{repository}/blobs/uploads/", **kwargs)
        if begun.status_code != 202:
            return begun
        place = begun.headers["Location"].removeprefix(self.url)
        return self.ask("PUT", f"{place}&digest={digest_of(content)}", data=content, **kwargs)

    def push_manifest(
        self, repository: str, reference: str, content: bytes, kind: str = MANIFEST, **kwargs: Any
    ) -> requests.Response:
        path = f"/v2/{repository}/manifests/{reference}"
        return self.ask("PUT", path, data=content, headers={"Content-Type": kind}, **kwargs)

    def push(
        self, tag: str = "v1", *, repository: str = REPOSITORY, layer: bytes = b"layer", **kwargs: Any
    ) -> requests.Response:
        """Push an image with one layer; by digest when `tag` is empty. Return the first answer that is no success."""
        manifest, config = image(layer)
        for blob in (config, layer):
            answer = self.push_blob(repository, blob, **kwargs)
            if answer.status_code != 201:
                return answer
        return self.push_manifest(repository, tag or digest_of(manifest), manifest, **kwargs)

    def push_index(self, tag: str = "v1") -> str:
        """Push an image by its digest and an index that names it; return the image's digest."""
        self.push("")
        child = digest_of(image()[0])
        entry = {"digest": child, "size": len(image()[0]), "platform": {"os": "linux", "architecture": "amd64"}}
        entry["mediaType"] = MANIFEST
        content = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode()
        assert self.push_manifest(REPOSITORY, tag, content, INDEX).status_code == 201
        return child


def digest_of(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def image(layer: bytes = b"layer", config_type: str = CONFIG) -> tuple[bytes, bytes]:
    """Return the manifest and the configuration of an image with one layer."""
    about = {"architecture": "amd64", "os": "linux", "created": "2026-08-22T03:06:30Z", "author": ""}
    config = json.dumps(about | {"config": {"Labels": {"org.opencontainers.image.revision": "8f3e1e7"}}}).encode()
    parts = {
        "config": {"mediaType": config_type, "digest": digest_of(config), "size": len(config)},
        "layers": [{"mediaType": LAYER, "digest": digest_of(layer), "size": len(layer)}],
    }
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST} | parts).encode(), config


def place(repository: str = "team-a%252Fapi", project: str = "shop") -> str:
    """Return the path of a repository below /api/v2.0."""
    return f"/projects/{project}/repositories/{repository}"


def require_registry() -> None:
    """Go on when the program `docker-registry` is installed."""
    require_program("docker-registry")


@contextmanager
def running(folder: Path) -> Iterator[RunningHarbor]:
    """Run a stand-in with the project ``shop`` and the accounts of `SECRETS`."""
    require_registry()
    clock = Clock()
    harbor = SandboxHarbor(state_dir=folder, robots=SECRETS, projects=["shop"], clock=clock)
    try:
        yield RunningHarbor(harbor, harbor.start(), clock)
    finally:
        harbor.stop()


@pytest.fixture
def harbor(tmp_path: Path) -> Iterator[RunningHarbor]:
    """The stand-in, with an account of each kind."""
    with running(tmp_path) as made:
        yield made


def refusal(call: Callable[..., object], *args: str) -> PilotageError:
    with pytest.raises(PilotageError) as caught:
        call(*args)
    return caught.value
