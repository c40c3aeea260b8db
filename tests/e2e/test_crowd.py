"""Many at once: a GitOps repository that many runs want, a stream of pushes, deliveries out of order."""

from collections.abc import Iterator

import pytest

from orchestrator.sandbox import samples
from orchestrator.sandbox.forge_hooks import HookFault
from orchestrator.sandbox.githttp import Fault
from orchestrator.sandbox.platform import GITOPS, SOURCE
from tests.support.databases import postgres_database, postgres_url
from tests.support.engine import require_engine
from tests.support.waiting import until
from tests.support.whole_loop import FINAL, Json, Loop, succeeded, summary, whole_loop

pytestmark = pytest.mark.slow

__all__ = ["postgres_url"]

CROWD = tuple(f"p{number:02}" for number in range(25))
MOST_PUSHES = 10
"""Pushes to the GitOps repository for 25 runs; it would be 25 without group commit."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def crowd(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    require_engine()
    folder = tmp_path_factory.mktemp("crowd")
    environments = dict.fromkeys(("stg", "stream", "order", "forced", *CROWD), 1)
    if request.param == "sqlite":
        with whole_loop(folder, environments, runtime="none") as running:
            yield running
    else:
        with (
            postgres_database(request.getfixturevalue("postgres_url")) as database,
            whole_loop(folder, environments, runtime="none", database=database.url, concurrency=4) as running,
        ):
            yield running


def test_many_runs_at_once_lose_no_commit_and_share_pushes(crowd: Loop) -> None:
    tag = succeeded(crowd.deploy())["receipt"]["image"].rpartition(":")[2]
    before, pushes = int(crowd.git(GITOPS, "rev-list", "--count", "main")), len(crowd.receives())
    crowd.platform.forge.git_fault(Fault(service="receive", delay=0.5, times=MOST_PUSHES))  # as over a network
    started = [crowd.start(environment=name, image=tag) for name in CROWD]
    wanted = set(started)

    def over() -> bool:
        return wanted <= {run["id"] for run in crowd.runs() if run["state"] in FINAL}

    until(over, "the end of all runs", 90)
    for run in crowd.runs():
        if run["id"] in wanted:
            succeeded(run)
    assert int(crowd.git(GITOPS, "rev-list", "--count", "main")) - before == len(CROWD)
    for name in CROWD:
        assert tag in crowd.git(GITOPS, "show", f"main:{samples.CHART}/values-{name}.yaml"), name
    assert len(crowd.receives()) - pushes <= MOST_PUSHES


def test_a_steady_stream_of_pushes_still_deploys_and_never_backwards(crowd: Loop) -> None:
    pushed: list[str] = []

    def deployed() -> list[Json]:
        return [run for run in crowd.runs(environment="stream") if run["state"] == "succeeded"]

    def push_and_look() -> list[Json]:
        pushed.append(crowd.push(branch="deploy/stream", message=f"Version {len(pushed)}"))
        return deployed()

    until(push_and_look, "a deploy amid a stream of pushes", 40)
    crowd.run_of(pushed[-1], "stream")
    until(lambda: all(run["state"] in FINAL for run in crowd.runs(environment="stream")), "the end of the stream")
    assert deployed()[0]["commit"] == pushed[-1]
    ended = crowd.runs(environment="stream")
    assert {run["reason"] for run in ended} <= {"healthy", "superseded", "older_commit"}, list(map(summary, ended))
    order = crowd.git(
        GITOPS,
        *("log", "--reverse", "--format=%(trailers:key=Pilotage-Source-Commit,valueonly,separator=%x2C)"),
        *("main", "--", f"{samples.CHART}/values-stream.yaml"),
    ).split()
    assert order == sorted(order, key=pushed.index)
    assert order[-1] == pushed[-1]


def test_an_older_push_that_arrives_late_does_not_go_back(crowd: Loop) -> None:
    forge = crowd.platform.forge
    forge.settle()
    first = crowd.push(branch="work/order")
    older = crowd.push(branch="work/order")
    newer = crowd.push(branch="work/order")
    forge.push_refs(SOURCE, {"refs/heads/deploy/order": first})
    succeeded(crowd.end(crowd.run_of(first, "order")))
    forge.fault(HookFault(delay=3.0))
    forge.push_refs(SOURCE, {"refs/heads/deploy/order": older})
    forge.push_refs(SOURCE, {"refs/heads/deploy/order": newer})
    succeeded(crowd.end(crowd.run_of(newer, "order")))
    late = crowd.end(crowd.run_of(older, "order"))
    assert (late["state"], late["reason"]) == ("cancelled", "older_commit")
    assert not crowd.gitops_commits(late["id"])


def test_a_push_that_was_forced_away_does_not_come_back_with_its_late_hook(crowd: Loop) -> None:
    forge = crowd.platform.forge
    forge.settle()
    gone, stays = crowd.push(branch="work/gone"), crowd.push(branch="work/stays")
    forge.fault(HookFault(delay=3.0))
    forge.push_refs(SOURCE, {"refs/heads/deploy/forced": gone})
    forge.push_refs(SOURCE, {"refs/heads/deploy/forced": stays}, force=True)
    succeeded(crowd.end(crowd.run_of(stays, "forced")))
    late = crowd.end(crowd.run_of(gone, "forced"))
    assert (late["state"], late["reason"]) == ("cancelled", "rewritten")
    assert not crowd.gitops_commits(late["id"])
