"""A push lands or says why not."""

from pathlib import Path

import pytest

from orchestrator.domain.errors import Refused
from tests.support.git import git
from tests.support.githttp import TOKEN, Fault, Forge
from workers.clients.git import GITOPS, Mirror, PushVerdict


def test_a_push_lands_or_says_why_not(server: Forge, tmp_path: Path) -> None:
    mirror = server.mirror(tmp_path / "state", GITOPS)
    base = mirror.fetch_branch("main")
    tree = git(server.repo, "rev-parse", f"{base}^{{tree}}")
    ours = git(mirror.folder, "commit-tree", tree, "-p", base, "-m", "ours")
    other = git(mirror.folder, "commit-tree", tree, "-p", base, "-m", "other")
    assert mirror.push(ours, "main", onto=base).verdict is PushVerdict.LANDED
    assert mirror.push(ours, "main", onto=base).verdict is PushVerdict.LANDED
    assert server.head() == ours
    assert mirror.push(other, "main", onto=base).verdict is PushVerdict.RACE
    server.app.refuse_pushes(server.name, f"no deploys on \x1b[1mFriday\x1b[0m {TOKEN}")
    refused = mirror.push(git(mirror.folder, "commit-tree", tree, "-p", ours, "-m", "next"), "main", onto=ours)
    assert refused.verdict is PushVerdict.REFUSED
    assert refused.words == "[remote rejected] (pre-receive hook declined): no deploys on Friday ***"
    server.app.inject(Fault(service="receive", discovery=True, status=403))
    with pytest.raises(Refused, match="403"):
        mirror.push(other, "main", onto=ours)


@pytest.mark.parametrize("status", [0, 401, 403])
def test_the_right_to_push_is_proven_without_pushing(server: Forge, mirror: Mirror, status: int) -> None:
    head = server.commit({"a": "1\n"})
    if status:
        server.app.inject(Fault(service="receive", discovery=True, status=status, times=2))
        with pytest.raises(Refused):
            mirror.try_push("main")
    else:
        mirror.try_push("main")
    assert server.head() == head
    assert not any(line.startswith("POST") and line.endswith("receive-pack") for line in server.app.requests)
