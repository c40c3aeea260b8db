"""What `pilotage demo --stay` says: its commands work as they are printed."""

import os
import subprocess
from pathlib import Path
from types import SimpleNamespace

from orchestrator.cli.demo import invitation
from orchestrator.cli.product import Product
from orchestrator.sandbox.forge import SandboxForge
from orchestrator.sandbox.platform import FORGE_USER, SOURCE

TOKEN = "this-sandbox-token"


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


def shell(folder: Path, command: str) -> str:
    """Run a command as a person would who has nothing but what was printed."""
    environ = {"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_TERMINAL_PROMPT": "0"}
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
