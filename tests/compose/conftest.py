"""docker-compose.yml for real: the stack of the profile demo, once with each version of Docker Compose.

`make test-compose` runs these with an engine of their own; anywhere else they are skipped.
"""

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from orchestrator.cli import command
from tests.support.composing import Stack

ROOT = Path(__file__).parents[2]
ROBOT_SECRET = "Robot$a+b $HOME"
"""Goes from .env into containers, through the stand-in of Harbor, and through the engine's login."""


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of what Git knows of the checkout, with the two files that `pilotage init --demo` writes."""
    if "COMPOSE_V2" not in os.environ:
        pytest.skip("needs the engine of `make test-compose`")
    folder = tmp_path_factory.mktemp("project") / "pilotage"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
        timeout=30,
    )
    for name in listed.stdout.split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    command().main(args=["init", "--demo", str(folder)], standalone_mode=False)
    env = folder / ".env"
    lines = env.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if not line.startswith("HARBOR_PASSWORD=")]
    env.write_text("\n".join([*kept, f"HARBOR_PASSWORD='{ROBOT_SECRET}'", ""]), encoding="utf-8")
    return folder


@pytest.fixture(scope="module", params=["1", "2"], ids=["compose-1", "compose-2"])
def stack(project: Path, request: pytest.FixtureRequest) -> Iterator[Stack]:
    """The running stack; afterwards nothing of it may be left, the containers of the sample app included."""
    compose = "docker-compose" if request.param == "1" else os.environ["COMPOSE_V2"]
    running = Stack(project, compose, version=int(request.param))
    try:
        running.up()
        yield running
    finally:
        running.down()
    assert running.left() == []
