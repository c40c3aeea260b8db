"""A GitOps repository of twelve apps, and changes to it."""

from collections.abc import Callable, Sequence

from orchestrator.domain.apps import Author
from orchestrator.domain.changes import Change, Edit, Result
from tests.support.githttp import Forge
from workers.clients.git import Mirror
from workers.gitops.commit import land

AUTHOR = Author(name="Pilotage 봇", email="bot@example.com")
VALUES = "# 앱 {app}\nimage:\n  tag: old  # set by CI\nreplicas: 2\n"
APPS = 12


def file(app: int) -> str:
    return f"helm/앱/app-{app}/values.yaml"


def change(run: int, app: int | None = None, tag: str = "", **other: object) -> Change:
    fields = {
        "run": run,
        "file": file(run if app is None else app),
        "edits": (Edit(path="image.tag", value=tag or f"sha-{run}"),),
        "message": f"deploy(app): 배포 {run}",
        "trailers": (("Pilotage-Run", str(run)), ("Pilotage-Image", f"hub/app:sha-{run}")),
        "date": 1_700_000_500 + run,
    }
    return Change(**{**fields, **other})  # type: ignore[arg-type]


def land_all(mirror: Mirror, changes: Sequence[Change], **options: object) -> list[Result]:
    settings = {"author": AUTHOR, "deadline_s": 30.0, "checkpoint": lambda: None, "wait": lambda _: None}
    return land(mirror, "main", changes, **{**settings, **options})  # type: ignore[arg-type]


def tag_of(server: Forge, app: int) -> str:
    return server.show(file(app)).decode().split("tag: ")[1].split()[0]


def pushes(server: Forge) -> int:
    return sum(request.startswith("POST") and request.endswith("receive-pack") for request in server.app.requests)


def before_each_push(act: Callable[[], object]) -> Callable[[], None]:
    """A checkpoint that acts when the commits are made but not yet pushed (its second call in each attempt)."""
    calls = iter(range(1, 1000))

    def checkpoint() -> None:
        if next(calls) % 2 == 0:
            act()

    return checkpoint


def once(act: Callable[[], object]) -> Callable[[], None]:
    """Act at the first call only."""
    left = [act]
    return lambda: left.pop()() if left else None  # type: ignore[func-returns-value, return-value]
