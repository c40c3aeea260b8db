"""What lands on the GitOps branch, and in what form."""

from orchestrator.domain.apps import Author
from orchestrator.domain.changes import Edit, Landed
from tests.support.git import git
from tests.support.githttp import Forge
from tests.support.landing import VALUES, change, file, land_all, pushes, tag_of
from workers.clients.git import Mirror


def test_a_batch_is_one_commit_per_run_and_one_push(server: Forge, mirror: Mirror) -> None:
    start = server.head()
    results = land_all(mirror, [change(run) for run in range(5)])
    commits = git(server.repo, "rev-list", "--reverse", f"{start}..main").split()
    assert results == [
        Landed(run=run, commit=commit, created=True, previous=("old",)) for run, commit in enumerate(commits)
    ]
    assert pushes(server) == 1
    assert git(server.repo, "log", "--format=%P", f"{start}..main").split() == [*commits[-2::-1], start]
    assert [tag_of(server, app) for app in range(6)] == ["sha-0", "sha-1", "sha-2", "sha-3", "sha-4", "old"]


def test_a_commit_changes_one_line_and_says_who_when_and_why(server: Forge, mirror: Mirror) -> None:
    server.commit({file(3): VALUES.format(app=3)}, modes={file(3): "100755"})
    land_all(mirror, [change(3)])
    form = "--format=%an|%ae|%cn|%ce|%at|%ct|%ai%n%B"
    assert git(server.repo, "log", "-1", form, "main") == (
        "Pilotage 봇|bot@example.com|Pilotage 봇|bot@example.com|1700000503|1700000503|2023-11-14 22:21:43 +0000\n"
        "deploy(app): 배포 3\n\nPilotage-Run: 3\nPilotage-Image: hub/app:sha-3"
    )
    assert server.show(file(3)).decode() == VALUES.format(app=3).replace("old", "sha-3")
    assert git(server.repo, "diff", "--numstat", "-z", "main^", "main") == f"1\t1\t{file(3)}\0"
    assert git(server.repo, "ls-tree", "main", file(3)).startswith("100755")


def test_what_is_written_without_effort_is_sent_as_a_difference(server: Forge, mirror: Mirror) -> None:
    filler = "".join(f"  setting-{number:05d}: a value of {number}\n" for number in range(10_000))
    server.commit({file(1): f"settings:\n{filler}{VALUES.format(app=1)}"})
    git(server.repo, "config", "receive.maxInputSize", "4096")
    land_all(mirror, [change(1)])
    assert tag_of(server, 1) == "sha-1"
    packs = (mirror.folder / "objects" / "pack").glob("*.pack")
    assert max(pack.stat().st_size for pack in packs) > len(filler)


def test_later_changes_see_what_earlier_ones_did(server: Forge, mirror: Mirror) -> None:
    batch = [
        change(1, app=0, tag="a"),
        change(2, app=0, tag="b"),
        change(3, app=0, tag="b"),
        change(4, app=0, edits=(Edit(path="replicas", value="3"), Edit(path="image.tag", value="b"))),
    ]
    first, second, third, fourth = land_all(mirror, batch)
    assert (first.previous, second.previous, fourth.previous) == (("old",), ("a",), ("2", "b"))  # type: ignore[union-attr]
    assert third == Landed(run=3, commit=second.commit, created=False)  # type: ignore[union-attr]
    assert b"tag: b " in server.show(file(0), second.commit)  # type: ignore[union-attr]
    assert server.head() == fourth.commit  # type: ignore[union-attr]


def test_a_value_that_is_there_already_makes_no_commit(server: Forge, mirror: Mirror) -> None:
    head = server.head()
    assert land_all(mirror, [change(1, tag="old")]) == [Landed(run=1, commit=head, created=False)]
    assert (server.head(), pushes(server)) == (head, 0)


def test_nothing_to_land_asks_nobody(server: Forge, mirror: Mirror) -> None:
    assert land_all(mirror, []) == []
    assert server.app.requests == []


def test_messages_and_trailers_cannot_break_out_of_their_lines(server: Forge, mirror: Mirror) -> None:
    odd = change(
        1, message="one\r\n\x00two\n\nPilotage-Run: 99\n", trailers=(("Pilotage-Image", "x\nPilotage-Run: 98"),)
    )
    land_all(mirror, [odd], author=Author(name="A\n<b>", email="<c>\n@d"))
    text = git(server.repo, "log", "-1", "--format=%B", "main")
    assert text.split("\n\n")[-1] == "Pilotage-Run: 1\nPilotage-Image: x Pilotage-Run: 98"
    assert git(server.repo, "log", "-1", "--format=%an|%ae", "main") == "A  b|c@d"
    assert land_all(mirror, [odd])[0].created is False  # type: ignore[union-attr]
    assert land_all(mirror, [change(99, app=1)])[0].created is True  # type: ignore[union-attr]
