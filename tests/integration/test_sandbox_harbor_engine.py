"""The Docker engine against the stand-in of Harbor: logins, pushes and pulls as with the real one."""

import os
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.domain.apps import Build, Registry
from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.sandbox.harbor import HttpFault, Immutable
from tests.support.engine import BUSYBOX, TEST_LABEL, Journal, require_engine, tar_of
from tests.support.harbor import ADMIN, REPOSITORY, ROBOT, SECRETS, RunningHarbor, running
from tests.support.needs import require_program
from workers.clients.docker import Engine
from workers.clients.engine_requests import REVISION_LABEL
from workers.clients.registry import RegistryClient

pytestmark = pytest.mark.engine

DOCKERFILE = b"FROM scratch\nCOPY bin/busybox /bin/busybox\nCOPY noise /noise\n"


class Yard:
    """The engine with one image that no registry has seen; it is gone in the end."""

    def __init__(self, harbor: RunningHarbor, engine: Engine) -> None:
        self.harbor, self.engine = harbor, engine
        self.name = f"{harbor.host}/{REPOSITORY}"
        self.made: set[str] = set()

    def build(self, tag: str = "v1", megabytes: int = 0) -> None:
        self.made.add(f"{self.name}:{tag}")
        noise = os.urandom(megabytes * 1024 * 1024) or uuid.uuid4().bytes
        files: dict[str, bytes | str] = {
            "Dockerfile": DOCKERFILE.decode(),
            "bin/busybox": BUSYBOX.read_bytes(),
            "noise": noise,
        }
        self.engine.build(
            iter([tar_of(files)]),
            dockerfile=DOCKERFILE,
            tag=f"{self.name}:{tag}",
            build=Build(network="none"),
            labels={TEST_LABEL: "1", REVISION_LABEL: "c" * 40},
            registry=self.harbor.settings(),
            control=Journal().control,
        )

    def push(self, tag: str = "v1", **login: str) -> str:
        settings = self.harbor.settings(**login)
        return self.engine.push(f"{self.name}:{tag}", registry=settings, control=Journal().control)

    def close(self) -> None:
        for reference in self.made:
            self.engine.remove(reference)


@pytest.fixture
def yard(tmp_path: Path) -> Iterator[Yard]:
    engine = require_engine()
    with running(tmp_path) as harbor:
        made = Yard(harbor, engine)
        try:
            yield made
        finally:
            made.close()


@pytest.mark.parametrize("builder", ["buildkit", "classic"])
def test_a_base_image_that_everybody_may_pull_needs_no_login(yard: Yard, builder: str) -> None:
    """As on Docker Hub: a token is wanted all the same, and a build without a session cannot ask for one."""
    yard.build()
    yard.push()
    yard.harbor.sandbox.change("shop", public=True)
    assert yard.engine.remove(f"{yard.name}:v1")
    dockerfile = f"FROM {yard.name}:v1\nLABEL of=another\n".encode()
    yard.made |= {"elsewhere.example.com/app:1", f"{yard.name}:v1"}
    assert yard.engine.build(
        iter([tar_of({"Dockerfile": dockerfile.decode()})]),
        dockerfile=dockerfile,
        tag="elsewhere.example.com/app:1",
        build=Build(network="none", builder=builder),
        labels={TEST_LABEL: "1"},
        registry=Registry(url="https://elsewhere.example.com"),
        control=Journal().control,
    )


def refusal(yard: Yard, **login: str) -> PilotageError:
    with pytest.raises(PilotageError) as caught:
        yard.push(**login)
    return caught.value


def test_an_image_goes_there_and_back(yard: Yard) -> None:
    yard.build(megabytes=20)
    registry = yard.harbor.registry()
    registry.check_push(REPOSITORY)
    digest = yard.push()
    assert registry.digest(REPOSITORY, "v1") == digest
    labels = registry.labels(REPOSITORY, "v1")
    assert labels is not None
    assert labels[REVISION_LABEL] == "c" * 40
    local = yard.engine.image_id(f"{yard.name}:v1")
    assert yard.engine.remove(f"{yard.name}:v1")
    yard.engine.pull(f"{yard.name}:v1", registry=yard.harbor.settings(), control=Journal().control)
    assert yard.engine.image_id(f"{yard.name}:v1") == local
    found = yard.harbor.artifact()
    assert (found["digest"], found["extra_attrs"]["os"]) == (digest, "linux")
    assert found["size"] > 20 * 1024 * 1024


def test_a_second_push_sends_only_what_is_new(yard: Yard) -> None:
    yard.build(megabytes=1)
    assert yard.push() == yard.push()
    yard.harbor.sandbox.faults.add(
        HttpFault(where="/blobs/uploads/", method="PATCH", status=500, times=0, seconds=60)
    )
    assert yard.push()


