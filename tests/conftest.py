"""What holds for every test: only loopback may be spoken to, and whatever is logged is in the table of fields."""

import gc
import os
import signal
from collections.abc import Iterator

import pytest
from _pytest import runner
from hypothesis import HealthCheck, settings

from orchestrator import journal
from tests.support import journals


def pytest_configure(config: pytest.Config) -> None:
    """Send our log the way of the standard library, where pytest captures it per test."""
    gc.disable()  # until all is collected: that makes much and drops nothing
    # Threads of the stand-ins read the environment at any time, and it must not change under them: `requests` goes
    # through all of it for proxies, and a variable that goes away meanwhile is an error there.
    runner._update_current_test_var = lambda _item, _when: None
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]  # whoever starts Git would have to take it away, with one more program
    journals.install()
    # How fast examples are made and tried is the machine's affair; the first text of a new checkout takes a second.
    settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("unhurried")
    if not hasattr(config, "workerinput"):  # who ends the tests, ends what they have started
        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that hold slow tests: whoever has the last file works alone at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


def pytest_collection_finish() -> None:
    """Spare the tests the collections of what pytest holds to the end."""
    gc.enable()
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _only_loopback(request: pytest.FixtureRequest) -> None:
    """Refuse every connection that leaves the machine; unix sockets (Docker, Redis) are of this machine."""
    from pytest_socket import socket_allow_hosts

    socket_allow_hosts(["127.0.0.1", "::1", "localhost"], allow_unix_socket=True)


@pytest.fixture(autouse=True)
def logged() -> Iterator[journals.Logged]:
    """What the test had logged; the test fails when a field of it is not in the table or has another type."""
    journal.bind_only()
    journals.logged.clear()
    yield journals.logged
    assert not journals.logged.faults
