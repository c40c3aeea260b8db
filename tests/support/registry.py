"""A real registry (the `docker-registry` program) on loopback, with a login or a token service in front."""

import base64
import hashlib
import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import requests

from orchestrator.domain.apps import Registry, Secret
from tests.support.loopback import Asked, Reply, loopback

USER = "robot$plate+pilotage"
PASSWORD = "Loopback-12345"
_BCRYPT = "$2y$05$h5qrcn0zVTssGICIxSLPy.0cEvwFCNGz2F/8AtmBYH9y6mjgr6hRq"


@dataclass(slots=True)
class Running:
    """A running registry: where it listens, how to log in, and where it keeps its files."""

    host: str
    root: Path
    settings: Registry = field(init=False)

    def __post_init__(self) -> None:
        self.settings = Registry(url=f"http://{self.host}", username=USER, password=Secret(PASSWORD), harbor=False)

    def pushes(self, repository: str) -> int:
        """Count the manifests that were ever pushed to `repository`."""
        folder = self.root / f"docker/registry/v2/repositories/{repository}/_manifests/revisions/sha256"
        return len(list(folder.iterdir())) if folder.is_dir() else 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def real_registry(folder: Path, *, auth: str = "", read_only: bool = False, port: int = 0) -> Iterator[Running]:
    """Run a registry that keeps its data in `folder`.

    :param auth: the YAML of its ``auth:`` section; "" = a login with `USER` and `PASSWORD`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    users = folder / "htpasswd"
    users.write_text(f"{USER}:{_BCRYPT}\n")
    port = port or _free_port()
    config = folder / "config.yml"
    config.write_text(
        "version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\n"
        f"storage: {{filesystem: {{rootdirectory: {folder}/data}}, delete: {{enabled: true}},"
        f" maintenance: {{readonly: {{enabled: {str(read_only).lower()}}}}}}}\n"
        f"http: {{addr: '127.0.0.1:{port}', secret: only-for-tests}}\n"
        + (auth or f"auth: {{htpasswd: {{realm: tests, path: {users}}}}}\n")
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            ["docker-registry", "serve", str(config)],
            stdout=log,
            stderr=log,
            env={"PATH": os.environ["PATH"], "OTEL_TRACES_EXPORTER": "none"},
        )
    try:
        _await_answer(f"http://127.0.0.1:{port}/v2/", process, folder / "log")
        yield Running(f"127.0.0.1:{port}", folder / "data")
    finally:
        process.terminate()
        process.wait(10)


def _await_answer(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline and process.poll() is None:
        try:
            requests.get(url, timeout=2).close()
        except requests.ConnectionError:
            threading.Event().wait(0.05)
        else:
            return
    raise RuntimeError(f"docker-registry does not answer: {log.read_text()[-500:]}")


@contextmanager
def token_registry(folder: Path, actions: list[str]) -> Iterator[Running]:
    """Run a registry whose logins are tokens; the service grants `actions`, whatever is asked for (as Harbor)."""
    folder.mkdir(parents=True, exist_ok=True)
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=tests", "-days", "2"]
    subprocess.run([*command, "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)

    def script(asked: Asked) -> Reply:
        expected = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        allowed = actions if asked.headers.get("authorization") == expected else []
        access = [
            {"type": "repository", "name": scope.split(":")[1], "actions": allowed}
            for scope in asked.query.get("scope", [])
        ]
        return Reply(body={"token": _signed(key, cert, access), "access_token": "", "expires_in": 300})

    with loopback(script) as service:
        auth = (
            f"auth: {{token: {{realm: '{service.url}/service/token', service: tests, issuer: tests,"
            f" rootcertbundle: {cert}}}}}\n"
        )
        with real_registry(folder, auth=auth) as running:
            yield running


def _signed(key: Path, cert: Path, access: list[dict[str, object]]) -> str:
    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    der = base64.b64encode(
        subprocess.run(
            ["openssl", "x509", "-in", str(cert), "-outform", "DER"], check=True, capture_output=True
        ).stdout
    ).decode()
    now = int(time.time())
    header = {"typ": "JWT", "alg": "RS256", "x5c": [der]}
    claims = {"iss": "tests", "sub": USER, "aud": "tests", "exp": now + 300, "nbf": now - 60, "iat": now}
    claims |= {"jti": hashlib.sha256(os.urandom(8)).hexdigest(), "access": access}
    text = ".".join(part(json.dumps(value).encode()) for value in (header, claims))
    command = ["openssl", "dgst", "-sha256", "-sign", str(key)]
    signature = subprocess.run(command, input=text.encode(), check=True, capture_output=True).stdout
    return f"{text}.{part(signature)}"
