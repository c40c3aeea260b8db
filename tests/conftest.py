"""What holds for every test: only loopback may be spoken to, and our log goes to the log, not to standard output."""

import pytest
import structlog


def pytest_configure(config: pytest.Config) -> None:
    """Send structlog the way of the standard library, where pytest captures it per test."""
    structlog.configure(
        processors=[structlog.stdlib.render_to_log_kwargs],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )


@pytest.fixture(autouse=True)
def _only_loopback(request: pytest.FixtureRequest) -> None:
    """Refuse every connection that leaves the machine; unix sockets (Docker, Redis) are of this machine."""
    from pytest_socket import socket_allow_hosts

    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)
