"""``pilotage doctor`` before the first app is configured, and with credentials that are wrong on this machine."""

from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.cli import doctor
from orchestrator.domain.apps import GitAccess, Gitops
from orchestrator.domain.errors import Refused
from tests.support.factories import make_app, make_settings
from tests.support.loopback import Asked, Reply, loopback


@pytest.mark.parametrize(
    ("harbor", "status", "said"),
    [
        (True, 200, "answers, and takes the login of robot$ci"),
        (True, 404, "answers, and takes the login of robot$ci"),
        (True, 401, "robot$ci: project library: HTTP 401"),
        (False, 401, "answers; whether it takes our login shows once an app is configured"),
    ],
)
def test_without_apps_the_login_of_the_registry_is_proven_all_the_same(
    tmp_path: Path, harbor: bool, status: int, said: str
) -> None:
    def answer(asked: Asked) -> Reply:
        return Reply(200 if asked.path in ("/v2/", "/api/v2.0/ping") else status)

    with loopback(answer) as server:
        settings = make_settings(str(tmp_path))
        registry = replace(settings.registry, url=server.url, harbor=harbor)
        settings = replace(settings, apps=(), registry=registry)
        (check,) = [one for one in doctor._checks(settings) if one.section == "registry"]
        try:
            found = check.ask()
        except Refused as refusal:
            found = refusal.evidence
    assert found == said


def test_a_key_that_cannot_be_used_fails_its_own_checks_and_no_other(tmp_path: Path) -> None:
    key, hosts = tmp_path / "key", tmp_path / "known_hosts"
    for file in (key, hosts):
        file.write_text("of somebody\n")
        file.chmod(0o644)
    access = GitAccess(url="git@git.invalid:a/b.git", ssh_key=str(key), known_hosts=str(hosts))
    settings = make_settings(str(tmp_path), apps=(make_app(source=access),))
    registry, argocd = (replace(one, url="https://127.0.0.1:1") for one in (settings.registry, settings.argocd))
    settings = replace(settings, gitops=Gitops(access=access), registry=registry, argocd=argocd)
    found = {one.name: one for one in doctor.examine(settings, tmp_path / "pilotage.yaml")}
    for name in ("GitOps repository, branch main", "plate-web: source repository"):
        assert found[name].result == "fail"
        assert f"the ssh_key {str(key)!r} is open to others (0644): chmod 600 it" in found[name].detail
    assert found["database"].result == "ok"
    assert "Argo CD" in found
