"""What axe, the checker of W3C's rules for accessibility, finds in the pages: nothing, in either language."""

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import RunState
from tests.support.browsers import log_in
from tests.support.needs import require
from tests.support.web import Web, served

pytestmark = pytest.mark.slow

AXE = Path(__file__).parents[3] / ".venv/tools/node_modules/axe-core/axe.min.js"
PAGES = (
    "/login",
    "/runs",
    "/runs?state=failed",
    "/apps",
    "/deliveries",
    "/apps/plate-web/stg/deploy",
    "/apps/plate-web/stg/hold",
    "/apps/plate-web/prod/rollback",
    "/apps/plate-web/prod/promote",
    "/runs/4711",
)


@pytest.fixture
def runs(web: Web) -> list[int]:
    """A run in each state, with a log."""
    states: list[tuple[RunState, dict[str, Any]]] = [
        (RunState.QUEUED, {}),
        (RunState.RUNNING, {}),
        (RunState.WAITING, {"reason": Reason.AWAITING_APPROVAL, "approved": False}),
        (RunState.FAILED, {"detail": "exit 3"}),
        (RunState.CANCELLED, {}),
        (RunState.SUCCEEDED, {}),
    ]
    made = [web.run(state, title="Change the plate", author="Mina", **fields) for state, fields in states]
    for run in made:
        web.log(run, "Step 1/2", "\x1b[31mred\x1b[0m and \x1b[2mdim\x1b[0m", *(f"line {n}" for n in range(20)))
    return made


@pytest.mark.parametrize(("locale", "scheme"), [("en-GB", "light"), ("ko-KR", "dark")])
def test_nothing_is_found(web: Web, chromium: Browser, runs: list[int], locale: str, scheme: Any) -> None:
    require(AXE.exists(), "no axe-core (.ci/setup)")
    found: list[str] = []
    with (
        served(web.app) as site,
        chromium.new_context(base_url=site, locale=locale, color_scheme=scheme, bypass_csp=True) as context,
    ):
        tab = log_in(context, web.tokens["deployer"])
        for path in (*PAGES, *(f"/runs/{run}" for run in runs)):
            tab.goto(path)
            tab.add_script_tag(path=AXE)
            told = tab.evaluate("axe.run()")
            assert len(told["passes"]) > 20, "it has looked"
            found += [f"{path}: {one['help']}: {at['html']}" for one in told["violations"] for at in one["nodes"]]
        web.streams.close()
    assert found == []
