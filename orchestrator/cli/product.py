"""The product as a user runs it, ``pilotage up`` in a process of its own, for the demo, the tests and benchmarks."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType

from orchestrator.cli.api import Api
from orchestrator.cli.errors import CliError, Code
from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients.http import Http

START_TIMEOUT = 30.0
STOP_TIMEOUT = 40.0


class Product:
    """One running ``pilotage up``; a context manager.

    :param folder: where the configuration, the state and the log are. :param configuration: text of the YAML file.
    :param environ: the variables that the configuration names, beside this process's own.
    :param module: what Python runs in place of the command (benchmarks).
    """

    def __init__(
        self,
        folder: Path,
        bind: str,
        configuration: str,
        environ: Mapping[str, str],
        *,
        module: str = "orchestrator.cli",
    ) -> None:
        self.folder = folder
        self.url = f"http://{bind}"
        self.log = folder / "pilotage.log"
        self._configuration = configuration
        self._environ = dict(environ)
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def state_dir(self) -> Path:
        """The product's state folder."""
        return self.folder / "state"

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether the supervisor is there."""
        return self._process is not None and self._process.poll() is None

    def __enter__(self) -> "Product":
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "pilotage.yaml").write_text(self._configuration, encoding="utf-8")
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Start and wait until it is ready. :raises CliError: it does not become ready."""
        command = [sys.executable, "-m", self._module, "up", "--config", str(self.folder / "pilotage.yaml")]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environ},
                start_new_session=True,
            )
        try:
            self._wait_until_ready(self._process)
        except BaseException:  # Ctrl-C as well: it is in a session of its own, and nobody else would end it
            self.stop()
            raise

    def stop(self) -> None:
        """Stop it as a service manager does, and make sure that no process of it is left."""
        process = self._process
        if process is None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            self.kill()
        self._process = None

    def kill(self) -> None:
        """Kill all its processes at once, as a power cut would."""
        if self._process is not None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def api(self) -> Api:
        """Return its API with the token that it made for this machine."""
        return Api(self.url, (self.state_dir / "token").read_text(encoding="utf-8").strip())

    def _wait_until_ready(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_TIMEOUT
        while time.monotonic() < deadline and process.poll() is None:
            if self._answers():
                return
            time.sleep(0.05)  # there is no event for "another process listens"
        tail = self.log.read_text(encoding="utf-8", errors="replace")[-2000:]
        raise CliError(f"Pilotage did not start; the end of its log:\n{tail}", Code.FAILED)

    def _answers(self) -> bool:
        try:
            return Http(self.url, Reason.INTERNAL).request("GET", "/readyz", read_timeout=2.0).status_code == 200
        except Unavailable:
            return False


def free_address() -> str:
    """Return a loopback address that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"
