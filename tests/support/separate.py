"""Pilotage as separate processes, each with a state folder of its own, that share PostgreSQL and Redis alone."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from orchestrator.cli.api import Api
from orchestrator.cli.product import free_address
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import StageName
from orchestrator.sandbox.platform import Platform
from orchestrator.store import runs
from orchestrator.store.database import Database
from tests.support.needs import require
from tests.support.waiting import until
from workers.clients.http import Http

COMMANDS = {
    "web": ("web",),
    "webhooks": ("webhooks",),
    "relay": ("relay",),
    "build": ("worker", "--queue", "build"),
    "deploy": ("worker", "--queue", "deploy"),
}
STOP_TIMEOUT = 40.0


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """Run a Redis on loopback that asks for a password; gives its address."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    require(program, "no redis-server (package redis-server)")
    folder.mkdir()
    host, port = free_address().split(":")
    config = f"bind {host}\nport {port}\ndir {folder}\nrequirepass loopback-only\nsave ''\n"
    with subprocess.Popen([str(program), "-"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert process.stdin
        process.stdin.write(config.encode())
        process.stdin.close()
        try:
            yield f"redis://:loopback-only@{host}:{port}/0"
        finally:
            process.terminate()


class Separate:
    """The five processes of one installation, and what one does with them.

    :param width: children of a worker. :param server: more for the section of that name.
    """

    def __init__(
        self, folder: Path, platform: Platform, database: Database, broker: str, width: int, **server: object
    ) -> None:
        self.folder = folder
        self._width = width
        self._server = {"database": "${DATABASE}", "broker": "${BROKER}", **server}
        self.platform = platform
        self.database = database
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        self.urls = {name: f"http://{free_address()}" for name in ("web", "webhooks")}
        self._environ = {**os.environ, **platform.environ(), "DATABASE": database.url, "BROKER": broker}
        self.pilotage("web", "migrate")
        self.api = Api(self.urls["web"], self.pilotage("web", "token", "create", "test", "--role", "admin").strip())

    def pilotage(self, name: str, *command: str) -> str:
        """Run a command to its end with the configuration of a process; return what it printed."""
        done = subprocess.run(
            self._command(name, *command), env=self._environ, capture_output=True, text=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def start(self, name: str) -> None:
        command = COMMANDS[name]
        if command[0] == "worker":
            command = (*command, "--concurrency", str(self._width))
        with (self.folder / f"{name}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                self._command(name, *command),
                env=self._environ,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ready(self) -> bool:
        """Tell whether all are up; fail when one has ended."""
        for name, process in self.processes.items():
            assert process.poll() is None, (self.folder / f"{name}.log").read_text()
        return all(_answers(url, path) for url, path in zip(self.urls.values(), ("/readyz", "/healthz"), strict=True))

    def crashes(self, run_id: int, stage: StageName) -> int:
        """Return how often a worker vanished while it was at a stage."""
        with self.database.read() as connection:
            run = runs.load(connection, run_id)
        assert run is not None
        return int(run.stage(stage).outputs.get("crashes", 0))

    def stop(self) -> Mapping[str, int]:
        """Tell every process to end, as a service manager does; return their exit codes."""
        for process in self.processes.values():
            process.send_signal(signal.SIGTERM)
        return {name: process.wait(STOP_TIMEOUT) for name, process in self.processes.items()}

    def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.wait(10)

    def _command(self, name: str, *command: str) -> list[str]:
        file = self.folder / f"{name}.yaml"
        if not file.exists():
            bind = self.urls.get(name, "http://127.0.0.1:1").removeprefix("http://")
            file.write_text(self.platform.configuration(bind, self.folder / name, **self._server))
        return [sys.executable, "-m", "orchestrator", *command, "--config", str(file)]


@contextmanager
def separate(
    folder: Path, platform: Platform, database: Database, *, width: int = 1, **server: object
) -> Iterator[Separate]:
    """Run all of it while the block lasts; the parameters are those of `Separate`."""
    with ExitStack() as stack:
        broker = stack.enter_context(redis_server(folder / "redis"))
        made = Separate(folder, platform, database, broker, width, **server)
        stack.callback(made.close)
        for name in COMMANDS:
            made.start(name)
        until(made.ready, "five processes that are ready")
        platform.hook_to(made.urls["webhooks"])
        yield made


def _answers(url: str, path: str) -> bool:
    try:
        return Http(url, Reason.INTERNAL).request("GET", path, read_timeout=5.0).status_code == 200
    except Unavailable:
        return False
