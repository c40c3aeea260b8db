"""What is found out about a branch that moved without a hook."""

import pytest

from orchestrator.domain.ownership import is_own_commit
from tests.support.githttp import Forge
from workers.clients.git import Mirror
from workers.polling import moved

OURS = "Deploy plate-web\n\nPilotage-Run: 7"


def test_it_is_what_the_hook_would_have_told(server: Forge, mirror: Mirror) -> None:
    known = mirror.ls_remote()["refs/heads/main"]
    server.commit({"web/app.py": "print(1)\n"}, message="Print one")
    head = server.commit({"docs/x.md": "x\n"}, message="Explain it\n\n[skip ci]")

    change = moved(mirror, "main", head, known, in_gitops=False)

    assert (change.ref, change.before, change.after, change.commit) == ("refs/heads/main", known, head, head)
    assert change.message.startswith("Explain it")
    assert change.skip == "[skip ci]"
    assert change.paths == {"docs/x.md", "web/app.py"}
    assert "@" in change.author_email
    assert "@" in change.committer_email


@pytest.mark.parametrize(("foreign", "ours"), [("", True), ("Print one", False)])
def test_commits_of_ours_hide_no_other(server: Forge, mirror: Mirror, foreign: str, ours: bool) -> None:
    known = mirror.ls_remote()["refs/heads/main"]
    if foreign:
        server.commit({"web/app.py": "print(1)\n"}, message=foreign)
    server.commit({"values.yaml": "tag: a\n"}, message=OURS)
    head = server.commit({"values.yaml": "tag: b\n"}, message=OURS)

    change = moved(mirror, "main", head, known, in_gitops=True)
    assert is_own_commit(change, "nobody@example.com", in_gitops=True) is ours


def test_where_we_do_not_push_the_head_counts_whatever_its_trailer_says(server: Forge, mirror: Mirror) -> None:
    known = mirror.ls_remote()["refs/heads/main"]
    server.commit({"web/app.py": "print(1)\n"}, message="Print one")
    head = server.commit({"web/app.py": "print(2)\n"}, message=OURS)

    assert moved(mirror, "main", head, known, in_gitops=False).message.startswith("Deploy plate-web")


@pytest.mark.parametrize("known", ["", "1" * 40])
def test_what_changed_since_an_unknown_commit_is_unknown(server: Forge, mirror: Mirror, known: str) -> None:
    head = server.commit({"web/app.py": "print(1)\n"}, message="Print one")

    change = moved(mirror, "main", head, known, in_gitops=False)

    assert (change.message.strip(), change.paths) == ("Print one", None)
