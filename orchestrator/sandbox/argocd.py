"""A stand-in of Argo CD for a laptop without a cluster: its REST API over a real GitOps repo and real containers.

It compares chart folders in Git with what runs, syncs by itself, starts the image that the values name as a container
on the Docker engine, and calls an application healthy only when that container really is. What it is not: it executes
no Helm templates and knows no Kubernetes objects but one Deployment with its pods and one Service.
"""

import hashlib
import secrets
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server

from orchestrator.domain.apps import GitAccess, Registry
from orchestrator.domain.refs import repo_key
from orchestrator.sandbox import argocd_objects as objects
from orchestrator.sandbox.argocd_api import ArgoCDApi, make_app
from orchestrator.sandbox.argocd_controller import Controller
from orchestrator.sandbox.argocd_engine import DockerContainers, EngineError
from orchestrator.sandbox.argocd_faults import FaultName, Faults
from orchestrator.sandbox.argocd_objects import SandboxApplication
from orchestrator.sandbox.argocd_repo import Clone
from orchestrator.sandbox.argocd_rollout import SandboxDeployment
from orchestrator.sandbox.argocd_store import ObjectStore

__all__ = ["EngineError", "FaultName", "SandboxApplication", "SandboxArgoCD", "new_token", "serve"]

PROGRESS_DEADLINE = 30.0
"""Seconds until a rollout is called Degraded (``progressDeadlineSeconds`` of Kubernetes is 600)."""


def new_token() -> str:
    """Return a token that looks like the real ones: Argo CD ignores a bearer value that is not shaped like a JWT."""
    return f"{secrets.token_urlsafe(16)}.{secrets.token_urlsafe(24)}.{secrets.token_urlsafe(24)}"


class SandboxArgoCD:
    """One stand-in with its applications.

    :param state_dir: folder for the clones and the instance id, by which left-over containers are found again.
    :param docker_host: address of the Docker engine; "" takes it from the environment.
    :param token: what the account ``pilotage`` proves itself with; see `new_token`.
    :param git_credentials: how to reach the GitOps repository; the credentials are used for addresses of its host.
    :param registry_auth: the registry that images are pulled from (the cluster's image pull secret).
    :param runtime: ``docker``: real containers; ``none``: pods are ready at once.
    :param ask_inside: readiness is asked from inside the containers: their ports are on another machine's loopback.
    :param progress_deadline: seconds until a rollout is called Degraded, unless the values say otherwise.
    """

    def __init__(
        self,
        *,
        state_dir: Path,
        docker_host: str,
        token: str,
        applications: Sequence[SandboxApplication],
        git_credentials: GitAccess | None = None,
        registry_auth: Registry | None = None,
        runtime: Literal["docker", "none"] = "docker",
        progress_deadline: float = PROGRESS_DEADLINE,
        ask_inside: bool = False,
    ) -> None:
        state_dir.mkdir(parents=True, exist_ok=True)
        self.faults = Faults()
        self.instance = _instance(state_dir)
        self._engine = (
            DockerContainers(docker_host, self.instance, registry_auth, ask_inside=ask_inside)
            if runtime == "docker"
            else None
        )
        self._clones = state_dir / "clones"
        apps = {app.name: app for app in applications}
        self._repositories = {app.repo: self._repository(app.repo, git_credentials) for app in applications}
        self._store = ObjectStore(objects.application(app) for app in applications)
        self._controller = Controller(
            self._store,
            apps,
            self._repositories,
            lambda app, changed: SandboxDeployment(app, self._engine, changed, progress_deadline),
            self.faults,
        )
        api = ArgoCDApi(self._store, self._controller, apps, self._repositories, self.faults, token)
        self._app = make_app(api)
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None

    def start(self, host: str = "127.0.0.1", port: int = 0) -> str:
        """Serve, compare everything once, and return the base URL.

        :raises EngineError: the Docker engine does not answer. :raises OSError: the port is taken.
        """
        if self._engine:
            self._engine.clean()
        self.faults.changed = self._controller.poke
        self.faults.drop = self._store.drop_streams
        self._server = make_server(host, port, self._app, threaded=True, request_handler=_Handler)
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="argocd-api", daemon=True
        )
        self._thread.start()
        self._controller.start()
        return f"http://{host}:{self._server.server_port}"

    def stop(self) -> None:
        """End all streams and threads and remove the containers."""
        self.faults.changed = lambda _: None
        self.faults.clear()
        self._store.close()
        self._controller.stop()
        for repository in self._repositories.values():
            repository.close()
        if self._engine:
            self._engine.clean()
            self._engine.close()
        if self._server and self._thread:
            self._server.shutdown()
            self._thread.join(5)
            self._server.server_close()

    def _repository(self, url: str, access: GitAccess | None) -> Clone:
        """Make the clone of a repository; credentials go to repositories of the same host only."""
        same = access is not None and repo_key(access.url).split("/")[0] == repo_key(url).split("/")[0]
        folder = self._clones / f"{hashlib.sha256(url.encode()).hexdigest()[:16]}.git"
        if folder.exists() and not (folder / "HEAD").exists():
            shutil.rmtree(folder)  # a clone that was cut off while it was made
        return Clone(folder, replace(access, url=url) if access and same else GitAccess(url=url))


@contextmanager
def serve(sandbox: SandboxArgoCD, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Run a stand-in while the block runs; give its base URL. Errors as `SandboxArgoCD.start`."""
    try:
        yield sandbox.start(host, port)
    finally:
        sandbox.stop()


class _Handler(WSGIRequestHandler):
    """HTTP/1.1, so that streams are chunked as in the real server; no line per request on standard error."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # as in Go: else a body waits 40 ms for the word on its head

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's own name
        """Say nothing."""


def _instance(state_dir: Path) -> str:
    """Return the id of this instance, the same for every start in this folder."""
    file = state_dir / "instance"
    if not file.exists():
        file.write_text(secrets.token_hex(6), encoding="ascii")
    return file.read_text(encoding="ascii").strip()
