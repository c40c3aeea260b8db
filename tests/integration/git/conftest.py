"""A Git server with one repository, and a mirror of it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.githttp import Forge, forge
from tests.support.lfs import LfsSite, lfs_site
from workers.clients.git import Mirror


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Forge]:
    with forge(tmp_path / "srv") as running:
        running.commit({"README.md": "hello\n", "web/app.py": "print()\n"}, message="first")
        yield running


@pytest.fixture
def mirror(server: Forge, tmp_path: Path) -> Mirror:
    return server.mirror(tmp_path / "state")


@pytest.fixture
def site(tmp_path: Path) -> Iterator[LfsSite]:
    with lfs_site(tmp_path) as made:
        yield made
