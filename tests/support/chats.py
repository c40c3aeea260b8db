"""A chat and a forge that are told, without Slack's limits."""

from collections.abc import Iterator
from typing import Protocol

import pytest

from orchestrator.sandbox.chat import SandboxChat
from orchestrator.sandbox.faults import HttpFaults
from orchestrator.sandbox.forge_statuses import ForgeStatuses
from orchestrator.sandbox.githttp import serve
from orchestrator.sandbox.posts import Arrived
from tests.support.messages import FORGE_TOKEN, STARTED

REPO = "acme/plate-web"

BUTTON = {
    "type": "button",
    "action_id": "rerun",
    "text": {"type": "plain_text", "text": "Re-run"},
    "value": '{"run": 42, "to": "team"}',
}
"""One under a message, as Slack has it."""


class Receiver(Protocol):
    """What a channel leads to."""

    base_url: str
    faults: HttpFaults

    @property
    def arrived(self) -> list[Arrived]:
        """Return every request that came, oldest first."""
        ...

    def stop(self) -> None:
        """Stop listening."""
        ...


class ToldForge(ForgeStatuses):
    """A forge of one repository with one commit, of which it takes statuses."""

    def __init__(self) -> None:
        super().__init__(lambda repo, sha: sha == STARTED.commit if repo == REPO else None, [FORGE_TOKEN])
        self._serving = serve(self)
        self.base_url = self._serving.__enter__()
        self._stopped = False

    def stop(self) -> None:
        """Stop listening."""
        if not self._stopped:
            self._stopped = True
            self._serving.__exit__(None, None, None)


@pytest.fixture
def chat() -> Iterator[SandboxChat]:
    started = SandboxChat(limited=False)
    started.start()
    yield started
    started.stop()


@pytest.fixture
def forge() -> Iterator[ToldForge]:
    started = ToldForge()
    yield started
    started.stop()


@pytest.fixture
def receiver(kind: str, request: pytest.FixtureRequest) -> Receiver:
    """What a channel of the kind leads to."""
    found: Receiver = request.getfixturevalue("forge" if kind.endswith("-status") else "chat")
    return found
