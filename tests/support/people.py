"""What people do in a storm: developers push, start runs, write to Git; operators hold, approve, cancel, repeat."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from subprocess import CalledProcessError

import yaml

from orchestrator.cli.api import Api
from orchestrator.cli.errors import CliError, Code
from orchestrator.sandbox import samples
from orchestrator.sandbox.argocd_faults import FaultName
from orchestrator.sandbox.platform import GITOPS, SOURCE, Platform
from tests.support.waiting import until
from tests.support.whole_loop import FINAL, Json

PATIENCE = 300.0
"""Seconds until a request is answered, sent again and again, and until all is over once it is calm."""
PLAIN = tuple(f"e{number}" for number in range(5))
"""Environments to which people only push, and start runs by hand. The first has ``main``."""
TWIN, HELD, NEXT, AGAIN, BACK, FORCED, AUTO = "twin", "held", "next", "again", "back", "forced", "auto"
"""Environments of a second app of the same repository: ``main`` as well; one that is held now and then; one to which
that is promoted after approval; one whose runs are cancelled and repeated; one that is rolled back; one whose branch
is rewritten; one that takes back what does not run there.
"""
OPS = (TWIN, HELD, NEXT, AGAIN, BACK, FORCED, AUTO)
ENVIRONMENTS = (*PLAIN, *OPS)
PUSHED_TO = tuple(one for one in ENVIRONMENTS if one not in (TWIN, NEXT))
OPS_APP = "plate-ops"
_SPOILT = f"{samples.APP}-{AUTO}"
"""The application whose deploys are spoilt now and then."""
WORK = "work/"
"""Branches that deploy nowhere begin so."""


class TwoApps(Platform):
    """The stand-ins, whose configuration has the environments of `OPS` in an app of their own."""

    def configuration(self, bind: str, state_dir: Path, **server: object) -> str:
        values = yaml.safe_load(super().configuration(bind, state_dir, **server))
        app = values["apps"][0]
        places = {one["name"]: one for one in app["environments"]}
        places[TWIN]["branch"] = "main"
        del places[NEXT]["branch"]
        places[NEXT] |= {"promote_from": HELD, "approval": "required"}
        places[AUTO]["rollback"] = "auto"
        app["environments"] = [places[name] for name in PLAIN]
        values["apps"].append({**app, "name": OPS_APP, "environments": [places[name] for name in OPS]})
        text: str = yaml.safe_dump(values, sort_keys=False, allow_unicode=True)
        return text


def branch_of(environment: str) -> str:
    return "main" if environment in (PLAIN[0], TWIN) else f"deploy/{HELD if environment == NEXT else environment}"


class Developers:
    """They push, start runs by hand and write to the GitOps repository past Pilotage."""

    def __init__(self, api: Api, platform: Platform, over: threading.Event, seed: int) -> None:
        self._asking = Asking(api)
        self._platform = platform
        self._over = over
        self._seed = seed
        self.started = self._asking.runs
        self.foreign: list[str] = []
        self.forced: list[str] = []

    @property
    def doing(self) -> tuple[Callable[[], None], ...]:
        """What they do at the same time."""
        return self.push, self.start, self.write, self.spoil

    def push_to(self, environment: str, text: str) -> None:
        files = samples.source_files(self._platform.base_image, text)
        if environment == FORCED:
            self._force(files)
        else:
            self._platform.forge.commit(SOURCE, branch_of(environment), files, "Change")

    def _force(self, files: Mapping[str, str]) -> None:
        """Put another history in the place of the branch: what it had is not in it any more."""
        commit = self._platform.forge.commit(SOURCE, f"{WORK}{len(self.forced)}", files, "Another one")
        self.forced.append(commit)  # the answer to the push may be lost
        try:
            self._platform.forge.push_refs(SOURCE, {f"refs/heads/{branch_of(FORCED)}": commit}, force=True)
        except CalledProcessError:
            if self._platform.forge.head(SOURCE, branch_of(FORCED)) != commit:
                self.forced.remove(commit)
            raise

    def push(self) -> None:
        chance = Random(self._seed + 1)
        while not self._over.wait(chance.expovariate(1 / 1.5)):
            with suppress(CalledProcessError):  # the server has a fault
                self.push_to(chance.choice(PUSHED_TO), str(chance.random()))

    def spoil(self) -> None:
        """Push what does not run: for some seconds nothing does that comes to one environment."""
        chance = Random(self._seed + 5)
        while not self._over.wait(chance.expovariate(1 / 3)):
            seconds = chance.uniform(10, 20)
            self._platform.argocd.faults.set(FaultName.DEGRADED, _SPOILT, seconds=seconds)
            with suppress(CalledProcessError):  # the server has a fault
                self.push_to(AUTO, f"Spoilt {chance.random()}")
            self._over.wait(seconds)

    def end(self) -> None:
        """Push once more to every branch: whatever people have cancelled or rolled back, these have to arrive."""
        self._platform.argocd.faults.lift(FaultName.DEGRADED, _SPOILT)
        for environment in PUSHED_TO:

            def pushed(environment: str = environment) -> bool:
                with suppress(CalledProcessError):
                    self.push_to(environment, f"The end of {environment} {time.time()}")
                    return True
                return False

            until(pushed, f"a push to {environment}")

    def start(self) -> None:
        chance = Random(self._seed + 2)
        while not self._over.wait(chance.expovariate(1 / 6)):
            environment = chance.choice(PLAIN)
            body = {"app": samples.APP, "environment": environment, "ref": branch_of(environment)}
            self._asking.for_run("/runs", body)

    def write(self) -> None:
        """Write to the GitOps repository too, past Pilotage."""
        while not self._over.wait(1.0):
            files = {"notes.md": f"Note {len(self.foreign)}\n"}
            with suppress(CalledProcessError):  # somebody else was faster, or the server has a fault
                self.foreign.append(self._platform.forge.commit(GITOPS, "main", files, "Note"))


@dataclass
class Operators:
    """They hold and release, approve, cancel, repeat and roll back."""

    api: Api
    over: threading.Event
    seed: int
    held: list[tuple[float, float]] = field(default_factory=list)
    released: list[float] = field(default_factory=list)
    """When they were about to release the environment that is held by itself."""

    def __post_init__(self) -> None:
        self._asking = Asking(self.api)
        self.started = self._asking.runs

    @property
    def doing(self) -> tuple[Callable[[], None], ...]:
        """What they do at the same time."""
        return self.hold, self.look_after

    def hold(self) -> None:
        """Hold an environment now and then, for some seconds."""
        chance = Random(self.seed + 3)
        while not self.over.wait(chance.expovariate(1 / 5)):
            self._asking.once(_place(HELD, "hold"), {"reason": "storm"})
            since = time.time()
            self.over.wait(chance.uniform(2, 8))
            self.held.append((since, time.time()))
            self._asking.once(_place(HELD, "release"))

    def look_after(self) -> None:
        chance = Random(self.seed + 4)
        while not self.over.wait(chance.expovariate(1 / 3)):
            often = (self.approve, self.release, self.release)
            chance.choice((*often, self._cancel, self._repeat, self._roll_back))(chance)

    def approve(self, _chance: Random | None = None) -> None:
        for run in self._runs(NEXT):
            if run["reason"] == "awaiting_approval":
                self._asking.once(f"/runs/{run['id']}/approve")

    def release(self, _chance: Random | None = None) -> None:
        """Let deploys go on where one was taken back."""
        self.released.append(time.time())
        self._asking.once(_place(AUTO, "release"))

    def _cancel(self, chance: Random) -> None:
        going = [run for run in self._runs(AGAIN) if run["state"] not in FINAL]
        if going:
            self._asking.once(f"/runs/{chance.choice(going)['id']}/cancel")

    def _repeat(self, chance: Random) -> None:
        over = [run for run in self._runs(AGAIN) if run["state"] in FINAL]
        if over:
            body = {"from": chance.choice(["failed", "start", "build", "commit"])}
            self._asking.for_run(f"/runs/{chance.choice(over)['id']}/rerun", body)

    def _roll_back(self, chance: Random) -> None:
        self._asking.for_run(_place(chance.choice([BACK, AUTO]), "rollback"), {})

    def _runs(self, environment: str) -> list[Json]:
        with suppress(CliError):
            found: list[Json] = self.api.get("/runs", {"environment": environment, "limit": 50})["items"]
            return found
        return []


def _place(environment: str, what: str) -> str:
    return f"/apps/{OPS_APP}/environments/{environment}/{what}"


class Asking:
    """Asks until there is an answer, under one key: what is asked for is done once."""

    _lock = threading.Lock()
    _number = 0

    def __init__(self, api: Api) -> None:
        self._api = api
        self.runs: dict[str, int] = {}
        """Key to run id, of what started a run."""

    def once(self, path: str, body: Mapping[str, object] | None = None) -> Json | None:
        """Return the answer; None: it is not possible."""
        return self._ask(path, body, self._key())

    def for_run(self, path: str, body: Mapping[str, object]) -> None:
        """Ask for a run, and once more for the same one."""
        key = self._key()
        told = self._ask(path, body, key)
        if told is not None:
            self.runs[key] = int(told["id"])
            again = self._ask(path, body, key)
            assert again is not None
            assert int(again["id"]) == self.runs[key], (path, told, again)

    def _ask(self, path: str, body: Mapping[str, object] | None, key: str) -> Json | None:
        answers: list[Json | None] = []

        def answered() -> bool:
            try:
                answers.append(self._api.post(path, body, key))
            except CliError as error:
                if error.code is Code.USAGE and "still being" not in str(error):
                    answers.append(None)
            return bool(answers)

        until(answered, f"an answer to {path}", PATIENCE)
        return answers[0]

    def _key(self) -> str:
        with Asking._lock:
            Asking._number += 1
            return f"key-{Asking._number}"
