"""A Git server with a GitOps repository, and a mirror of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.githttp import Forge, forge
from tests.support.landing import APPS, VALUES, file
from workers.clients.git import GITOPS, Mirror


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Forge]:
    with forge(tmp_path / "srv", "platform/gitops") as running:
        running.commit({file(app): VALUES.format(app=app) for app in range(APPS)}, message="start")
        yield running


@pytest.fixture
def mirror(server: Forge, tmp_path: Path) -> Mirror:
    return server.mirror(tmp_path / "state", GITOPS)
