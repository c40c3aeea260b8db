"""The services of a stage: one that cannot be used is in nobody's way who does not ask for it."""

from pathlib import Path

import pytest

from orchestrator.domain.apps import GitAccess, Gitops
from orchestrator.domain.errors import Refused
from orchestrator.services.bell import Bell
from orchestrator.store.database import Database, sqlite_url
from tests.support.factories import make_settings
from workers.clients.git import Signing
from workers.stages.toolbox import Clients, Shared


@pytest.mark.parametrize("form", ["ssh", "openpgp", ""])
def test_commits_are_signed_where_that_is_configured(tmp_path: Path, form: str) -> None:
    access = GitAccess(url="https://git.example.com/gitops.git")
    settings = make_settings(
        str(tmp_path), gitops=Gitops(access=access, signing_format=form, signing_key="/run/secrets/key")
    )
    shared = Shared(settings, Database(sqlite_url(str(tmp_path))), Bell(""), "here")

    signing = Clients(shared, settings.apps[0]).signing

    assert signing == (Signing(format=form, key="/run/secrets/key") if form else None)


def test_a_gitops_key_that_is_not_there_stops_only_who_commits(tmp_path: Path) -> None:
    gone = GitAccess(url="ssh://git@git.example.com/gitops.git", ssh_key=str(tmp_path / "gone"))
    settings = make_settings(str(tmp_path), gitops=Gitops(access=gone))
    shared = Shared(settings, Database(sqlite_url(str(tmp_path))), Bell(""), "here")

    clients = Clients(shared, settings.apps[0])

    assert clients.engine is shared.engine
    assert clients.source.where == "https://git.example.com/acme/plate-web.git"
    with pytest.raises(Refused):
        _ = clients.gitops
