"""Tables of an earlier time: a run of theirs goes on, and Git knows of newer ones."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from orchestrator.domain.reasons import Reason
from orchestrator.domain.runs import Done, Fail, StageName, Trigger
from orchestrator.services.commits import Commits
from tests.support.databases import sqlite_database
from tests.support.deploying import order, tools
from tests.support.executing import QUIET, Workshop
from tests.support.githttp import Forge, forge
from workers.clients.git import Mirror
from workers.clients.git_commit import trailers_of
from workers.stages import commit, lost_runs
from workers.stages.wanted import form_of

IMAGE = "harbor.example.com/plate/plate-web"
FILE = "web/values-stg.yaml"


class Restored:
    """Run 1 of two commits of a source is at its commit; what the tables lost is in Git or not."""

    def __init__(self, folder: Path, source: Forge, gitops: Forge) -> None:
        self.old, self.new = (source.commit({"app": text}, message=text) for text in ("old", "new"))
        self.gitops = gitops
        self.source_copy, self.gitops_copy = source.mirror(folder / "source"), gitops.mirror(folder / "gitops")
        self.workshop = Workshop(sqlite_database(folder), folder)
        self.workshop.push(int(self.old, 16))
        self.wrote("base", "image:\n  tag: base\nprod:\n  tag: base\n")

    def wrote(self, subject: str, content: str, run: int = 0, source: str = "", name: str = IMAGE) -> None:
        """Have a run write the file."""
        image = f"{name}:sha-{source[:12]}@sha256:{'1' * 64}"
        trailers = f"Pilotage-Run: {run}\nPilotage-Source-Commit: {source}\nPilotage-Image: {image}"
        self.gitops.commit({FILE: content}, message=f"{subject}\n\n{trailers}" if run else subject)

    def overtaken(self, run: int = 7) -> None:
        self.wrote("newer", "image:\n  tag: newer\nprod:\n  tag: base\n", run, self.new)

    def goes_on(self, **fields: Any) -> Any:
        at = order(StageName.COMMIT, id=1, commit=self.old, image=f"{IMAGE}:sha-{self.old[:12]}", **fields)
        form = partial(form_of, at.settings)
        queue = Commits(self.workshop.database, QUIET, "gitops#main", "one", form)
        return commit.run(at, tools(source=self.source_copy, gitops=self.gitops_copy, commits=queue))

    @property
    def tag(self) -> str:
        return self.gitops.show(FILE).decode().split()[2]


@pytest.fixture
def restored(tmp_path: Path) -> Iterator[Restored]:
    with forge(tmp_path / "s", "acme/plate-web") as source, forge(tmp_path / "g") as gitops:
        yield Restored(tmp_path, source, gitops)


def test_a_newer_commit_of_a_run_that_is_not_in_the_tables_stays(restored: Restored) -> None:
    restored.overtaken()
    outcome = restored.goes_on()
    assert isinstance(outcome, Fail)
    assert (outcome.reason, restored.tag) == (Reason.OLDER_COMMIT, "newer")
    assert outcome.detail.endswith("has deployed a newer commit, by a run that is not known here")


def test_a_run_whose_id_is_another_ones_by_now_is_not_in_the_tables(restored: Restored) -> None:
    assert restored.workshop.push(3)["runs"] == [2]
    restored.overtaken(run=2)
    assert isinstance(restored.goes_on(), Fail)


@pytest.mark.parametrize("fields", [{"trigger": Trigger.MANUAL}, {"insists": True}])
def test_a_person_may_insist(restored: Restored, fields: dict[str, Any]) -> None:
    restored.overtaken()
    assert isinstance(restored.goes_on(**fields), Done)
    assert restored.tag == f"sha-{restored.old[:12]}"


def test_a_run_of_the_tables_is_their_business(restored: Restored) -> None:
    assert restored.workshop.push(int(restored.new, 16))["runs"] == [2]
    restored.overtaken(run=2)
    assert isinstance(restored.goes_on(), Done)


def test_what_wrote_something_else_into_the_file_has_not_overtaken_anybody(restored: Restored) -> None:
    restored.wrote("newer in prod", "image:\n  tag: base\nprod:\n  tag: newer\n", 7, restored.new)
    assert isinstance(restored.goes_on(), Done)


@pytest.mark.parametrize(("name", "read"), [("harbor.example.com/plate/plate-api", 0), (f"{IMAGE}-2", 1)])
def test_runs_of_other_images_have_not_overtaken_anybody(
    restored: Restored, monkeypatch: pytest.MonkeyPatch, name: str, read: int
) -> None:
    """Many apps may share the branch: what is plainly of another one is not even taken apart."""
    restored.wrote("another app", "image:\n  tag: newer\nprod:\n  tag: base\n", 7, restored.new, name)
    taken_apart: list[str] = []
    monkeypatch.setattr(lost_runs, "trailers_of", lambda text: [taken_apart.append(text), *trailers_of(text)][1:])
    assert isinstance(restored.goes_on(), Done)
    assert len(taken_apart) == read


def test_the_same_or_an_older_commit_or_one_that_was_taken_back_since_is_no_newer_one(restored: Restored) -> None:
    restored.wrote("the same", "image:\n  tag: same\n", 7, restored.old)
    restored.wrote("newer", "image:\n  tag: newer\n", 8, restored.new)
    restored.wrote("taken back", "image:\n  tag: same\n", 9, restored.old)
    assert isinstance(restored.goes_on(), Done)


def test_with_what_was_seen_a_moment_ago_nothing_is_asked(
    restored: Restored, monkeypatch: pytest.MonkeyPatch
) -> None:
    restored.gitops_copy.fetch_branch("main")
    monkeypatch.setattr(Mirror, "fetch_branch", lambda *_, **__: pytest.fail("asked"))
    assert isinstance(restored.goes_on(), Done)
