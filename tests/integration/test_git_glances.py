"""What the GitOps branch has of each environment, and who put it there, from a real Git server."""

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.apps import Gitops, Secret, Settings
from orchestrator.domain.glances import Witness
from orchestrator.domain.masking import Mask
from orchestrator.services.glances import Glances
from orchestrator.services.queries import Queries
from orchestrator.store.database import Database
from tests.support.databases import sqlite_database
from tests.support.factories import make_app, make_environment, make_settings
from tests.support.git import git
from tests.support.gitops import GitopsRepo, gitops_repo
from tests.support.journals import Logged
from workers.clients.git import Mirror
from workers.git_glances import EVERY, GitGlances

STG, PROD = "web/values-stg.yaml", "web/values-prod.yaml"
OURS = "deploy(plate-web): stg\n\nPilotage-Run: 12\nPilotage-Image: hub/web:sha-2\n"
ENVIRONMENTS = (make_environment(), make_environment("prod", branch=""))


def values(tag: str, more: str = "") -> str:
    return f"image:\n  tag: {tag}\n{more}"


@dataclass
class Branch:
    """A GitOps repository, and what is shown of it."""

    repo: GitopsRepo
    database: Database
    settings: Settings

    def look(self, **fields: Any) -> dict[str, dict[str, Any]]:
        """Look once, as a relay that has just started, and return what is shown."""
        settings = replace(self.settings, **fields)
        assert GitGlances(settings, Glances(self.database, settings, Mask([]))).once(threading.Event()) == EVERY
        envs = Queries(self.database, settings).apps()[0]["environments"]
        return {env["name"]: env["git_now"] for env in envs}


@pytest.fixture
def branch(tmp_path: Path) -> Iterator[Branch]:
    database = sqlite_database(tmp_path)
    with gitops_repo(tmp_path) as repo:
        repo.push({STG: values("sha-1"), PROD: values("sha-1")}, "start")
        apps = (make_app(environments=ENVIRONMENTS),)
        yield Branch(repo, database, make_settings(str(tmp_path), apps=apps, gitops=Gitops(access=repo.access)))
    database.close()


def told(shown: dict[str, Any]) -> tuple[object, ...]:
    return shown["value"], shown["author"], shown["run"], shown["by_pilotage"], shown["current"]


def test_the_value_is_shown_with_the_commit_that_set_it(branch: Branch) -> None:
    commit = branch.repo.push({STG: values("sha-2")}, OURS)
    branch.repo.push({STG: values("sha-2", "replicas: 3\n")}, "more of them")
    shown = branch.look()
    assert told(shown["stg"]) == ("sha-2", "Ann", 12, True, True)
    assert (shown["stg"]["commit"], bool(shown["stg"]["since"])) == (commit, True)
    assert told(shown["prod"]) == ("sha-1", "Ann", None, False, True)


def test_a_value_that_somebody_edits_by_hand_is_not_by_pilotage_at_the_next_look(branch: Branch) -> None:
    branch.repo.push({STG: values("sha-2")}, OURS)
    assert branch.look()["stg"]["by_pilotage"] is True
    by_hand = branch.repo.push({STG: values("hotfix")}, "quick")
    shown = branch.look()["stg"]
    assert (*told(shown), shown["commit"]) == ("hotfix", "Ann", None, False, True, by_hand)
    branch.repo.push({STG: values("sha-2")}, 'Revert "quick"\n\nThis reverts the commit of Pilotage-Run: 12.\n')
    assert told(branch.look()["stg"])[:4] == ("sha-2", "Ann", None, False)


def test_a_value_that_was_another_one_between_two_looks_is_of_who_brought_it_back(branch: Branch) -> None:
    branch.repo.push({STG: values("sha-2")}, OURS)
    assert branch.look()["stg"]["run"] == 12
    branch.repo.push({STG: values("hotfix")}, "quick")
    back = branch.repo.push({STG: values("sha-2")}, "deploy(plate-web): stg\n\nPilotage-Run: 14\n")
    shown = branch.look()["stg"]
    assert (*told(shown), shown["commit"]) == ("sha-2", "Ann", 14, True, True, back)


