"""Valid domain values from defaults; tests say only what matters to them."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from orchestrator.domain.apps import (
    App,
    ArgoCD,
    Environment,
    GitAccess,
    Gitops,
    Registry,
    Secret,
    Settings,
)
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import STAGE_ORDER, Run, RunState, Stage, StageName, StageState, Trigger

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
COMMIT = "a" * 40


def later(seconds: float) -> datetime:
    """Return a time `seconds` after `NOW`."""
    return NOW + timedelta(seconds=seconds)


def make_run(at: StageName = StageName.CHECK, at_state: StageState = StageState.QUEUED, **fields: Any) -> Run:
    """Make a run whose stages before `at` have succeeded and whose stage `at` is in `at_state`."""
    stages = []
    for name in STAGE_ORDER:
        before = STAGE_ORDER.index(name) < STAGE_ORDER.index(at)
        stage = Stage(name=name)
        if before:
            stage = replace(stage, state=StageState.SUCCEEDED, reason=Reason.DONE, started_at=NOW, finished_at=NOW)
        elif name is at:
            started = NOW if at_state in (StageState.RUNNING, StageState.WAITING) else None
            deadline = later(600) if started else None
            attempt = 1 if started else 0
            stage = replace(stage, state=at_state, started_at=started, deadline_at=deadline, attempt=attempt)
        stages.append(stage)
    defaults: dict[str, Any] = {
        "id": 7,
        "app": "plate-web",
        "environment": "stg",
        "trigger": Trigger.PUSH,
        "commit": COMMIT,
        "created_at": NOW,
        "stages": tuple(stages),
    }
    return Run(**(defaults | fields))


def working(at: StageName = StageName.BUILD, **fields: Any) -> Run:
    """Make a run with a worker at the stage `at`."""
    return make_run(at, StageState.RUNNING, state=RunState.RUNNING, started_at=NOW, **fields)


def make_environment(name: str = "stg", **fields: Any) -> Environment:
    """Make an environment that deploys from main."""
    defaults: dict[str, Any] = {"values": f"web/values-{name}.yaml", "argocd": f"plate-web-{name}", "branch": "main"}
    return Environment(name=name, **(defaults | fields))


def make_app(name: str = "plate-web", **fields: Any) -> App:
    """Make an app with one environment."""
    defaults: dict[str, Any] = {
        "source": GitAccess(url=f"https://git.example.com/acme/{name}.git"),
        "image": f"plate/{name}",
        "environments": (make_environment(),),
    }
    return App(name=name, **(defaults | fields))


def make_settings(state_dir: str, **fields: Any) -> Settings:
    """Make settings with one app."""
    defaults: dict[str, Any] = {
        "registry": Registry(url="https://harbor.example.com", username="robot$ci", password=Secret("s3cret-harbor")),
        "gitops": Gitops(access=GitAccess(url="https://git.example.com/platform/gitops.git")),
        "argocd": ArgoCD(url="https://argocd.example.com"),
        "hooks": (),
        "channels": (),
        "apps": (make_app(),),
    }
    return Settings(state_dir=state_dir, **(defaults | fields))
