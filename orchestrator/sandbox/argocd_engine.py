"""The containers of the stand-in of Argo CD on a Docker engine: pull, start, look, probe, remove.

A "cluster" of one node. Images with a registry's host in their name are always pulled: the engine also builds them,
and a push that never happened must not go unnoticed here when it would break a real cluster.
"""

import http.client
import threading
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import docker
from docker.errors import DockerException, NotFound
from docker.types import LogConfig
from docker.utils import kwargs_from_env

from orchestrator.domain.apps import Registry
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.refs import Reference
from orchestrator.sandbox.argocd_chart import Workload

LABEL = "pilotage.sandbox"
"""Label of every container of a stand-in; the value is the instance id."""
MEMORY = 256 * 1024 * 1024
"""Bytes of memory of one container."""
PROCESSES = 256
"""Processes of one container."""
PULL_TIMEOUT = 120
"""Seconds of silence while an image is pulled."""
PROBE_TIMEOUT = 1.0
"""Seconds of one readiness probe (the default of Kubernetes)."""
_PROBES = (
    ("wget", "-q", "-T", "1", "-O", "/dev/null", "{url}"),
    ("curl", "-fsS", "-m", "1", "-o", "/dev/null", "{url}"),
    ("busybox", "wget", "-q", "-O", "/dev/null", "{url}"),
    ("python3", "-c", "import sys,urllib.request as r; r.urlopen(sys.argv[1],timeout=1)", "{url}"),
    ("node", "-e", "fetch(process.argv[1]).then(r=>process.exit(r.ok?0:1),()=>process.exit(1))", "{url}"),
)
_CANNOT_RUN = (126, 127, 139)
"""Exit codes that say nothing of the container: not there, not allowed, or crashed (a static BusyBox's ``wget``)."""
_ERRORS = (DockerException, OSError)  # the SDK lets errors of its HTTP client through, which are OSErrors


