"""A worker as in production, a process of its own with a prefork pool, whose stages a test can hold up.

``python -m tests.support.worker FOLDER REDIS_URL``: a stage called X writes ``X.begun`` into the folder, and where
there is a file ``X.hold`` it waits until that is gone. Everything is done at once otherwise.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from orchestrator.cli import assembly
from orchestrator.cli.assembly import Parts
from orchestrator.cli.broker import Broker
from orchestrator.cli.everything import run_worker
from orchestrator.domain.apps import Channel, Secret, Settings
from orchestrator.domain.runs import Done, Outcome, StageName
from tests.support.contracts import ROOT
from tests.support.factories import make_settings
from workers import shell
from workers.stages.order import Order, Tools

QUEUE = "build"


@contextmanager
def running(folder: Path, redis_url: str, **environ: str) -> Iterator["subprocess.Popen[bytes]"]:
    """Run a worker while the block lasts; its log is ``worker.log`` in the folder, both streams."""
    command = [sys.executable, "-m", "tests.support.worker", str(folder), redis_url]
    with (folder / "worker.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env={**os.environ, **environ}, stdout=log, stderr=log, start_new_session=True
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def settings_of(folder: Path) -> Settings:
    """Return the settings of the worker, with a channel that nobody listens to."""
    secret = Secret("s3cret-of-the-team")
    channel = Channel(name="team", kind="webhook", url="http://127.0.0.1:1/", secret=secret, allow_private=True)
    return make_settings(str(folder), channels=(channel,))


def stage(name: StageName, folder: Path) -> Callable[[Order, Tools], Outcome]:
    """Make a stage that a test can hold up."""

    def run(_order: Order, tools: Tools) -> Outcome:
        tools.log(f"build output of {name}")
        (folder / f"{name}.begun").touch()
        while (folder / f"{name}.hold").exists():
            tools.checkpoint()
            time.sleep(0.05)
        return Done()

    return run


def main(folder: Path, redis_url: str) -> None:
    """Be the worker."""
    settings = replace(settings_of(folder), log_level=os.environ.get("PILOTAGE_LOG_LEVEL", "info"))
    assembly.log_as(f"worker-{QUEUE}", settings)
    shell.STAGES = {name: stage(name, folder) for name in StageName}  # type: ignore[assignment]
    run_worker(Parts(settings, Broker(redis_url)), {QUEUE: 1})


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
