"""The image of the project's Dockerfile, made by both builders of the engine."""

import os
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.support.composing import docker

pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]
VERSION = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "version"
]
LARGEST = 300 * 1024 * 1024
"""Bytes that the image may add to its base image."""
EVERY_FILE = "cd /opt/pilotage && find . -type f -print0 | sort -z | xargs -0 sha256sum"


def build(project: Path, name: str, builder: str) -> None:
    """Make the runtime image; with BuildKit by a client that has it built in."""
    client = "/usr/bin/docker" if builder == "1" and Path("/usr/bin/docker").exists() else shutil.which("docker")
    command = [str(client), "build", "-q", "--target", "runtime", "-t", name, str(project)]
    environ = {**os.environ, "DOCKER_BUILDKIT": builder}
    done = subprocess.run(command, env=environ, check=False, capture_output=True, text=True, timeout=600)
    if "buildx" in done.stderr and done.returncode:
        pytest.skip("this client has no BuildKit")
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def image(project: Path) -> str:
    """The image as the classic builder makes it."""
    build(project, "pilotage:classic", "0")
    return "pilotage:classic"


def run(image: str, command: str) -> str:
    return docker("run", "--rm", "--read-only", "--network=none", "--entrypoint", "sh", image, "-c", command).strip()


def test_it_is_pilotage_and_no_more_than_a_user(image: str) -> None:
    assert docker("run", "--rm", "--read-only", "--network=none", image, "--version").strip() == f"pilotage {VERSION}"
    assert run(image, "id -u; id -g; pwd") == "10001\n10001\n/var/lib/pilotage"


def test_it_has_what_runs_and_nothing_that_installs(image: str) -> None:
    found = run(
        image, "for one in git ssh ssh-keygen gpg; do command -v $one; done; ls /etc/ssl/certs/ca-certificates.crt"
    )

    assert len(found.splitlines()) == 5
    assert run(image, "ls /opt/pilotage/bin | grep -c '^pip' || true") == "0"
    assert run(image, "ls /var/lib/apt/lists | grep -c . || true") == "0"


def test_it_sends_traces_where_it_is_told_to(image: str) -> None:
    code = "from orchestrator import tracing; tracing.start({'OTEL_TRACES_EXPORTER': 'otlp'}); print(tracing.is_on())"

    assert run(image, f'python -c "{code}"') == "True"


def test_it_is_small(image: str) -> None:
    sizes = [int(docker("image", "inspect", "-f", "{{.Size}}", name)) for name in (image, "python:3.11-slim")]

    assert sizes[0] - sizes[1] < LARGEST


def test_the_other_builder_makes_the_same_files(image: str, project: Path) -> None:
    build(project, "pilotage:buildkit", "1")

    assert run("pilotage:buildkit", EVERY_FILE) == run(image, EVERY_FILE)