class EngineError(Exception):
    """The engine said no: ``reason`` as Kubernetes names it (ErrImagePull), and one line."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerState:
    """What a container does: alive or not, its exit code, and where its port is published (0: nowhere)."""

    running: bool
    exit_code: int = 0
    port: int = 0
    oom: bool = False


def has_bridge(host: str) -> bool:
    """Tell whether containers of an engine can have a network of their own; one of ours has no bridge for it.

    :raises Unavailable: the engine does not answer.
    """
    try:
        with closing(docker.APIClient(base_url=host or None, version="auto", timeout=60)) as api:
            return _has_bridge(api)
    except _ERRORS as error:
        raise Unavailable(Reason.ENGINE_UNAVAILABLE, words_of(error)) from error


def _has_bridge(api: Any) -> bool:
    return any(network["Name"] == "bridge" for network in api.networks())


class DockerContainers:
    """The Docker engine as one stand-in uses it; safe for several threads.

    :param host: address of the engine; "" takes it from the environment.
    :param instance: value of `LABEL`; containers of an earlier life with the same id are removed at `clean`.
    :param ask_inside: probes go through a program of the image, because published ports are not on our loopback.
    """

    def __init__(self, host: str, instance: str, registry: Registry | None, *, ask_inside: bool = False) -> None:
        self._instance = instance
        self._registry = registry
        self._local = threading.local()
        self._address = {"DOCKER_HOST": host} if host else None
        self._bridge = True
        self._ask_inside = ask_inside
        self._asks: dict[str, tuple[str, ...]] = {}
        """The program of each container's image that can ask its probe: starting one costs more than the question."""

    def clean(self) -> None:
        """Remove every container of this instance, and look whether containers can have a network.

        :raises EngineError: the engine does not answer.
        """
        try:
            filters = {"label": f"{LABEL}={self._instance}"}
            for found in self._api.containers(all=True, filters=filters):
                self.remove(found["Id"])
            self._bridge = _has_bridge(self._api)
        except _ERRORS as error:
            raise EngineError("EngineUnavailable", words_of(error)) from error

    def pull(self, image: str) -> None:
        """Pull an image that names a registry; any other must be here already.

        :raises EngineError: ErrImagePull, with the registry's words.
        """
        wanted = Reference.parse(image)
        if not wanted.host:
            self._must_exist(image)
            return
        tag, auth = wanted.engine_tag, self._auth(image)
        try:
            stream = self._api.pull(wanted.name, tag=tag, stream=True, decode=True, auth_config=auth)
            for line in stream:
                if "error" in line:
                    raise EngineError("ErrImagePull", f'Failed to pull image "{image}": {line["error"]}'[:400])
        except _ERRORS as error:
            raise EngineError("ErrImagePull", f'Failed to pull image "{image}": {words_of(error)}') from error

    def run(self, image: str, name: str, workload: Workload, labels: Mapping[str, str]) -> str:
        """Create and start a container and return its id.

        :raises EngineError: CreateContainerError or RunContainerError.
        """
        try:
            container = self._create(image, name, workload, labels)
        except _ERRORS as error:
            raise EngineError("CreateContainerError", words_of(error)) from error
        try:
            self._api.start(container)
        except _ERRORS as error:
            self.remove(container)
            if self._bridge and "network bridge" in str(error):
                self._bridge = False  # an engine whose bridge is broken: go on without a network
                return self.run(image, name, workload, labels)
            raise EngineError("RunContainerError", words_of(error)) from error
        return container

    def restart(self, container: str) -> None:
        """Start a container again that has ended; one that runs is left alone.

        :raises EngineError: RunContainerError.
        """
        try:
            self._api.start(container)
        except _ERRORS as error:
            raise EngineError("RunContainerError", words_of(error)) from error

    def look(self, container: str, port: int) -> ContainerState:
        """Look at a container; one that is gone counts as ended with 137.

        :raises EngineError: the engine does not answer.
        """
        try:
            found = self._api.inspect_container(container)
        except NotFound:
            return ContainerState(running=False, exit_code=137)
        except _ERRORS as error:
            raise EngineError("EngineUnavailable", words_of(error)) from error
        state = found["State"]
        bound = (found["NetworkSettings"].get("Ports") or {}).get(f"{port}/tcp") or [{}]
        return ContainerState(
            running=bool(state["Running"]),
            exit_code=int(state["ExitCode"]),
            port=int(bound[0].get("HostPort", 0)),
            oom=bool(state.get("OOMKilled")),
        )

    def probe(self, container: str, look: ContainerState, workload: Workload) -> str | None:
        """Ask the container's HTTP probe; return "" when it passes (200 to 399), else what went wrong.

        Without a network, or with `ask_inside`, the question is asked by a program of the image; None when none there
        can.
        """
        if look.port and not self._ask_inside:
            return _http(f"127.0.0.1:{look.port}", workload.probe)
        url = f"http://127.0.0.1:{workload.port}{workload.probe}"
        for command in (self._asks[container],) if container in self._asks else _PROBES:
            code = self._execute(container, [part.format(url=url) for part in command])
            if code not in _CANNOT_RUN:
                self._asks[container] = command
                return "" if code == 0 else f"Readiness probe failed: {command[0]} ended with {code}"
        return None

    def logs(self, container: str, lines: int) -> list[str]:
        """Return the last lines that a container printed; [] when it is gone."""
        try:
            text = self._api.logs(container, tail=lines, stdout=True, stderr=True)
        except _ERRORS:
            return []
        return text.decode("utf-8", "replace").splitlines()

    def remove(self, container: str) -> None:
        """Remove a container, running or not; one that is gone already is fine."""
        self._asks.pop(container, None)
        try:
            self._api.remove_container(container, force=True, v=True)
        except _ERRORS:
            return

    @property
    def _api(self) -> docker.APIClient:
        api: docker.APIClient | None = getattr(self._local, "api", None)
        if api is None:
            try:
                settings = kwargs_from_env(environment=self._address)
                api = docker.APIClient(**settings, version="auto", timeout=PULL_TIMEOUT)
            except DockerException as error:
                raise EngineError("EngineUnavailable", words_of(error)) from error
            self._local.api = api
        return api

    def close(self) -> None:
        """Close this thread's connections to the engine."""
        api: docker.APIClient | None = getattr(self._local, "api", None)
        if api is not None:
            api.close()
            self._local.api = None

    def _create(self, image: str, name: str, workload: Workload, labels: Mapping[str, str]) -> str:
        published: dict[int | str, Any] | None = (
            {workload.port: ("127.0.0.1",)} if self._bridge and workload.port else None
        )
        host = self._api.create_host_config(
            network_mode="bridge" if self._bridge else "none",
            port_bindings=published,
            mem_limit=MEMORY,
            memswap_limit=MEMORY,
            pids_limit=PROCESSES,
            security_opt=["no-new-privileges"],
            log_config=LogConfig(type="json-file", config={"max-size": "1m", "max-file": "1"}),
            restart_policy={"Name": "no"},
        )
        found = self._api.create_container(
            image,
            name=name,
            ports=[workload.port] if published else None,
            environment=dict(workload.env),
            labels={**labels, LABEL: self._instance},
            host_config=host,
        )
        return str(found["Id"])

    def _must_exist(self, image: str) -> None:
        try:
            self._api.inspect_image(image)  # type: ignore[no-untyped-call]
        except NotFound as error:
            raise EngineError("ErrImageNeverPull", f'Container image "{image}" is not present') from error
        except _ERRORS as error:
            raise EngineError("ErrImagePull", words_of(error)) from error

    def _auth(self, image: str) -> dict[str, str]:
        """Return the login for the image's registry; never the host's own: {} stops docker-py from reading it."""
        registry = self._registry
        if registry and registry.username and image.startswith(f"{registry.host}/"):
            return {"username": registry.username, "password": registry.password.reveal()}
        return {"username": "", "password": ""}

    def _execute(self, container: str, command: list[str]) -> int:
        """Run a command in a container and return its exit code: 126 or 127 when the image does not have it."""
        try:
            made: dict[str, Any] = self._api.exec_create(container, command)
            self._api.exec_start(made["Id"])  # attached, so that it returns when the command has ended
            code = self._api.exec_inspect(made["Id"])["ExitCode"]
        except _ERRORS as error:
            return 127 if "executable file not found" in str(error) else 1
        return 1 if code is None else int(code)


def _http(address: str, path: str) -> str:
    connection = http.client.HTTPConnection(address, timeout=PROBE_TIMEOUT)
    try:
        connection.request("GET", path, headers={"User-Agent": "kube-probe/1.33", "Connection": "close"})
        status = connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"Readiness probe failed: Get http://{address}{path}: {words_of(error)}"
    finally:
        connection.close()
    return "" if 200 <= status < 400 else f"Readiness probe failed: HTTP probe failed with statuscode: {status}"


def words_of(error: BaseException) -> str:
    """Return what the engine said, on one line, rather than which request it said it to."""
    said = getattr(error, "explanation", None) or str(error) or type(error).__name__
    return " ".join(str(said).split())[:300]
