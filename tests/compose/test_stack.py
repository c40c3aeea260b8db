"""What a person who follows docs/how-to/run-with-compose.md gets."""

from pathlib import Path

import pytest

from tests.compose.conftest import ROBOT_SECRET
from tests.support.composing import CORE, DEMO, Stack, docker, listening, service_of

SECRETS = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "HARBOR_PASSWORD", "GITOPS_TOKEN", "ARGOCD_TOKEN", "GITHUB_SECRET")
pytestmark = [pytest.mark.engine, pytest.mark.timeout(900)]


def test_everything_is_healthy_and_the_tables_are_made(stack: Stack) -> None:
    assert stack.health() == dict.fromkeys((*CORE, *DEMO), "healthy")
    migrated = [one["State"] for one in stack.containers() if service_of(one) == "migrate"]
    assert [(state["Status"], state["ExitCode"]) for state in migrated] == [("exited", 0)]


def test_nothing_listens_but_on_loopback(stack: Stack) -> None:
    assert {address for address in listening() if not address.startswith("127.")} == set()
    assert {f"127.0.0.1:{port}" for port in range(8480, 8486)} <= listening()


@pytest.mark.parametrize("service", ["migrate", *CORE[:5], *DEMO])
def test_our_processes_have_no_rights(stack: Stack, service: str) -> None:
    found = next(one for one in stack.containers() if service_of(one) == service)

    assert found["Config"]["User"] == "10001:10001"
    assert found["HostConfig"]["CapDrop"] == ["ALL"]
    assert found["HostConfig"]["ReadonlyRootfs"] is (service != "sandbox")


def test_no_password_is_in_an_argument_list(stack: Stack) -> None:
    said = "\n".join(docker("top", one["Id"]) for one in stack.containers() if one["State"]["Running"])

    assert said
    assert [name for name in SECRETS if stack.secret(name) in said] == []


def test_a_secret_with_a_dollar_arrives_as_it_is(stack: Stack) -> None:
    assert stack.within("worker-build", "printenv", "HARBOR_PASSWORD") == ROBOT_SECRET
    assert stack.within("worker-build", "printenv", "HARBOR_USERNAME") == "robot$plate+pilotage"


def test_doctor_finds_nothing_missing(stack: Stack) -> None:
    said = stack.within("worker-build", "pilotage", "doctor")

    assert [line for line in said.splitlines() if line.startswith("FAIL")] == []
    assert "push to plate/plate-web: allowed" in said


def test_a_push_ends_healthy(stack: Stack, tmp_path: Path) -> None:
    run = stack.run_of(stack.push(tmp_path, f"Hello from Compose {stack.version}"))

    assert (run["state"], run["reason"]) == ("succeeded", run["reason"])
    assert run["receipt"]["image"].startswith("127.0.0.1:8483/plate/plate-web")


def test_a_worker_that_was_started_again_finds_harbor_again(stack: Stack, tmp_path: Path) -> None:
    stack.compose("restart", "worker-build", timeout=180)

    run = stack.run_of(stack.push(tmp_path, f"Hello again from Compose {stack.version}"), 180)

    assert run["state"] == "succeeded", run["sentence"]
