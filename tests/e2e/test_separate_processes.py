"""One push through `web`, `webhooks`, `relay` and two workers as processes, over PostgreSQL and Redis."""

import json
import os
import signal
from collections.abc import Iterator

import pytest

from orchestrator.domain.runs import StageName
from orchestrator.sandbox import samples
from orchestrator.sandbox.platform import SOURCE, Platform
from tests.support.databases import postgres_database, postgres_url
from tests.support.engine import require_engine
from tests.support.journals import bad_lines
from tests.support.processes import children
from tests.support.separate import COMMANDS, Separate, separate
from tests.support.waiting import until
from tests.support.whole_loop import FINAL, Json, gitops_commits, remove_images, stage_of, succeeded

pytestmark = pytest.mark.slow

__all__ = ["postgres_url"]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, postgres_url: str) -> Iterator[Separate]:
    require_engine()
    folder = tmp_path_factory.mktemp("separate")
    with (
        postgres_database(postgres_url) as database,
        Platform(folder / "platform", runtime="none") as platform,
        separate(folder, platform, database) as made,
    ):
        yield made
        remove_images(platform)


def push(running: Separate, text: str, *lines: str) -> int:
    """Push as a developer does; return the run that the forge's hook made."""
    files = samples.source_files(running.platform.base_image, text)
    files["Dockerfile"] += "".join(f"{line}\n" for line in lines)
    commit = running.platform.forge.commit(SOURCE, "main", files, text)

    def made() -> int:
        items: list[Json] = running.api.get("/runs", {"limit": 10})["items"]
        return next((int(run["id"]) for run in items if run["commit"] == commit), 0)

    return until(made, "the run of the push")


def end(running: Separate, run_id: int) -> Json:
    def ended() -> Json | None:
        run: Json = running.api.run(run_id)
        return run if run["state"] in FINAL else None

    return until(ended, f"the end of run {run_id}")


@pytest.mark.timeout(300)
def test_a_push_is_deployed_a_killed_build_is_taken_up_and_all_end_when_told(running: Separate) -> None:
    succeeded(end(running, push(running, "Hello")))

    killed = push(running, "Hello again", "RUN sleep 3")
    until(lambda: stage_of(running.api.run(killed), "build")["state"] == "running", "a build at work")
    (child,) = children(running.processes["build"].pid, "")
    os.kill(child, signal.SIGKILL)
    run = succeeded(end(running, killed))  # after the lease of the one that was killed has run out
    assert len(gitops_commits(running.platform, killed)) == 1
    assert (running.crashes(killed, StageName.BUILD), stage_of(run, "build")["reused"]) == (1, False)

    assert running.stop() == dict.fromkeys(COMMANDS, 0)
    for name in COMMANDS:
        lines = (running.folder / f"{name}.log").read_text().splitlines()
        assert bad_lines([json.loads(line) for line in lines]) == [], name
