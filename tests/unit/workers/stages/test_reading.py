"""The wrong application in the configuration: ``check`` says so before any build, and names the right one."""

from typing import Any

import pytest

from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import StageName
from tests.support.deploying import FakeArgo, application, order, tools
from workers.stages import check

PARENT = application(resources=[{"group": "argoproj.io", "kind": "Application", "name": "web-stg"}])
CHILD = {**application(), "metadata": {"name": "web-stg"}}
SAID = "plate-web-stg is an app of apps: its resources are Applications, and no image runs in it"


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        ([PARENT, CHILD], f"{SAID}; web-stg does read web/values-stg.yaml: name that in `argocd`"),
        ([PARENT], SAID),
        (Unavailable(Reason.ARGOCD_UNAVAILABLE, "HTTP 500"), SAID),
        (Refused(Reason.ARGOCD_REFUSED, "HTTP 400"), SAID),
    ],
)
def test_a_parent_is_told_from_its_child(listed: list[dict[str, Any]] | PilotageError, told: str) -> None:
    argo = FakeArgo([PARENT], listed=listed)
    with pytest.raises(Refused) as refused:
        check.run(order(StageName.CHECK), tools(argocd=argo))
    assert (refused.value.reason, refused.value.evidence) == (Reason.APPLICATION_MISMATCH, told)


def test_all_applications_are_asked_for_only_where_something_is_wrong() -> None:
    argo = FakeArgo([application()])
    check.run(order(StageName.CHECK), tools(argocd=argo))
    assert argo.asked == ["plain"]
