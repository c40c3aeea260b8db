"""What holds for the fast tests: they open no socket at all, not even on loopback."""

from collections.abc import Iterator

import pytest
from pytest_socket import disable_socket, enable_socket


@pytest.fixture(autouse=True)
def _only_loopback() -> Iterator[None]:
    """Refuse all sockets, in place of the rule for the other tests."""
    disable_socket()
    yield
    enable_socket()
