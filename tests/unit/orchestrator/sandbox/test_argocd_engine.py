"""How the stand-in of Argo CD asks a container that has no network."""

import pytest

from orchestrator.sandbox.argocd_chart import Workload
from orchestrator.sandbox.argocd_engine import ContainerState, DockerContainers

WORKLOAD = Workload(manifest="1", image="api:v1", port=8080, probe="/ready")
NOT_THERE = 127


class Asked(DockerContainers):
    """Runs nothing, and notes what it would run. ``codes``: by program; any other is not in the image."""

    def __init__(self, **codes: int) -> None:
        super().__init__("unix:///nowhere", "test", None)
        self.codes = codes
        self.ran: list[str] = []

    def _execute(self, container: str, command: list[str]) -> int:
        self.ran.append(f"{container} {command[0]}")
        return self.codes.get(command[0], NOT_THERE)


@pytest.mark.parametrize(("code", "says"), [(0, ""), (1, "Readiness probe failed: curl ended with 1")])
def test_the_program_that_can_ask_is_looked_for_once_for_each_container(code: int, says: str) -> None:
    engine = Asked(curl=code)
    for container in ("one", "one", "two"):
        assert engine.probe(container, ContainerState(running=True), WORKLOAD) == says
    assert engine.ran == ["one wget", "one curl", "one curl", "two wget", "two curl"]


def test_where_no_program_can_ask_it_is_said_so() -> None:
    assert Asked().probe("one", ContainerState(running=True), WORKLOAD) is None
