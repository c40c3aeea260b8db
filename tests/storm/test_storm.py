"""Processes are killed or frozen and services fail at random while people push and start runs; then we count.

`make storm` runs this (``STORM_SECONDS``, ``STORM_SEED``); anywhere else it is skipped. The seed decides what
is struck and what fails, and not what the processes are doing then: a fault need not come again with the same seed.
"""

import json
import os
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from orchestrator.cli.api import Api
from orchestrator.cli.errors import CliError
from orchestrator.sandbox.chat_slack import Shown
from orchestrator.sandbox.platform import GITOPS, SOURCE, Platform
from tests.support import weather
from tests.support.counting import Story, faults
from tests.support.databases import postgres_url
from tests.support.engine import require_engine
from tests.support.people import (
    AUTO,
    BACK,
    ENVIRONMENTS,
    FORCED,
    HELD,
    PATIENCE,
    PUSHED_TO,
    WORK,
    Developers,
    Operators,
    TwoApps,
    branch_of,
)
from tests.support.storms import Installation, apart, together
from tests.support.waiting import until
from tests.support.whole_loop import FINAL, Json, forge_git, remove_images

__all__ = ["postgres_url"]

SECONDS = float(os.environ.get("STORM_SECONDS") or 0)
SEED = int(os.environ.get("STORM_SEED") or 1)
FROZEN = 0.2
"""The part of the strikes that freeze processes in place of killing them."""

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not SECONDS, reason="is for `make storm`"),
    pytest.mark.timeout(int(SECONDS + 3 * PATIENCE)),
]


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    require_engine()
    environments = dict.fromkeys(ENVIRONMENTS, 1)
    with TwoApps(tmp_path / "platform", environments=environments, runtime="none") as made:
        yield made
        remove_images(made)


def test_up(tmp_path: Path, platform: Platform) -> None:
    with together(tmp_path, platform) as installation:
        assert faults(storm(installation, platform)) == []


def test_processes_of_their_own(tmp_path: Path, platform: Platform, postgres_url: str) -> None:
    with apart(tmp_path, platform, postgres_url) as installation:
        assert faults(storm(installation, platform)) == []


def storm(installation: Installation, platform: Platform) -> Story:
    """Let it rage, wait until all is calm, and tell what happened."""
    over = threading.Event()
    developers = Developers(installation.api, platform, over, SEED)
    operators = Operators(installation.api, over, SEED)
    for environment in PUSHED_TO:  # from now on the branches are known: a push whose hook is lost is found
        developers.push_to(environment, f"Begin {environment}")

    def calm() -> bool:
        installation.mend()  # what found its port taken by a process that was still ending
        operators.approve()
        operators.release()
        return _is_calm(installation.api, platform)

    until(calm, "the first runs", PATIENCE)
    threads = [threading.Thread(target=work) for work in (*developers.doing, *operators.doing)]
    for thread in threads:
        thread.start()
    try:
        happened = _rage(installation, platform, over)
    finally:
        over.set()
        until(lambda: _are_home(threads, installation), "everybody's last answer", PATIENCE)
    for what, times in sorted(happened.items()):
        print(f"{times:4}  {what}")
    developers.end()
    until(calm, "calm", PATIENCE)
    story = _told(installation.api, platform, developers, operators)
    print(f"{sum(run['taken_back_by'] is not None for run in story.runs.values()):4}  taken back")
    return story


def _are_home(threads: Sequence[threading.Thread], installation: Installation) -> bool:
    """Tell whether people have ended; who waits for an answer needs somebody who gives it."""
    installation.mend()
    return not any(thread.is_alive() for thread in threads)


def _rage(installation: Installation, platform: Platform, over: threading.Event) -> Counter[str]:
    chance, happened = Random(SEED), Counter[str]()
    timer = threading.Timer(SECONDS, over.set)
    timer.start()
    while not over.wait(chance.expovariate(1 / 2)):
        happened[weather.change(platform, chance)] += 1
        if chance.random() < FROZEN:
            happened[f"frozen: {installation.freeze(chance)}"] += 1
            continue
        happened[f"killed: {installation.strike(chance)}"] += 1
        over.wait(chance.random())
        installation.mend()
    return happened


def _runs(api: Api) -> list[Json]:
    page = api.get("/runs", {"limit": 100})
    found: list[Json] = page["items"]
    while page["next"]:
        page = api.get("/runs", {"limit": 100, "cursor": page["next"]})
        found += page["items"]
    return found


def _heads(platform: Platform) -> dict[str, str]:
    return {one: forge_git(platform, SOURCE, "rev-parse", branch_of(one)) for one in ENVIRONMENTS}


def _pushed(platform: Platform, forced: Sequence[str]) -> dict[str, Sequence[str]]:
    """Read the commits that were pushed to each environment's branch, oldest first, after the one it began with."""
    began = forge_git(platform, SOURCE, "rev-list", "--max-parents=0", "main")
    log = {one: forge_git(platform, SOURCE, "rev-list", "--reverse", branch_of(one)).split() for one in ENVIRONMENTS}
    return {one: [commit for commit in commits if commit != began] for one, commits in log.items()} | {FORCED: forced}


def _is_calm(api: Api, platform: Platform) -> bool:
    """Tell whether every branch's newest commit has a run, every run is over, and every message is sent."""
    with suppress(CliError):
        runs = _runs(api)
        seen = {(run["environment"], run["commit"]) for run in runs}
        there = seen >= set(_heads(platform).items())
        return there and all(run["state"] in FINAL for run in runs) and not _late(api, runs)
    return False


def _late(api: Api, runs: list[Json]) -> bool:
    """Tell whether a message is still to be sent."""
    told = (one["state"] for run in runs for one in api.run(run["id"])["notifications"])
    return any(state not in ("sent", "merged") for state in told)


def _told(api: Api, platform: Platform, developers: Developers, operators: Operators) -> Story:
    runs = {int(run["id"]): api.run(run["id"]) for run in _runs(api)}
    trailer = "%(trailers:key=Pilotage-Run,valueonly,separator=%x2C)"
    log = forge_git(platform, GITOPS, "log", "--reverse", f"--format=%H {trailer}", "main").splitlines()
    commits = [line.split() for line in log]
    accepted = [one for one in platform.forge.deliveries() if one.event == "push" and 200 <= one.status < 300]
    answers = [json.loads(one.answer) for one in accepted]
    shown = platform.chat.slack.shown
    return Story(
        runs=runs,
        commits=[int(words[1]) for words in commits if len(words) == 2],
        foreign_lost=sorted(set(developers.foreign) - {words[0] for words in commits}),
        pushed=_pushed(platform, developers.forced),
        started={**developers.started, **operators.started},
        held={HELD: operators.held},
        disordered=(BACK, AUTO),
        spoilt=(AUTO,),
        released=operators.released,
        answers=[answer for answer in answers if WORK not in answer.get("detail", "")],
        told=[(number, one.text.splitlines()[0]) for one in shown for number in runs if _is_about(one, number)],
    )


def _is_about(message: Shown, number: int) -> bool:
    return f"/runs/{number}|" in f"{message.text}{message.blocks}".replace(">", "|")
