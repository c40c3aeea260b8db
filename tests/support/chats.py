"""A chat that is told, without Slack's limits."""

from collections.abc import Iterator

import pytest

from orchestrator.sandbox.chat import SandboxChat


@pytest.fixture
def chat() -> Iterator[SandboxChat]:
    started = SandboxChat(limited=False)
    started.start()
    yield started
    started.stop()
