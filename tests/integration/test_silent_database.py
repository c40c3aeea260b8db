"""Probes of a database that takes connections and then keeps silent."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.cli import assembly
from orchestrator.cli.assembly import Parts
from orchestrator.cli.broker import Broker
from orchestrator.services.bell import Bell
from orchestrator.services.readiness import Readiness
from orchestrator.store.database import Database
from tests.support.databases import postgres_database, postgres_url
from tests.support.factories import make_settings
from tests.support.waiting import until

__all__ = ["postgres_url"]

NOT_FOR_NOW = 600
"""Seconds that a connection to the silent server may take: longer than a test may."""


@contextmanager
def silence() -> Iterator[str]:
    """Listen and say nothing: the kernel takes the connections."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        yield f"postgresql://pilotage@127.0.0.1:{port}/pilotage?connect_timeout={NOT_FOR_NOW}"


@pytest.mark.parametrize("make", [assembly.web_app, assembly.webhooks_app])
def test_a_probe_is_answered_while_the_database_is_silent(tmp_path: Path, make) -> None:  # type: ignore[no-untyped-def]
    with silence() as url:
        settings = make_settings(str(tmp_path), database=url)
        client = make(Parts(settings, Broker("redis://127.0.0.1:1"))).test_client()
        answer = client.get("/readyz?only=database")
    assert answer.status_code == 503
    assert "database" in answer.json["detail"].lower()


@contextmanager
def stopped(process: int) -> Iterator[None]:
    os.kill(process, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process, signal.SIGCONT)


@pytest.mark.parametrize("look", [Readiness.unanswering, Readiness.missing])
def test_a_connection_that_hangs_is_told_until_it_goes_on(
    postgres_url: str, look: Callable[[Readiness], dict[str, str]]
) -> None:
    with postgres_database(postgres_url) as database:
        ready = Readiness(database, Bell(""), patience=0.2)
        with stopped(_backend(database)):
            for _ in range(5):
                assert "did not answer" in look(ready)["database"]
            assert database.engine.pool.status().endswith("Current Checked out connections: 1")
        until(lambda: "database" not in look(ready), "the answer over the connection that went on")


def _backend(database: Database) -> int:
    """Name the process behind the only connection of the pool."""
    with database.read() as connection:
        return int(connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
