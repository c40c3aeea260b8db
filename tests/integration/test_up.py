"""`pilotage up` beside another one, or where its address is taken: it says so in one sentence and does no harm."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from orchestrator.cli import everything
from orchestrator.cli.errors import Code
from orchestrator.cli.product import Product, free_address
from orchestrator.store import migrate
from orchestrator.store.database import Database, sqlite_url
from tests.support.configs import ENVIRON
from tests.support.journals import Logged
from tests.support.offline import configuration, product
from tests.support.processes import children
from tests.support.waiting import until

KILLED_WHILE_IT_MIGRATES = """
import os, signal, sys, time
from orchestrator.cli import everything
from orchestrator.store.database import Database, sqlite_url
def upgrade(_database):
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(600)
everything.migrate.upgrade = upgrade
everything._migrate(Database(sqlite_url(sys.argv[1])))
"""
"""The start of `pilotage up` on an empty database, up to a moment in its migration."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    with product(tmp_path_factory.mktemp("first")) as first:
        yield first


@pytest.fixture
def taken() -> Iterator[str]:
    """An address on which somebody else listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield f"127.0.0.1:{other.getsockname()[1]}"


def pilotage(folder: Path, bind: str, *command: str, **server: object) -> "subprocess.CompletedProcess[str]":
    """Run a command that is expected to end by itself."""
    folder.mkdir(exist_ok=True)
    file = folder / "other.yaml"
    file.write_text(configuration(bind, **server))
    return subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", *command, "--config", str(file)],
        env={**os.environ, **ENVIRON},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def ready(first: Product) -> bool:
    return requests.get(f"{first.url}/readyz", timeout=10).status_code == 200


def test_a_second_up_on_the_same_state_folder_ends_and_leaves_the_first_alone(running: Product) -> None:
    broker = (running.state_dir / "broker" / "broker.sock").stat().st_ino
    done = pilotage(running.folder, free_address(), "up")
    assert done.returncode == Code.USAGE
    assert done.stderr == (
        f"pilotage: Another `pilotage up` (process {running.pid}) works in the state folder {running.state_dir}; "
        "stop that one, or set another server.state_dir.\n"
    )
    assert (running.state_dir / "broker" / "broker.sock").stat().st_ino == broker
    assert ready(running)


def test_up_ends_where_its_address_is_taken_and_has_started_nothing(tmp_path: Path, taken: str) -> None:
    done = pilotage(tmp_path / "late", taken, "up")
    assert (done.returncode, done.stderr) == (Code.USAGE, f"pilotage: {refused(taken)}\n")
    assert [one.name for one in (tmp_path / "late" / "state").iterdir()] == ["up.lock"]


def test_a_web_process_alone_ends_where_its_address_is_taken(tmp_path: Path, taken: str) -> None:
    broker = "redis://127.0.0.1:9/0"
    assert pilotage(tmp_path, taken, "migrate", broker=broker).returncode == 0
    for command in ("web", "webhooks"):
        done = pilotage(tmp_path, taken, command, broker=broker)
        assert (done.returncode, done.stderr.splitlines()[-1]) == (Code.USAGE, f"pilotage: {refused(taken)}"), command


def test_a_web_that_is_started_anew_answers_on_the_same_socket(running: Product) -> None:
    (old,) = children(running.pid, "web")
    os.kill(old, signal.SIGKILL)
    until(lambda: children(running.pid, "web") not in ([], [old]), "another web process")
    assert ready(running), "the connection waits for the new process"


def test_nobody_waits_at_the_address_while_workers_finish_and_a_restart_finds_all_free(tmp_path: Path) -> None:
    with product(tmp_path) as first:
        (worker,) = children(first.pid, "worker")
        os.kill(worker, signal.SIGSTOP)
        os.kill(first.pid, signal.SIGTERM)
        until(lambda: not answers(first), "a refused connection")
        os.kill(first.pid, signal.SIGKILL)
        first.stop()
        os.kill(worker, signal.SIGCONT)
        first.start()  # the children of the killed one may still be ending
        assert ready(first)


def test_a_migration_ends_with_the_process_that_began_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", KILLED_WHILE_IT_MIGRATES, str(tmp_path)]
    done = subprocess.run(command, stdout=subprocess.PIPE, timeout=60, check=False)  # until nobody has it open
    assert done.returncode == -signal.SIGKILL


def answers(first: Product) -> bool:
    try:
        return requests.get(f"{first.url}/healthz", timeout=10).ok
    except requests.ConnectionError as error:
        return "refused" not in str(error)


def refused(address: str) -> str:
    return f"Cannot answer on {address}: another program uses it; stop that, or set another server.bind."


def test_a_start_that_migrates_says_from_where_to_where(tmp_path: Path, logged: Logged) -> None:
    database = Database(sqlite_url(str(tmp_path)))
    for _ in range(2):
        everything._migrate(database)
    database.close()
    assert [line["detail"] for line in logged.of("database migrated")] == [f"schema none to {migrate.expected()}"]
