"""Landing where the branch was seen last: without a fetch, on the condition that it is still there."""

import os
import time

from orchestrator.domain.changes import Landed, Rejected
from tests.support.git import git
from tests.support.githttp import Forge
from tests.support.landing import VALUES, change, file, land_all, pushes, tag_of
from workers.clients.git import Mirror


def reads(server: Forge) -> int:
    """How often somebody has asked where the branches are, to read."""
    return sum(request.startswith("POST") and request.endswith("upload-pack") for request in server.app.requests)


def test_a_branch_that_was_just_seen_is_not_fetched_again(server: Forge, mirror: Mirror) -> None:
    mirror.fetch_branch("main")
    before = reads(server)
    landed = land_all(mirror, [change(1)])
    assert landed == [Landed(run=1, commit=server.head(), created=True, previous=("old",))]
    assert reads(server) - before == 1, "the branch is read back, and that is all"
    assert land_all(mirror, [change(2)])[0].commit == server.head(), "the head that was read back is noted as well"  # type: ignore[union-attr]
    assert reads(server) - before == 2


def test_a_branch_that_has_moved_on_is_fetched_and_nothing_was_sent(server: Forge, mirror: Mirror) -> None:
    mirror.fetch_branch("main")
    server.commit({file(1): VALUES.format(app=1).replace("2", "5")}, message="foreign")
    waits: list[float] = []
    assert land_all(mirror, [change(1)], wait=waits.append)[0].created is True  # type: ignore[union-attr]
    assert (pushes(server), waits) == (1, []), "a wrong guess is no lost race"
    assert server.show(file(1)).decode() == VALUES.format(app=1).replace("2", "5").replace("old", "sha-1")


def test_what_was_dropped_from_the_branch_on_purpose_stays_dropped(server: Forge, mirror: Mirror) -> None:
    start = server.head()
    server.commit({"secret.txt": "oops"}, message="a mistake")
    mirror.fetch_branch("main")
    git(server.repo, "update-ref", "refs/heads/main", start)
    land_all(mirror, [change(1)])
    assert server.log() == ["deploy(app): 배포 1", "start"]


def test_a_refusal_or_a_value_that_is_there_is_not_taken_from_an_old_head(server: Forge, mirror: Mirror) -> None:
    server.commit({file(0): VALUES.format(app=0).replace("old", "sha-0"), file(1): None}, message="before")
    mirror.fetch_branch("main")
    server.commit({file(0): VALUES.format(app=0), file(1): VALUES.format(app=1)}, message="after")
    assert [type(one) for one in land_all(mirror, [change(0), change(1)])] == [Landed, Landed]
    assert (tag_of(server, 0), tag_of(server, 1)) == ("sha-0", "sha-1")
    assert isinstance(land_all(mirror, [change(2, file="nowhere.yaml")])[0], Rejected)


def test_what_was_seen_a_while_ago_is_looked_at_again(server: Forge, mirror: Mirror) -> None:
    head = mirror.fetch_branch("main")
    assert mirror.noted_head("main", 60.0) == head
    note = next((mirror.folder / "pilotage-heads").iterdir())
    os.utime(note, (time.time() - 61, time.time() - 61))
    assert mirror.noted_head("main", 60.0) is None
    assert mirror.noted_head("other", 60.0) is None


def test_a_note_is_gone_with_the_copy_and_harms_nobody(server: Forge, mirror: Mirror) -> None:
    mirror.note_head("main", server.head())
    assert mirror.noted_head("main", 60.0) is None, "there is no copy yet"
    mirror.fetch_branch("main")
    (mirror.folder / "HEAD").unlink()
    assert land_all(mirror_again := Mirror(server.access(), mirror.folder), [change(1)])[0].created is True  # type: ignore[union-attr]
    assert mirror_again.noted_head("main", 60.0) == server.head()
