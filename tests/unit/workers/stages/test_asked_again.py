"""What is asked of Argo CD a second time: what went wrong once may go well the next time."""

from typing import Any

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, StageName, Wait
from tests.support.deploying import GITOPS_COMMIT, FakeArgo, FakeMirror, application, live, order, tools
from tests.support.factories import NOW, later
from workers.stages import health, sync

OUTPUTS: dict[str, Any] = {"gitops_commit": GITOPS_COMMIT, "committed_at": NOW.isoformat()}


def look(stage: Any, argo: FakeArgo, seconds: float, **fields: Any) -> Any:
    name = StageName.SYNC if stage is sync else StageName.HEALTH
    given = order(name, outputs=OUTPUTS | fields.pop("outputs", {}), now=later(seconds), **fields)
    return stage.run(given, tools(argocd=argo, gitops=FakeMirror(line=(GITOPS_COMMIT,))))


@pytest.mark.parametrize("stage", [sync, health])
def test_an_error_that_argo_cd_only_remembers_is_tried_anew(stage: Any) -> None:
    """A normal refresh gives the error of an hour ago, though a chart that it depends on may be there by now."""
    words = (
        "failed to generate manifest for source 1 of 1: rpc error: code = Unknown desc = Manifest generation error"
    )
    broken = live()
    message = f"{words} (cached): `helm dependency build` failed: 404 Not Found"
    broken["status"]["conditions"] = [{"type": "ComparisonError", "message": message}]
    argo = FakeArgo([broken, live()])
    outputs: dict[str, Any] = {"refreshed_at": NOW.isoformat()}
    for seconds in (10, 20):
        outcome = look(stage, argo, seconds, outputs=outputs)
        outputs |= outcome.outputs
    assert argo.asked == ["plain", "hard"]
    assert isinstance(outcome, Done)


def stopped() -> dict[str, Any]:
    app = live()
    app["status"]["sync"]["status"] = "OutOfSync"
    said = "ComparisonError: failed to list refs: dial tcp 10.0.0.2:443: i/o timeout"
    app["status"]["operationState"] |= {"phase": "Error", "message": said}
    return app


def test_a_sync_that_a_network_stopped_is_asked_for_again() -> None:
    """Argo CD tries its own syncs again, and one that was asked for only where the application says so."""
    compared = {"status": "OutOfSync", "revision": GITOPS_COMMIT}
    before = application(sync=compared, health={"status": "Healthy"})
    argo = FakeArgo([before, stopped()])
    outputs: dict[str, Any] = {}
    for seconds in (10, 20, 39, 40, 60, 70):
        outcome = look(sync, argo, seconds, environment_sync=True, outputs=outputs)
        assert isinstance(outcome, Wait)
        outputs |= outcome.outputs
    assert argo.asked.count("sync") == 3, "after 10, 40 and 70 s"
    last = look(sync, argo, 200, environment_sync=True, outputs=outputs)
    assert isinstance(last, Fail)
    assert last.reason is Reason.COMPARISON_FAILED
