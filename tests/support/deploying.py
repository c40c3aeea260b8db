"""Fakes of the services that ``check``, ``commit``, ``sync`` and ``health`` use, and their orders."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import SimpleNamespace
from typing import Any, cast

from orchestrator.domain.changes import Batch, Change, Landed
from orchestrator.domain.errors import PilotageError
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Rival, StageName, StageState
from tests.support.factories import COMMIT, NOW, make_app, make_environment, make_run, make_settings
from tests.support.registries import DIGEST, FakeHarbor, FakeRegistry
from workers.clients.git_commit import CommitMessage
from workers.clients.git_errors import Missing
from workers.stages.order import Order, Tools

HEAD = "f" * 40
GITOPS_COMMIT = "9" * 40
IMAGE = f"harbor.example.com/plate/plate-web:sha-{COMMIT[:12]}"
VALUES = b"image:\n  repository: x\n  tag: old  # ours\n"


@dataclass
class FakeMirror:
    """A repository with a few commits in a line, oldest first, commits that were forced out of it, and files.

    ``subject`` and ``author``: those of each commit. ``compares``: whether the order of two commits can be told.
    ``away``: those of the line that only the server has until they are fetched. ``tip``: where the branch is, if that
    is not the end of the line; None: there is no branch.
    """

    line: tuple[str, ...] = (COMMIT,)
    files: Mapping[str, bytes] = field(default_factory=dict)
    head: str = HEAD
    parted: tuple[str, ...] = ()
    messages: Mapping[str, str] = field(default_factory=dict)
    error: PilotageError | None = None
    fetched: list[str] = field(default_factory=list)
    away: set[str] = field(default_factory=set)
    tip: str | None = ""
    subject: str = "Change the greeting"
    author: str = "Mina"
    compares: bool = True

    def history(
        self, head: str, limit: int, containing: str, *, after: str = "", path: str = ""
    ) -> list[CommitMessage]:
        if head not in self.line:
            return []
        line = self.line[self.line.index(after) + 1 : self.line.index(head) + 1]
        told = [(one, self.messages.get(one, "")) for one in reversed(line)]
        before = dict(zip(self.line[1:], self.line, strict=False))
        return [CommitMessage(commit=one, parent=before[one], text=text) for one, text in told if containing in text]

    def resolve(self, ref: str, *, checkpoint: Callable[[], None]) -> str:
        self._trouble()
        return self.line[-1]

    def fetch_commit(self, commit: str, ref: str = "", *, checkpoint: Callable[[], None], new: bool = False) -> str:
        self._trouble()
        if commit not in (*self.line, *self.parted):
            raise Missing(Reason.COMMIT_NOT_FOUND, commit)
        self.fetched.append(commit)
        self.away.discard(commit)
        return "" if self.tip is None else self.tip or self.line[-1]

    def fetch_branch(self, branch: str, *, checkpoint: Callable[[], None]) -> str:
        self._trouble()
        return self.head

    def noted_head(self, branch: str, max_age: float) -> str | None:
        return None

    def commit_info(self, commit: str) -> Any:
        return SimpleNamespace(subject=self.subject, author_name=self.author, date="2026-11-24T08:00:00+09:00")

    def has(self, commit: str) -> bool:
        return commit in self.line

    def read(self, commit: str, path: str) -> bytes | None:
        return self.files.get(path)

    def is_ancestor(self, older: str, newer: str) -> bool | None:
        if older in self.parted or newer in self.parted:
            return older == newer
        if not self.compares or not {older, newer} <= set(self.line) - self.away:
            return None
        return self.line.index(older) <= self.line.index(newer)

    def _trouble(self) -> None:
        if self.error is not None:
            raise self.error


@dataclass
class FakeArgo:
    """Answers with one application after the other, the last one again and again."""

    answers: list[Any] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    may: frozenset[str] = frozenset({"get", "sync"})
    windows: dict[str, Any] = field(default_factory=lambda: {"canSync": True})
    nodes: list[dict[str, Any]] = field(default_factory=list)
    listed: Any = ()

    def can_i(self, action: str, project: str, name: str) -> bool:
        self.asked.append(f"{action} {project}/{name}")
        return action in self.may

    def get(self, name: str, *, project: str = "", app_namespace: str = "", refresh: str = "") -> Any:
        self.asked.append(refresh or "plain")
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, PilotageError):
            raise answer
        return answer

    def sync(self, name: str, *, project: str = "", app_namespace: str = "") -> bool:
        self.asked.append("sync")
        return True

    def applications(self, fields: Any = ()) -> Any:
        self.asked.append("list")
        if isinstance(self.listed, PilotageError):
            raise self.listed
        return self.listed

    def resource_tree(self, name: str, **_: Any) -> dict[str, Any]:
        return {"nodes": self.nodes}

    def events(self, name: str, **_: Any) -> list[dict[str, Any]]:
        return []

    def sync_windows(self, name: str, **_: Any) -> dict[str, Any]:
        self.asked.append("windows")
        return self.windows

    def logs(self, name: str, pod: str, namespace: str, **_: Any) -> list[str]:
        return []


@dataclass
class FakeCommits:
    """A queue whose writer is free or not."""

    result: Any = None
    free: bool = True
    queued: bool = False
    written: Change | None = None
    others: tuple[Change, ...] = ()
    submitted: list[Change] = field(default_factory=list)
    finished: list[Any] = field(default_factory=list)
    given_back: list[int] | None = None

    def submit(self, change: Change) -> Any:
        self.submitted.append(change)
        if self.result is not None:
            return self.result
        return Batch(changes=[*self.others, *self.submitted]) if self.free else None

    def has(self, run_id: int) -> bool:
        return self.queued

    def taken(self, run_id: int) -> Change | None:
        return self.written or (self.submitted[-1] if self.submitted else None)

    def renew(self) -> bool:
        return True

    def count_retry(self) -> None:
        pass

    def finish(self, results: list[Any]) -> None:
        self.finished.extend(results)

    def stop(self, unfinished: list[Change] | tuple[Change, ...] = ()) -> None:
        self.given_back = [change.run for change in unfinished]


def landed(run: int = 7, *, created: bool = True, previous: tuple[str, ...] = ("old",)) -> Landed:
    """Say that a change is in Git."""
    return Landed(run=run, commit=GITOPS_COMMIT, created=created, previous=previous)


def application(**status: Any) -> dict[str, Any]:
    """Make an application that reads our file from our branch and has nothing applied yet."""
    return {
        "metadata": {"name": "plate-web-stg"},
        "spec": {
            "source": {
                "repoURL": "https://git.example.com/platform/gitops.git",
                "path": "web",
                "targetRevision": "main",
                "helm": {"valueFiles": ["values-stg.yaml"]},
            },
            "syncPolicy": {"automated": {}},
        },
        "status": status,
    }


def live(revision: str = GITOPS_COMMIT, health: str = "Healthy", image: str = IMAGE) -> dict[str, Any]:
    """Make an application that has applied `revision`."""
    return application(
        sync={"status": "Synced", "revision": revision},
        health={"status": health, "lastTransitionTime": "2026-11-24T09:00:04Z"},
        operationState={
            "phase": "Succeeded",
            "finishedAt": "2026-11-24T09:00:03Z",
            "startedAt": "2026-11-24T09:00:02Z",
            "syncResult": {"revision": revision},
            "operation": {"sync": {"revision": revision}},
        },
        reconciledAt="2026-11-24T09:00:04Z",
        summary={"images": [image]},
    )


def order(stage: StageName, *, now: datetime = NOW, rivals: tuple[Rival, ...] = (), **fields: Any) -> Order:
    """Make an order for a stage at work; `fields` are those of the run, plus environment_*, outputs and insists."""
    keys = {
        key.removeprefix("environment_"): fields.pop(key) for key in list(fields) if key.startswith("environment_")
    }
    outputs, insists = fields.pop("outputs", {}), fields.pop("insists", None)
    environment = make_environment(**keys)
    app = make_app(environments=(environment,))
    defaults: dict[str, Any] = {"image": IMAGE, "digest": DIGEST} if stage is not StageName.CHECK else {}
    run = make_run(stage, StageState.RUNNING, **(defaults | fields))
    return Order(
        run=run,
        app=app,
        environment=environment,
        settings=make_settings("/nonexistent", apps=(app,), external_url="https://pilotage.example.com"),
        outputs=outputs,
        rivals=rivals,
        insists=run.trigger.insists if insists is None else insists,
        started_at=NOW,
        deadline_at=run.stage(stage).deadline_at,
        now=now,
    )


def tools(log: Callable[[str], None] = lambda _: None, **clients: Any) -> Tools:
    """Make tools from fakes; what is not named is a good one."""
    defaults: dict[str, Any] = {
        "source": FakeMirror(),
        "gitops": FakeMirror(files={"web/values-stg.yaml": VALUES}),
        "argocd": FakeArgo([application()]),
        "registry": FakeRegistry(),
        "harbor": FakeHarbor(),
        "commits": FakeCommits(),
        "signing": None,
    }
    return Tools(log=log, checkpoint=lambda: None, clients=cast(Any, SimpleNamespace(**(defaults | clients))))
