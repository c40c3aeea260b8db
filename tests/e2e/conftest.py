"""One platform for all tests of the whole loop: each test has an environment, and so a branch, of its own."""

from collections.abc import Iterator
from typing import Any

import pytest

from orchestrator.sandbox.platform import GITOPS, HOOK_SECRET, Platform
from tests.support.engine import require_engine
from tests.support.whole_loop import KOREAN_BRANCH, Loop, whole_loop

ENVIRONMENTS = (
    "stg",
    "many",
    "broken",
    "fix",
    "slow",
    "manual",
    "leak",
    "argo",
    "harbor",
    "race",
    "korea",
    "twice",
    "cli",
    "watched",
    "scan",
    "back",
    "new",
    "sub",
)


def _configure(config: dict[str, Any], _platform: Platform) -> None:
    app = config["apps"][0]
    app["build"] |= {"args": {"LEAK": "${HARBOR_PASSWORD}"}, "secrets": {"leak": "${GITOPS_TOKEN}"}}
    app["build"]["submodules"] = True
    for environment in app["environments"]:
        if environment["name"] == "korea":
            environment["branch"] = KOREAN_BRANCH
        if environment["name"] == "back":
            environment["rollback"] = "auto"


@pytest.fixture(scope="session")
def loop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loop]:
    require_engine()
    folder = tmp_path_factory.mktemp("loop")
    with whole_loop(folder, dict.fromkeys(ENVIRONMENTS, 1), change=_configure, poll_interval=10) as running:
        running.platform.forge.hook(GITOPS, f"{running.product.url}/webhooks/github", HOOK_SECRET, "github")
        yield running