@pytest.mark.parametrize(("tag", "login"), [("v1", False), ("nosuch", True)], ids=["anonymous", "no such tag"])
def test_a_pull_that_is_not_allowed_or_not_there_fails(yard: Yard, tag: str, login: bool) -> None:
    yard.build()
    yard.push()
    registry = yard.harbor.settings() if login else None
    with pytest.raises(PilotageError) as caught:
        yard.engine.pull(f"{yard.name}:{tag}", registry=registry, control=Journal().control)
    assert caught.value.reason is Reason.BASE_IMAGE_UNAVAILABLE


def test_each_rule_of_harbor_has_its_reason_at_our_end(yard: Yard) -> None:
    sandbox = yard.harbor.sandbox
    yard.build()
    assert refusal(yard, password="wrong").reason is Reason.REGISTRY_UNAUTHORIZED
    sandbox.grant(ROBOT, {"pull"})
    assert refusal(yard).reason is Reason.REGISTRY_UNAUTHORIZED
    sandbox.grant(ROBOT, {"pull", "push"})
    sandbox.change("shop", quota=1000)
    assert refusal(yard).reason is Reason.REGISTRY_QUOTA
    sandbox.change("shop", quota=-1)
    sandbox.read_only = True
    error = refusal(yard)
    assert (error.reason, type(error)) == (Reason.REGISTRY_READ_ONLY, Unavailable)
    sandbox.read_only = False
    yard.push()
    sandbox.change("shop", immutable=(Immutable(),))
    error = refusal(yard)
    assert error.reason is Reason.TAG_IMMUTABLE
    assert "'team-a/api:v1' configured as immutable" in error.evidence


def test_a_registry_that_is_away_for_a_moment_is_taken_for_one_that_refuses(yard: Yard) -> None:
    """The engine goes on without a login, so the stage asks what our account may do before it believes that."""
    yard.build()
    yard.harbor.sandbox.faults.add(HttpFault(where="/v2/", status=503, times=1))
    assert refusal(yard).reason is Reason.REGISTRY_UNAUTHORIZED
    assert yard.push()


def test_a_private_base_image_of_such_a_registry_is_tried_again_if_our_account_may_pull_it(yard: Yard) -> None:
    base = f"{yard.name}:v1"
    yard.build()
    yard.push()

    def build_on_it(registry: Registry) -> None:
        yard.engine.remove(base)
        yard.harbor.sandbox.faults.add(HttpFault(where="/v2/", status=503, times=1))
        yard.made.add(f"{yard.name}:next")
        yard.engine.build(
            iter([tar_of({"Dockerfile": f"FROM {base}\n"})]),
            dockerfile=f"FROM {base}\n".encode(),
            tag=f"{yard.name}:next",
            build=Build(network="none"),
            labels={TEST_LABEL: "1"},
            registry=registry,
            control=Journal().control,
            may_pull=RegistryClient(registry).may_pull,
        )

    with pytest.raises(Unavailable, match="though our account may pull") as caught:
        build_on_it(yard.harbor.settings())
    assert caught.value.reason is Reason.BASE_IMAGE_UNAVAILABLE
    with pytest.raises(Refused, match="unauthorized"):
        build_on_it(yard.harbor.settings(password="wrong"))


def test_a_project_that_is_not_there_cannot_be_pushed_to(yard: Yard) -> None:
    yard.name = f"{yard.harbor.host}/nosuch/api"
    yard.build()
    error = refusal(yard, user=ADMIN)
    assert error.reason is Reason.REGISTRY_PROJECT_MISSING


@pytest.mark.slow
def test_a_push_survives_a_connection_that_is_lost_in_the_middle_of_a_layer(yard: Yard) -> None:
    yard.build(megabytes=5)
    yard.harbor.sandbox.faults.add(HttpFault(where="/blobs/uploads/", method="PATCH", drop="during"))
    assert yard.push() == yard.harbor.registry().digest(REPOSITORY, "v1")


@pytest.mark.parametrize(("password", "works"), [(SECRETS[ROBOT], True), ("wrong", False)])
def test_the_docker_command_logs_in(yard: Yard, tmp_path: Path, password: str, works: bool) -> None:
    require_program("docker", "docker.io")
    command = [
        "docker",
        "--config",
        str(tmp_path / "cli"),
        "login",
        "-u",
        ROBOT,
        "--password-stdin",
        yard.harbor.host,
    ]
    done = subprocess.run(command, input=password.encode(), capture_output=True, timeout=30, check=False)
    assert (done.returncode == 0) is works, done.stderr
