"""Processes are killed and services fail at random while developers push and start runs; then all is counted.

`make storm` runs this (``STORM_SECONDS``, ``STORM_SEED``); anywhere else it is skipped. The seed decides what
is killed and what fails, and not what the processes are doing then: a fault need not come again with the same seed.
"""

import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from subprocess import CalledProcessError

import pytest

from orchestrator.cli.api import Api
from orchestrator.cli.errors import CliError
from orchestrator.sandbox import samples
from orchestrator.sandbox.chat_slack import Shown
from orchestrator.sandbox.platform import GITOPS, SOURCE, Platform
from tests.support import weather
from tests.support.counting import Story, faults
from tests.support.databases import postgres_url
from tests.support.engine import require_engine
from tests.support.storms import Installation, apart, together
from tests.support.waiting import until
from tests.support.whole_loop import FINAL, Json, git, remove_images

__all__ = ["postgres_url"]

SECONDS = float(os.environ.get("STORM_SECONDS") or 0)
SEED = int(os.environ.get("STORM_SEED") or 1)
CALM = 300.0
"""Seconds in which all is over after the storm: a lease of a killed worker, then what has piled up."""
ENVIRONMENTS = [f"e{number}" for number in range(5)]

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not SECONDS, reason="is for `make storm`"),
    pytest.mark.timeout(int(SECONDS + 3 * CALM)),
]


@pytest.fixture
def platform(tmp_path: Path) -> Iterator[Platform]:
    require_engine()
    environments = dict.fromkeys(ENVIRONMENTS, 1)
    with Platform(tmp_path / "platform", environments=environments, runtime="none") as made:
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
    developers = Developers(installation.api, platform, over)
    for environment in ENVIRONMENTS:  # from now on the branches are known: a push whose hook is lost is found
        developers.push_to(environment, "Begin")
    until(lambda: _is_calm(installation.api, platform), "the first runs")
    threads = [threading.Thread(target=work) for work in (developers.push, developers.start, developers.write)]
    for thread in threads:
        thread.start()
    try:
        happened = _rage(installation, platform, over)
    finally:
        over.set()
        for thread in threads:
            thread.join()
    for what, times in sorted(happened.items()):
        print(f"{times:4}  {what}")

    def calm() -> bool:
        installation.mend()  # what found its port taken by a process that was still ending
        return _is_calm(installation.api, platform)

    until(calm, "calm", CALM)
    return _told(installation.api, platform, developers)


def _rage(installation: Installation, platform: Platform, over: threading.Event) -> Counter[str]:
    chance, happened = Random(SEED), Counter[str]()
    timer = threading.Timer(SECONDS, over.set)
    timer.start()
    while not over.wait(chance.expovariate(1 / 2)):
        happened[weather.change(platform, chance)] += 1
        happened[f"killed: {installation.strike(chance)}"] += 1
        over.wait(chance.random())
        installation.mend()
    return happened


class Developers:
    """What people do meanwhile: they push, and they start runs by hand, again and again until they are answered."""

    def __init__(self, api: Api, platform: Platform, over: threading.Event) -> None:
        self._api = api
        self._platform = platform
        self._over = over
        self.started: dict[str, int] = {}
        self.foreign: list[str] = []

    def push_to(self, environment: str, text: str) -> None:
        files = samples.source_files(self._platform.base_image, text)
        self._platform.forge.commit(SOURCE, _branch(environment), files, "Change")

    def push(self) -> None:
        chance = Random(SEED + 1)
        while not self._over.wait(chance.expovariate(1 / 1.5)):
            with suppress(CalledProcessError):  # the server has a fault
                self.push_to(chance.choice(ENVIRONMENTS), str(chance.random()))

    def start(self) -> None:
        chance = Random(SEED + 2)
        while not self._over.wait(chance.expovariate(1 / 6)):
            self._start(chance.choice(ENVIRONMENTS), f"key-{len(self.started)}")

    def write(self) -> None:
        """Write to the GitOps repository too, past Pilotage."""
        while not self._over.wait(1.0):
            files = {"notes.md": f"Note {len(self.foreign)}\n"}
            with suppress(CalledProcessError):  # somebody else was faster, or the server has a fault
                self.foreign.append(self._platform.forge.commit(GITOPS, "main", files, "Note"))

    def _start(self, environment: str, key: str) -> None:
        body = {"app": samples.APP, "environment": environment, "ref": _branch(environment)}

        def answered() -> int:
            with suppress(CliError):
                return int(self._api.post("/runs", body, key)["id"])
            return 0

        self.started[key] = until(answered, "an answer", CALM)
        assert until(answered, "the same answer", CALM) == self.started[key]


def _branch(environment: str) -> str:
    return "main" if environment == ENVIRONMENTS[0] else f"deploy/{environment}"


def _runs(api: Api) -> list[Json]:
    page = api.get("/runs", {"limit": 100})
    found: list[Json] = page["items"]
    while page["next"]:
        page = api.get("/runs", {"limit": 100, "cursor": page["next"]})
        found += page["items"]
    return found


def _pushed(platform: Platform) -> dict[str, list[str]]:
    """Read the commits that were pushed to each environment's branch, oldest first, after the one it began with."""
    began = git(platform, SOURCE, "rev-list", "--max-parents=0", "main")
    log = {one: git(platform, SOURCE, "rev-list", "--reverse", _branch(one)).split() for one in ENVIRONMENTS}
    return {environment: [one for one in commits if one != began] for environment, commits in log.items()}


def _is_calm(api: Api, platform: Platform) -> bool:
    """Tell whether every branch's newest commit has a run, every run is over, and every message is sent."""
    with suppress(CliError):
        runs = _runs(api)
        seen = {(run["environment"], run["commit"]) for run in runs}
        heads = {(environment, commits[-1]) for environment, commits in _pushed(platform).items()}
        return seen >= heads and all(run["state"] in FINAL for run in runs) and not _late(api, runs)
    return False


def _late(api: Api, runs: list[Json]) -> bool:
    """Tell whether a message is still to be sent."""
    told = (one["state"] for run in runs for one in api.run(run["id"])["notifications"])
    return any(state not in ("sent", "merged") for state in told)


def _told(api: Api, platform: Platform, developers: Developers) -> Story:
    runs = {int(run["id"]): api.run(run["id"]) for run in _runs(api)}
    trailer = "%(trailers:key=Pilotage-Run,valueonly,separator=%x2C)"
    log = git(platform, GITOPS, "log", "--reverse", f"--format=%H {trailer}", "main").splitlines()
    commits = [line.split() for line in log]
    accepted = [one for one in platform.forge.deliveries() if one.event == "push" and 200 <= one.status < 300]
    shown = platform.chat.slack.shown
    return Story(
        runs=runs,
        commits=[int(words[1]) for words in commits if len(words) == 2],
        foreign_lost=sorted(set(developers.foreign) - {words[0] for words in commits}),
        pushed=_pushed(platform),
        started=developers.started,
        answers=[json.loads(one.answer) for one in accepted],
        told=[(number, one.text.splitlines()[0]) for one in shown for number in runs if _is_about(one, number)],
    )


def _is_about(message: Shown, number: int) -> bool:
    return f"/runs/{number}|" in f"{message.text}{message.blocks}".replace(">", "|")
