"""A first run lists what is missing until nothing is, and then becomes the product; any later one fails loudly."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from orchestrator.cli.errors import Code
from orchestrator.cli.product import free_address
from tests.support.configs import ENVIRON
from tests.support.offline import configuration
from tests.support.waiting import until


@contextmanager
def running(folder: Path, *command: str) -> Iterator["subprocess.Popen[str]"]:
    """Run a command until the block ends."""
    words = [sys.executable, "-m", "orchestrator.cli", *command, "--config", str(folder / "pilotage.yaml")]
    environ = {**os.environ, **ENVIRON, "PILOTAGE_STATE_DIR": str(folder / "state")}
    process = subprocess.Popen(words, env=environ, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def status(address: str, path: str) -> int:
    """Ask; 0 as long as nobody listens."""
    try:
        return requests.get(f"http://{address}{path}", timeout=10).status_code
    except requests.ConnectionError:
        return 0


def lacking(folder: Path, bind: str) -> Path:
    """Write a configuration that lacks a file with a secret; return that file."""
    secret = folder / "secret"
    text = configuration(bind).replace("${GITHUB_SECRET}", f"${{file:{secret}}}")
    (folder / "pilotage.yaml").write_text(text)
    return secret


def test_up_waits_with_a_page_and_starts_by_itself(tmp_path: Path) -> None:
    bind = free_address()
    secret = lacking(tmp_path, bind)
    with running(tmp_path, "up") as process:
        until(lambda: status(bind, "/readyz") == 503, "the page")
        process.send_signal(signal.SIGHUP)  # a reload ends nothing; the page looks at the file by itself
        page = requests.get(f"http://{bind}/", timeout=10)
        assert (page.status_code, f"cannot read the file {secret}" in page.text) == (503, True)
        assert requests.post(f"http://{bind}/webhooks/github", data=b"{}", timeout=10).status_code == 503
        assert not (tmp_path / "state").exists(), "nothing has run yet"
        secret.write_text(ENVIRON["GITHUB_SECRET"])
        until(lambda: status(bind, "/readyz") == 200, "the product")
    secret.unlink()
    with running(tmp_path, "up") as again:
        assert "cannot read the file" in again.communicate(timeout=60)[1]
        assert again.returncode == Code.FAILED


def test_a_client_that_is_silent_keeps_pilotage_from_nothing(tmp_path: Path) -> None:
    bind = free_address()
    secret = lacking(tmp_path, bind)
    host, _, port = bind.partition(":")
    with running(tmp_path, "up"):
        until(lambda: status(bind, "/readyz") == 503, "the page")
        with socket.create_connection((host, int(port))):
            secret.write_text(ENVIRON["GITHUB_SECRET"])
            until(lambda: status(bind, "/readyz") == 200, "the product")


def test_a_web_of_its_own_ends_where_something_is_missing(tmp_path: Path) -> None:
    lacking(tmp_path, free_address())
    with running(tmp_path, "web") as web:
        web.communicate(timeout=60)
        assert web.poll() == Code.FAILED
