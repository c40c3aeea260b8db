"""What the chart of Pilotage names and does not make: accounts and Secrets of the cluster."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.pilotage_chart import kinds, named, render
from tests.support.pod_rules import pods

EARLY = "release-name-pilotage-migrate"


@pytest.mark.parametrize(("account", "made", "used", "early"), [
    ({}, [""], "release-name-pilotage", "default"),
    ({"name": "builder"}, ["builder"], "builder", "default"),
    ({"create": False}, [], "default", "default"),
    ({"create": False, "name": "builder"}, [], "builder", "builder"),
])  # fmt: skip
def test_pods_run_under_the_account_that_is_named(
    tmp_path: Path, account: dict[str, Any], made: list[str], used: str, early: str
) -> None:
    found = render(tmp_path, {"serviceAccount": account})
    assert kinds(found, "ServiceAccount") == made
    accounts = {owner["metadata"]["name"]: pod["spec"]["serviceAccountName"] for owner, pod in pods(found)}
    assert accounts.pop(EARLY) == early
    assert set(accounts.values()) == {used}
    assert named(found, "Job")["metadata"]["name"] == EARLY
