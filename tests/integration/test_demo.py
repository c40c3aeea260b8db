"""What `pilotage demo --stay` says: its commands work as they are printed, and nothing of it is left behind."""

import os
import pty
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from orchestrator.cli import product as products
from orchestrator.cli.claim import holder
from orchestrator.cli.demo import invitation, write_environment
from orchestrator.cli.errors import CliError
from orchestrator.cli.product import Product
from orchestrator.sandbox.forge import SandboxForge
from orchestrator.sandbox.platform import FORGE_USER, SOURCE
from tests.support.offline import product

TOKEN = "this-sandbox-token"

WITH_STAND_INS_THAT_TAKE_LONG = """
import contextlib, signal
from orchestrator.cli import demo
from orchestrator.sandbox import platform
@contextlib.contextmanager
def stuck(folder, **_):
    folder.mkdir()
    print("they start", flush=True)
    signal.pause()
    yield
platform.Platform = stuck
demo.run(stay=True)
"""
"""A demo that waits for its stand-ins."""


def test_the_printed_clone_can_be_pushed_to(tmp_path: Path) -> None:
    forge = SandboxForge(state_dir=tmp_path / "forge", users={FORGE_USER: TOKEN})
    forge.start()
    try:
        forge.create_repo(SOURCE, {"README.md": "Hello\n"})
        environ = {"GITOPS_TOKEN": TOKEN}
        platform = SimpleNamespace(forge=forge, chat_url="http://127.0.0.1:1", environ=lambda: environ)
        lines = list(invitation(platform, Product(tmp_path, "127.0.0.1:1", "", {})))
        command = next(line.removeprefix("Push      ") for line in lines if "git clone" in line)
        shell(tmp_path, command)
        author = "-c user.name=Mina -c user.email=mina@example.com"
        shell(tmp_path / "plate-web", f"git {author} commit --allow-empty --message 'From outside'")
        shell(tmp_path / "plate-web", "git push origin HEAD:main")
        assert "From outside" in shell(tmp_path / "plate-web", "git log --format=%s origin/main")
    finally:
        forge.stop()


def test_after_the_printed_file_commands_find_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "my tools" / "pilotage"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\necho this one\n")
    program.chmod(0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["my tools/pilotage", "demo"])
    product = Product(tmp_path / "the demo", "127.0.0.1:1", "", {})
    product.folder.mkdir()
    forge = SimpleNamespace(clone_url=lambda _: "http://127.0.0.1:1/a.git")
    secrets = {"GITOPS_TOKEN": TOKEN, "HARBOR_PASSWORD": "it's $HOME"}
    platform = SimpleNamespace(forge=forge, chat_url="http://127.0.0.1:1", environ=lambda: secrets)
    write_environment(platform, product)
    command = next(
        line.removeprefix("Commands  ") for line in invitation(platform, product) if line.startswith("Commands")
    )
    said = shell(tmp_path, f'{command}; echo "$PILOTAGE_URL $PILOTAGE_CONFIG $HARBOR_PASSWORD"')
    assert said == f"http://127.0.0.1:1 {product.folder}/pilotage.yaml it's $HOME\n"
    assert shell(tmp_path, f"{command}; cd /; pilotage") == "this one\n"
    assert (product.folder / "environment").stat().st_mode & 0o777 == 0o600


def test_a_terminal_that_hangs_up_ends_the_demo_in_order(tmp_path: Path) -> None:
    pid, terminal = pty.fork()
    if pid == 0:
        command = [sys.executable, "-c", WITH_STAND_INS_THAT_TAKE_LONG]
        os.execve(sys.executable, command, {**os.environ, "TMPDIR": str(tmp_path)})
    read = bytearray()
    while b"they start" not in read:
        read += os.read(terminal, 4096)
    os.close(terminal)
    os.waitpid(pid, 0)
    assert list(tmp_path.iterdir()) == []


def test_a_pilotage_that_is_not_ready_in_time_is_not_left_running(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with product(tmp_path) as here:
        here.stop()
        monkeypatch.setattr(products, "START_TIMEOUT", 0.0)
        with pytest.raises(CliError, match="did not start"):
            here.start()
        assert (here.running, holder(here.state_dir)) == (False, None)


def shell(folder: Path, command: str) -> str:
    """Run a command as a person would who has nothing but what was printed."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