def test_files_are_read_only_where_the_branch_has_moved(branch: Branch, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    real = Mirror.read

    def noted(mirror: Mirror, commit: str, path: str) -> bytes | None:
        read.append(path)
        return real(mirror, commit, path)

    monkeypatch.setattr(Mirror, "read", noted)
    first = branch.look()
    assert {STG, PROD} == set(read)
    read.clear()
    again = branch.look()
    assert (again["prod"]["value"], read) == (first["prod"]["value"], [])
    branch.repo.push({PROD: values("sha-3"), "other/values.yaml": values("sha-9")})
    assert branch.look()["prod"]["value"] == "sha-3"
    assert set(read) == {PROD}


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        ({STG: "replicas: 1\n"}, "image"),
        ({STG: "image: {tag: [1]}\n"}, "image.tag"),
        ({f"{STG}/inside": "x"}, "a folder, not a file"),
    ],
)
def test_a_value_that_cannot_be_read_is_unknown_with_why(branch: Branch, content: dict[str, str], fault: str) -> None:
    (branch.repo.clone / STG).unlink()
    branch.repo.push(content)
    shown = branch.look()
    assert told(shown["stg"]) == ("", "", None, None, False)
    assert fault in shown["stg"]["trouble"]
    assert shown["prod"]["current"]


def test_a_file_that_is_gone_is_said_to_be(branch: Branch) -> None:
    branch.look()
    git(branch.repo.clone, "rm", "--quiet", STG)
    branch.repo.push({})
    assert branch.look()["stg"]["trouble"] == f"there is no file {STG} on the branch"
    branch.repo.push({STG: values("sha-1")})
    assert branch.look()["stg"]["current"]


def test_a_commit_that_is_too_far_back_leaves_open_whose_the_value_is(branch: Branch) -> None:
    for number in range(20):
        branch.repo.push({STG: values("sha-1", f"replicas: {number}\n")})
    assert told(branch.look()["stg"]) == ("sha-1", "", None, None, True)


def test_another_key_in_the_configuration_is_read_although_the_branch_stands_still(branch: Branch) -> None:
    branch.repo.push({STG: values("sha-1", "sidecar: {tag: v7}\n")})
    branch.look()
    env = make_environment(key="sidecar.tag")
    other = branch.look(apps=(make_app(environments=(env,)),))
    assert other["stg"]["value"] == "v7"
    assert branch.look()["prod"]["value"] == "sha-1"


def test_a_branch_that_was_rewritten_is_read_anew(branch: Branch) -> None:
    branch.look()
    git(branch.repo.clone, "checkout", "--quiet", "--orphan", "fresh")
    (branch.repo.clone / STG).write_text(values("sha-7"))
    git(branch.repo.clone, "add", "--all")
    git(branch.repo.clone, "commit", "--quiet", "--message", "all anew")
    git(branch.repo.clone, "push", "--quiet", "--force", "origin", "HEAD:main")
    assert told(branch.look()["stg"])[:2] == ("sha-7", "Ann")


def test_what_is_not_known_any_more_is_said_with_why_and_what_was(branch: Branch, logged: Logged) -> None:
    before = branch.look()["stg"]
    wrong = replace(branch.settings.gitops, access=replace(branch.repo.access, token=Secret("wrong")))
    shown = branch.look(gitops=wrong)["stg"]
    assert (shown["value"], shown["seen_at"], shown["current"]) == ("sha-1", before["seen_at"], False)
    assert "refuse" in shown["trouble"]
    assert len(logged.of("GitOps branch not seen")) == 1
    missing = branch.look(gitops=replace(branch.settings.gitops, branch="nowhere"))["stg"]
    assert "has no branch 'nowhere'" in missing["trouble"]
    assert branch.look()["stg"]["current"]


def test_a_relay_that_stops_leaves_the_rest_for_the_next_one(branch: Branch) -> None:
    stopping = threading.Event()
    stopping.set()
    glances = Glances(branch.database, branch.settings, Mask([]))
    GitGlances(branch.settings, glances).once(stopping)
    assert glances.before(Witness.GIT) == ("", {})
    assert branch.look()["stg"]["value"] == "sha-1"


def test_environments_that_are_no_longer_configured_are_forgotten(branch: Branch) -> None:
    branch.look()
    branch.look(apps=(make_app(environments=ENVIRONMENTS[:1]),))
    known = Glances(branch.database, branch.settings, Mask([])).before(Witness.GIT)[1]
    assert known.keys() == {("plate-web", "stg")}
