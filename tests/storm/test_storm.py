"""Processes are killed at random while developers push and start runs; then everything is counted.

`make storm` runs this (``STORM_SECONDS``, ``STORM_SEED``); anywhere else it is skipped. The seed decides about the
kills, and not about what the processes are doing then: a fault need not come again with the same seed.
"""

import json
import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest

from orchestrator.cli.api import Api
from orchestrator.cli.errors import CliError
from orchestrator.sandbox import samples
from orchestrator.sandbox.chat_slack import Shown
from orchestrator.sandbox.platform import GITOPS, SOURCE, Platform
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
    threads = [threading.Thread(target=work) for work in (developers.push, developers.start)]
    for thread in threads:
        thread.start()
    killed = _rage(installation, over)
    for thread in threads:
        thread.join()
    print("killed:", dict(killed))
    until(lambda: _is_calm(installation.api, developers.pushed), "calm", CALM)
    return _told(installation.api, platform, developers)


def _rage(installation: Installation, over: threading.Event) -> Counter[str]:
    chance, killed = Random(SEED), Counter[str]()
    timer = threading.Timer(SECONDS, over.set)
    timer.start()
    while not over.wait(chance.expovariate(1 / 2)):
        killed[installation.strike(chance)] += 1
        over.wait(chance.random())
        installation.mend()
    installation.mend()
    return killed


class Developers:
    """What people do meanwhile: they push, and they start runs by hand, again and again until they are answered."""

    def __init__(self, api: Api, platform: Platform, over: threading.Event) -> None:
        self._api = api
        self._platform = platform
        self._over = over
        self.pushed: dict[str, list[str]] = {environment: [] for environment in ENVIRONMENTS}
        self.started: dict[str, int] = {}

    def push(self) -> None:
        chance = Random(SEED + 1)
        while not self._over.wait(chance.expovariate(1 / 1.5)):
            environment = chance.choice(ENVIRONMENTS)
            files = samples.source_files(self._platform.base_image, str(chance.random()))
            commit = self._platform.forge.commit(SOURCE, _branch(environment), files, "Change")
            self.pushed[environment].append(commit)

    def start(self) -> None:
        chance = Random(SEED + 2)
        while not self._over.wait(chance.expovariate(1 / 6)):
            environment = chance.choice([one for one, commits in self.pushed.items() if commits] or [""])
            if environment:
                self._start(environment, f"key-{len(self.started)}")

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


def _is_calm(api: Api, pushed: dict[str, list[str]]) -> bool:
    """Tell whether every branch's newest commit has a run, every run is over, and every message is sent."""
    with suppress(CliError):
        runs = _runs(api)
        seen = {(run["environment"], run["commit"]) for run in runs}
        heads = {(environment, commits[-1]) for environment, commits in pushed.items() if commits}
        return seen >= heads and all(run["state"] in FINAL for run in runs) and not _late(api, runs)
    return False


def _late(api: Api, runs: list[Json]) -> bool:
    """Tell whether a message is still to be sent."""
    told = (one["state"] for run in runs for one in api.run(run["id"])["notifications"])
    return any(state not in ("sent", "merged") for state in told)


def _told(api: Api, platform: Platform, developers: Developers) -> Story:
    runs = {int(run["id"]): api.run(run["id"]) for run in _runs(api)}
    trailer = "%(trailers:key=Pilotage-Run,valueonly,separator=%x2C)"
    commits = git(platform, GITOPS, "log", "--reverse", f"--format={trailer}", "main").split()
    accepted = [one for one in platform.forge.deliveries() if one.event == "push" and 200 <= one.status < 300]
    shown = platform.chat.slack.shown
    return Story(
        runs=runs,
        commits=[int(number) for number in commits],
        pushed=developers.pushed,
        started=developers.started,
        answers=[json.loads(one.answer) for one in accepted],
        told=[(number, one.text.splitlines()[0]) for one in shown for number in runs if _is_about(one, number)],
    )


def _is_about(message: Shown, number: int) -> bool:
    return f"/runs/{number}|" in f"{message.text}{message.blocks}".replace(">", "|")
