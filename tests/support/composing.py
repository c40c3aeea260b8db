"""One stack of docker-compose.yml for tests: bring it up, look at it, push to its forge, take it down."""

import json
import os
import subprocess
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from orchestrator.cli.api import Api
from tests.support.git import git
from tests.support.waiting import until

CORE = ("web", "webhooks", "relay", "worker-build", "worker-deploy", "redis", "postgres")
DEMO = ("sandbox", "door-build", "door-deploy")
UP_TIMEOUT, DOWN_TIMEOUT = 600, 180
"""Seconds; the first includes the making of the image on a busy machine."""


class Stack:
    """The project in `folder`, handled by one version of Docker Compose."""

    def __init__(self, folder: Path, compose: str, *, version: int) -> None:
        self.folder = folder
        self.version = version
        self._compose = compose

    def up(self) -> None:
        """Bring everything up and wait until all of it is healthy."""
        if self.version == 1:
            self.compose("up", "-d", "--build", timeout=UP_TIMEOUT)
            until(lambda: set(self.health().values()) == {"healthy"}, lambda: f"health: {self.health()}", UP_TIMEOUT)
        else:
            self.compose("up", "--wait", timeout=UP_TIMEOUT)

    def down(self) -> None:
        """Take everything away, volumes too."""
        self.compose("down", "-v", "--remove-orphans", timeout=DOWN_TIMEOUT)

    def left(self) -> list[str]:
        """Return what the engine still has of it: containers, networks, volumes."""
        ours, apps = "label=com.docker.compose.project=pilotage", "label=pilotage.sandbox"
        lists = (
            ("ps", "-aq", ours),
            ("ps", "-aq", apps),
            ("network", "ls", "-q", ours),
            ("volume", "ls", "-q", ours),
        )
        return [line for *command, label in lists for line in docker(*command, "--filter", label).split()]

    def compose(self, *arguments: str, timeout: float = 300) -> str:
        """Run a command of Compose with the profile demo and return what it printed."""
        command = [self._compose, "--profile", "demo", *arguments]
        # The project must get by with what .env says.
        names = ("PATH", "HOME", "DOCKER_HOST")
        environ = {name: os.environ[name] for name in names} | {"COMPOSE_DOCKER_CLI_BUILD": "0"}
        return _run(command, self.folder, environ, timeout)

    def health(self) -> dict[str, str]:
        """Return service -> health of every container that is meant to stay."""
        return {
            service_of(found): found["State"].get("Health", {}).get("Status", "")
            for found in self.containers()
            if service_of(found) != "migrate"
        }

    def containers(self) -> list[Any]:
        """Return what the engine says of each container of the project."""
        ids = docker("ps", "-aq", "--filter", "label=com.docker.compose.project=pilotage").split()
        return json.loads(docker("inspect", *ids)) if ids else []

    def within(self, service: str, *command: str) -> str:
        """Run a command in a service's container."""
        return self.compose("exec", "-T", service, *command).strip()

    def api(self) -> Api:
        """Return the API with a new token of a deployer."""
        name = f"test-{uuid.uuid4().hex[:6]}"
        token = self.within("web", "pilotage", "token", "create", name, "--role", "deployer")
        return Api("http://127.0.0.1:8480", token)

    def secret(self, name: str) -> str:
        """Return a value of .env."""
        lines = (self.folder / ".env").read_text(encoding="utf-8").splitlines()
        return next(line for line in lines if line.startswith(f"{name}=")).split("=", 1)[1].strip("'")

    def push(self, folder: Path, greeting: str) -> str:
        """Clone the sample app, change its page, push to main, and return the commit."""
        url = f"http://pilotage:{self.secret('GITOPS_TOKEN')}@127.0.0.1:8482/acme/plate-web.git"
        git(folder, "clone", "-q", url, "app")
        app = folder / "app"
        (app / "www" / "index.html").write_text(f"<h1>{greeting}</h1>\n", encoding="utf-8")
        git(app, "commit", "-q", "-a", "-m", greeting)
        git(app, "push", "-q", "origin", "main")
        return git(app, "rev-parse", "HEAD")

    def run_of(self, commit: str, seconds: float = 120) -> Any:
        """Wait for the run of a commit to end, and return it."""
        api, ended = self.api(), ("succeeded", "failed", "cancelled")

        def found() -> Any:
            runs = [run for run in api.get("/runs", {"limit": 5})["items"] if run["commit"] == commit]
            return runs[0] if runs and runs[0]["state"] in ended else None

        run = until(found, f"the run of {commit}", seconds)
        return api.run(int(run["id"]))


def service_of(container: Any) -> str:
    """Return the service that a container is of."""
    return str(container["Config"]["Labels"]["com.docker.compose.service"])


def docker(*arguments: str) -> str:
    """Run a command of the engine's client and return what it printed."""
    return _run(["docker", *arguments], Path.cwd(), os.environ, 60)


def listening() -> set[str]:
    """Return the addresses, as ``127.0.0.1:8480``, that something listens on here, over IPv4 and IPv6."""
    found = set()
    for table, width in (("tcp", 8), ("tcp6", 32)):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":  # LISTEN
                host, port = fields[1].split(":")
                octets = [str(byte) for byte in reversed(bytes.fromhex(host))] if width == 8 else [host]
                found.add(f"{'.'.join(octets)}:{int(port, 16)}")
    return found


def _run(command: list[str], folder: Path, environ: Mapping[str, str], timeout: float) -> str:
    began = time.monotonic()
    done = subprocess.run(
        command, cwd=folder, env=dict(environ), check=False, capture_output=True, text=True, timeout=timeout
    )
    if done.returncode:
        seconds = time.monotonic() - began
        said = f"{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
        raise AssertionError(f"{' '.join(command[:4])} ended with {done.returncode} after {seconds:.0f} s:\n{said}")
    return done.stdout
