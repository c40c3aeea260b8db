"""What the chart of Pilotage names and does not make: accounts and Secrets of the cluster."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.pilotage_chart import container, kinds, named, render
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


def test_a_pod_starts_without_a_credential_that_has_a_default(tmp_path: Path) -> None:
    server = {"session_key": "${OWN:-x}", "log_level": "${LEVEL:-info}", "keep": "${BOTH:-90d}"}
    more = {"config": {"server": server, "argocd": {"url": "${BOTH}"}}}
    found = render(tmp_path, {**more, "credentials": {"from": {"OWN": {"existingSecret": "own"}}}})
    references = {one["name"]: one["valueFrom"]["secretKeyRef"] for one in container(found, "web")["env"][2:]}
    assert [name for name, reference in references.items() if reference.get("optional")] == ["LEVEL"]
    assert references["LEVEL"] == {"name": "pilotage-credentials", "key": "LEVEL", "optional": True}
