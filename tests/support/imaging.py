"""Fakes of what the image stages use beside the registry: an engine and a source; and their orders."""

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, BinaryIO, cast

from orchestrator.domain.apps import (
    App,
    ArgoCD,
    Build,
    Environment,
    GitAccess,
    Gitops,
    Registry,
    Scan,
    Secret,
    Settings,
)
from orchestrator.domain.errors import PilotageError, Refused
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Run, Stage, StageName, Trigger
from tests.support.registries import DIGEST, TAG, FakeHarbor, FakeRegistry
from workers.clients.engine_requests import REVISION_LABEL, CallControl
from workers.stages.order import Order, Tools

COMMIT = "8f3e1e7" + "0" * 33
OTHER = "0a1b2c3" + "0" * 33
IMAGE = f"harbor.example.com/shop/team-a/api:{TAG}"
NOW = datetime(2026, 8, 22, 3, 6, 40, tzinfo=UTC)


def order(
    *,
    outputs: Mapping[str, Any] | None = None,
    build: Build | None = None,
    scan: Scan | None = None,
    registry: Registry | None = None,
    source: str = "https://user:pw@git.example.com/acme/api.git",
    app: str = "api",
    path: str = "shop/team-a/api",
    **run: Any,
) -> Order:
    """Make an order for one run of one app. :param path: that of its images in the registry."""
    place = registry or Registry(url="https://harbor.example.com", username="robot$shop", password=Secret("x"))
    environment = Environment(name="stg", values="values.yaml", argocd="api-stg")
    configured = App(
        name=app,
        source=GitAccess(url=source),
        image=path,
        environments=(environment,),
        build=build or Build(),
        scan=scan or Scan(),
    )
    values: dict[str, Any] = {
        "id": 41,
        "app": app,
        "environment": "stg",
        "trigger": Trigger.PUSH,
        "ref": "refs/heads/main",
        "commit": COMMIT,
        "image": IMAGE,
        "created_at": NOW,
        "stages": tuple(Stage(name=name) for name in StageName),
    }
    settings = Settings(
        registry=place,
        gitops=Gitops(access=GitAccess(url="https://git.example.com/gitops.git")),
        argocd=ArgoCD(url="https://argocd.example.com"),
        hooks=(),
        channels=(),
        apps=(configured,),
        state_dir="/nonexistent",
    )
    return Order(
        run=Run(**(values | run)),
        app=configured,
        environment=environment,
        settings=settings,
        outputs=outputs or {},
        started_at=NOW,
        now=NOW,
    )


@dataclass(slots=True)
class FakeEngine:
    """Builds and pushes by writing down what it was asked; `before_push` runs first and may raise."""

    registry: FakeRegistry
    images: dict[str, dict[str, str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    builds: list[dict[str, Any]] = field(default_factory=list)
    sent: bytes = b""
    before_push: Callable[[], None] = lambda: None
    after_push: Callable[[], None] = lambda: None
    tidy_error: PilotageError | None = None

    def labels(self, reference: str) -> dict[str, str] | None:
        return self.images.get(reference)

    def image_id(self, reference: str) -> str | None:
        return "sha256:local" if reference in self.images else None

    def build(self, context: Iterator[bytes], *, control: CallControl, **options: Any) -> str:
        self.asked.append("build")
        self.builds.append(options)
        self.sent = b"".join(context)
        self.images[options["tag"]] = options["labels"]
        return "sha256:built"

    def push(self, reference: str, **_: Any) -> str:
        self.asked.append("push")
        self.before_push()
        labels = self.images[reference]
        self.registry.hold(labels[REVISION_LABEL])
        self.after_push()
        return DIGEST

    def tidy(self, repository: str, app: str, keep: int, every: float = 0.0) -> list[str]:
        self.asked.append(f"tidy {repository} {app} {keep}")
        if self.tidy_error:
            raise self.tidy_error
        return ["old"]


@dataclass(slots=True)
class FakeSource:
    """The files of one commit."""

    files: dict[str, bytes] = field(default_factory=lambda: {"Dockerfile": b"FROM scratch\n"})
    left_out: list[str] = field(default_factory=list)

    def fetch_commit(self, commit: str, ref: str = "", **_: Any) -> str:
        assert (commit, ref) == (COMMIT, "refs/heads/main")
        return commit

    @contextmanager
    def snapshot(
        self, commit: str, context: str, *, timeout: float, log: Callable[[str], None], checkpoint: Callable[[], None]
    ) -> Iterator["FakeSnapshot"]:
        assert (commit, timeout > 0) == (COMMIT, True)
        prefix = "" if context == "." else f"{context}/"
        yield FakeSnapshot(
            {name.removeprefix(prefix): raw for name, raw in self.files.items() if name.startswith(prefix)}, self
        )


@dataclass(slots=True)
class FakeSnapshot:
    """A folder of the commit; tells its source what was left out of the stream."""

    files: dict[str, bytes]
    source: FakeSource
    date: int = 1_787_368_000

    def read(self, path: str, limit: int) -> bytes | None:
        content = self.files.get(path)
        if content is not None and len(content) > limit:
            raise Refused(Reason.SOURCE_UNSUPPORTED, f"{path} has {len(content)} bytes; at most {limit} are read")
        return content

    def tar(self, leave_out: Callable[[str], bool]) -> BinaryIO:
        self.source.left_out = [name for name in self.files if leave_out(name)]
        return io.BytesIO(b"tar of " + " ".join(sorted(set(self.files) - set(self.source.left_out))).encode())


@dataclass(slots=True)
class ImageServices:
    """All services of one run, and the log that it writes."""

    registry: FakeRegistry = field(default_factory=FakeRegistry)
    source: FakeSource = field(default_factory=FakeSource)
    engine: FakeEngine = field(init=False)
    harbor: FakeHarbor = field(default_factory=FakeHarbor)
    log: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.engine = FakeEngine(self.registry)

    def tools(self, checkpoint: Callable[[], None] = lambda: None) -> Tools:
        parts = {"engine": self.engine, "registry": self.registry, "source": self.source, "harbor": self.harbor}
        return Tools(log=self.log.append, checkpoint=checkpoint, clients=cast("Any", SimpleNamespace(**parts)))
