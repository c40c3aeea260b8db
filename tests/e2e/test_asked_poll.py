"""A push whose hook was lost is found as soon as somebody asks, and not only at the next comparison of heads."""

from pathlib import Path

import pytest

from orchestrator.sandbox.forge_hooks import HookFault
from tests.support.engine import require_engine
from tests.support.whole_loop import succeeded, whole_loop

pytestmark = pytest.mark.slow


def test_who_asks_gets_the_run_of_the_push_that_no_hook_told_of(tmp_path: Path) -> None:
    require_engine()
    with whole_loop(tmp_path, {"stg": 1}, runtime="none", poll_interval=3600) as loop:
        succeeded(loop.deploy())
        nothing = loop.cli("app", "poll", "plate-web")
        assert (nothing.returncode, nothing.stdout) == (
            0,
            "plate-web: nothing has moved without being known (main).\n",
        )
        loop.platform.forge.fault(HookFault(lose=True))
        commit = loop.push()
        asked = loop.cli("app", "poll", "plate-web")
        run = succeeded(loop.end(loop.run_of(commit)))
        assert (asked.returncode, asked.stdout) == (0, f"run {run['id']} started\n"), asked.stderr
        assert run["trigger"] == "poll"
