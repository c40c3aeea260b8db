"""Argo CD's source hydrator with a merge in front of what is synced: told before the build, and waited for."""

import json
from typing import Any

import pytest

from orchestrator.domain.errors import Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, StageName, Wait
from tests.support.deploying import GITOPS_COMMIT, VALUES, FakeArgo, FakeMirror, application, live, order, tools
from tests.support.factories import NOW, later
from workers.stages import check, sync

HYDRATED, MERGED, OLD = "a" * 40, "b" * 40, "0" * 40
OUTPUTS: dict[str, Any] = {"gitops_commit": GITOPS_COMMIT, "committed_at": NOW.isoformat()}


def hydrated(compared: str, staged: str = "env/stg-next") -> dict[str, Any]:
    """Make an application whose hydrator has made a commit of ours, and that is compared with another one."""
    made, spec = live(compared), application()["spec"]
    made["spec"] = {
        "syncPolicy": {"automated": {}},
        "sourceHydrator": {"drySource": spec["source"], "syncSource": {"targetBranch": "env/stg"}}
        | ({"hydrateTo": {"targetBranch": staged}} if staged else {}),
    }
    made["status"]["sourceHydrator"] = {"lastSuccessfulOperation": {"drySHA": GITOPS_COMMIT, "hydratedSHA": HYDRATED}}
    return made


def look(noted: bytes, seconds: float = 10, **fields: Any) -> Any:
    files = {"web/values-stg.yaml": VALUES, "hydrator.metadata": noted}
    gitops = FakeMirror(line=(OLD, GITOPS_COMMIT, MERGED), files=files, **fields)
    asked = order(StageName.SYNC, outputs=OUTPUTS, now=later(seconds))
    return sync.run(asked, tools(argocd=FakeArgo([hydrated(MERGED)]), gitops=gitops))


def test_a_merge_that_is_to_come_is_told_before_the_build() -> None:
    said: list[str] = []
    outcome = check.run(order(StageName.CHECK), tools(said.append, argocd=FakeArgo([hydrated(OLD)])))
    words = "somebody has to merge env/stg-next, where it is hydrated, into env/stg"
    assert isinstance(outcome, Done)
    assert outcome.detail == f"Everything that the run needs is there, but {words}"
    assert f"note: plate-web-stg: {words}" in said
    alone = check.run(order(StageName.CHECK), tools(argocd=FakeArgo([hydrated(OLD, staged="")])))
    assert isinstance(alone, Done)
    assert alone.detail == "Everything that the run needs is there"


def test_the_merge_of_our_commit_is_known_by_the_file_of_the_hydrator() -> None:
    outcome = look(json.dumps({"drySha": GITOPS_COMMIT}).encode())
    assert isinstance(outcome, Done)


@pytest.mark.parametrize("noted", [b"", b"{", b"[]", b"{}", b'{"drySha": 5}', json.dumps({"drySha": OLD}).encode()])
def test_until_somebody_merges_the_run_waits_for_that(noted: bytes) -> None:
    waits = look(noted)
    assert (type(waits), waits.reason, waits.after) == (Wait, Reason.MERGE_REQUIRED, 30.0)


def test_a_run_whose_commit_nobody_merged_says_so_at_its_end() -> None:
    late = look(b"{}", 3600)
    assert (type(late), late.reason) == (Fail, Reason.MERGE_REQUIRED)
    assert "somebody has to merge env/stg-next into it" in late.detail


def test_a_repository_that_does_not_answer_proves_no_merge() -> None:
    waits = look(b"{}", error=Unavailable(Reason.GITOPS_UNAVAILABLE, "no answer"))
    assert (type(waits), waits.reason) == (Wait, Reason.MERGE_REQUIRED)
