"""`pilotage config reload`: a running `pilotage up` takes its configuration anew and answers all the while."""

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from orchestrator.cli.claim import holder
from orchestrator.cli.errors import Code
from orchestrator.cli.product import Product, free_address
from tests.support.configs import ENVIRON
from tests.support.offline import configuration, product
from tests.support.processes import children
from tests.support.waiting import until


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Product]:
    with product(tmp_path) as here:
        yield here


def file_of(here: Product) -> Path:
    return here.folder / "pilotage.yaml"


def change(here: Product, old: str, new: str) -> None:
    file = file_of(here)
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def reload(here: Product, *options: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "orchestrator.cli", "config", "reload", "--config", str(file_of(here)), *options]
    environ = {**os.environ, **ENVIRON}
    return subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=False)


def apps(here: Product) -> list[str]:
    return [app["name"] for app in here.api().get("/apps")["items"]]


def processes(here: Product) -> dict[str, list[int]]:
    return {name: children(here.pid, name) for name in ("web", "relay", "worker")}


@contextmanager
def asked_all_the_while(here: Product) -> Iterator[list[str]]:
    """Ask, each time over a new connection; yields what was wrong with the answers so far."""
    wrong: list[str] = []
    asked: list[None] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            try:
                status = requests.get(f"{here.url}/healthz", timeout=30).status_code
            except requests.RequestException as error:
                wrong.append(repr(error))
            else:
                wrong.extend([str(status)] if status != 200 else [])
            asked.append(None)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        yield wrong
    finally:
        over.set()
        asking.join()
    assert asked


def test_a_new_name_is_known_without_a_restart_and_every_request_is_answered(running: Product) -> None:
    before = processes(running)
    change(running, "name: plate-web\n", "name: plate-shop\n")
    with asked_all_the_while(running) as wrong:
        done = reload(running)
        assert (done.returncode, done.stdout) == (
            0,
            f"{file_of(running)}: taken; new: plate-shop; gone: plate-web\n",
        ), done.stderr
        until(lambda: all(len(found) == 1 for found in processes(running).values()), "the old ones to be gone")
        until(lambda: apps(running) == ["plate-shop"], "the new name")
    assert wrong == []
    assert all(set(found).isdisjoint(before[name]) for name, found in processes(running).items())
    assert '"event":"configuration taken"' in running.log.read_text()


def test_an_app_with_another_name_takes_its_history_along(running: Product) -> None:
    run = running.api().post("/runs", {"app": "plate-web", "environment": "stg", "ref": "main"}, "")["id"]
    change(running, "name: plate-web\n", "name: plate-shop\n    former_names: [plate-web]\n")
    done = reload(running)
    assert (done.returncode, done.stdout) == (0, f"{file_of(running)}: taken; renamed: plate-web to plate-shop\n")
    until(lambda: running.api().run(run)["app"] == "plate-shop", "the new name")


@pytest.mark.parametrize("asked", ["by the command", "by a signal"])
def test_a_file_with_a_problem_changes_nothing(running: Product, asked: str) -> None:
    before = processes(running)
    change(running, "branch: main ", "brunch: main ")
    if asked == "by the command":
        done = reload(running)
        assert (done.returncode, "brunch" in done.stdout) == (Code.FAILED, True), done.stderr
    else:
        os.kill(running.pid, signal.SIGHUP)
        until(lambda: "configuration not taken" in running.log.read_text(), "a line in the log")
    assert (processes(running), apps(running)) == (before, ["plate-web"])


def test_what_needs_a_restart_is_named_and_nothing_is_taken(running: Product) -> None:
    before = processes(running)
    change(
        running,
        '"bind": "',
        f'"broker": "redis://127.0.0.1:9/0", "database": "sqlite:///{running.folder}/b.db", "bind": "',
    )
    done = reload(running)
    why = "server.database and server.broker can only change with a restart"
    said = f"pilotage: {file_of(running)} was not taken, and all goes on as before: {why}.\n"
    assert (done.returncode, done.stderr) == (Code.FAILED, said)
    assert processes(running) == before


def test_the_answer_can_be_read_by_a_program(running: Product) -> None:
    done = reload(running, "-o", "json")
    assert json.loads(done.stdout) == {"file": str(file_of(running)), "taken": True, "told": "nothing has changed"}
    change(running, "branch: main ", "brunch: main ")
    done = reload(running, "-o", "json")
    answer = json.loads(done.stdout)
    assert (done.returncode, answer["file"], answer["taken"]) == (Code.FAILED, str(file_of(running)), False)
    assert "`branch`" in answer["told"]


def test_who_is_at_work_finishes_beside_the_new_ones_and_a_stop_waits_for_all(running: Product) -> None:
    (old,) = processes(running)["worker"]
    os.kill(old, signal.SIGSTOP)
    assert reload(running).returncode == 0
    until(lambda: len(processes(running)["web"]) == 1, "one web")
    assert old in processes(running)["worker"]
    assert len(processes(running)["worker"]) == 2
    os.kill(old, signal.SIGCONT)
    until(lambda: len(processes(running)["worker"]) == 1, "the old worker to be gone")
    assert reload(running).returncode == 0, "as often as wanted"


def test_where_nothing_runs_it_says_so(tmp_path: Path) -> None:
    here = product(tmp_path)
    file_of(here).write_text(configuration(free_address()))
    done = reload(here)
    said = f"No `pilotage up` works in the state folder {tmp_path}/state; the file counts from its next start."
    assert (done.returncode, done.stderr) == (Code.UNREACHABLE, f"pilotage: {said}\n")


def test_one_that_is_asked_while_it_starts_does_it_then(tmp_path: Path) -> None:
    here = product(tmp_path)
    starting = threading.Thread(target=here.__enter__)
    starting.start()
    try:
        owner = until(lambda: holder(here.state_dir), "the start")
        os.kill(owner, signal.SIGHUP)
        starting.join()
        until(lambda: '"event":"configuration taken"' in here.log.read_text(), "the new configuration")
        assert apps(here) == ["plate-web"]
    finally:
        starting.join()
        here.stop()


def test_a_terminal_that_hangs_up_ends_what_was_started_from_it(tmp_path: Path) -> None:
    bind = free_address()
    (tmp_path / "pilotage.yaml").write_text(configuration(bind))
    pid, terminal = pty.fork()
    if pid == 0:
        command = [sys.executable, "-m", "orchestrator.cli", "up", "--config", str(tmp_path / "pilotage.yaml")]
        os.execve(sys.executable, command, {**os.environ, **ENVIRON})
    read = bytearray()
    while b"Pilotage answers" not in read:
        read += os.read(terminal, 4096)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
