"""The mirror against a server that speaks smart HTTP: what is fetched, by branch, commit and tag."""

from pathlib import Path

import pytest

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.git import git
from tests.support.git_processes import NOBODY
from tests.support.githttp import Forge
from workers.clients.git import Mirror
from workers.clients.git_errors import Missing


def test_the_first_fetch_makes_the_mirror_and_later_ones_follow_the_branch(server: Forge, mirror: Mirror) -> None:
    assert mirror.fetch_branch("main") == server.head()
    newer = server.commit({"README.md": "again\n"})
    assert mirror.fetch_branch("main") == newer
    server.commit({"x": "1"}, branch="side")
    git(server.repo, "update-ref", "refs/heads/main", server.head("side"))  # a forced push to unrelated history
    assert mirror.fetch_branch("main") == server.head("side")


@pytest.mark.parametrize(
    "branch", ["feature/a", "릴리스/한글-가지", "dev+x", "a'b", "$(touch-x)", "`id`", "-x"[1:], "가" * 83]
)
def test_branches_with_strange_names_are_fetched(server: Forge, mirror: Mirror, branch: str) -> None:
    head = server.commit({"f": branch}, branch=branch)
    assert mirror.fetch_branch(branch) == head
    assert mirror.resolve(branch) == head


def test_a_branch_may_take_the_place_of_a_folder_of_branches(server: Forge, mirror: Mirror) -> None:
    server.commit({"f": "1"}, branch="release")
    mirror.fetch_branch("release")
    git(server.repo, "update-ref", "-d", "refs/heads/release")
    head = server.commit({"f": "2"}, branch="release/1.0")
    assert mirror.fetch_branch("release/1.0") == head
    with pytest.raises(Missing):
        mirror.fetch_branch("release")


@pytest.mark.parametrize(
    "name",
    [
        "--upload-pack=touch /tmp/pwned",
        "-h",
        "../../x",
        "a..b",
        "a b",
        "x\ny",
        "x:y",
        "+main",
        "main^{}",
        "a" * 251,
        "",
        "refs/../heads",
        "x.lock",
        "main\x00",
    ],
)
def test_names_that_git_would_not_create_never_reach_it(server: Forge, mirror: Mirror, name: str) -> None:
    if name == "+main":  # Git takes this one; it must stay a name and not become a force sign
        head = server.commit({"f": "plus"}, branch=name)
        assert mirror.fetch_branch(name) == head
        return
    for call in (mirror.fetch_branch, mirror.resolve, lambda text: mirror.push(NOBODY, text, onto=NOBODY)):
        server.app.requests.clear()
        with pytest.raises(Refused) as caught:
            call(name)
        assert caught.value.reason is Reason.SOURCE_REFUSED
        assert server.app.requests == []


def test_a_branch_whose_commit_the_server_lacks_is_not_missing(server: Forge, mirror: Mirror) -> None:
    """As when one server of a forge shows the branch and another one, which lags behind, is asked for the commit."""
    (server.repo / "refs" / "heads" / "main").write_text(NOBODY, encoding="ascii")
    with pytest.raises(Unavailable) as caught:
        mirror.fetch_branch("main")
    assert caught.value.reason is Reason.SOURCE_UNAVAILABLE
    assert caught.value.evidence == f"{mirror.where} shows a branch 'main', but does not have its commit"


def test_a_commit_comes_by_its_ref(server: Forge, mirror: Mirror) -> None:
    commit = server.head()
    server.commit({"README.md": "newer\n"})
    mirror.fetch_commit(commit, "refs/heads/main")
    assert mirror.has(commit)
    assert mirror.read(commit, "README.md") == b"hello\n"


@pytest.mark.parametrize("ref", ["refs/heads/main", "main"])
def test_where_its_branch_is_by_now_is_told_with_it(server: Forge, mirror: Mirror, ref: str) -> None:
    commit = server.head()
    head = server.commit({"README.md": "newer\n"})
    assert mirror.fetch_commit(commit, ref) == head
    assert mirror.fetch_commit(commit, ref) == ""
    assert mirror.fetch_commit(commit, ref, new=True) == head


def test_a_branch_that_is_gone_is_nowhere(server: Forge, mirror: Mirror) -> None:
    assert mirror.fetch_commit(server.head(), "refs/heads/gone") == ""


def test_a_commit_that_is_here_is_not_asked_for_again(server: Forge, mirror: Mirror) -> None:
    mirror.fetch_commit(server.head(), "main")
    server.app.requests.clear()
    mirror.fetch_commit(server.head(), "main")
    assert server.app.requests == []


def test_a_commit_comes_by_its_id_when_the_branch_was_rewritten_or_deleted(server: Forge, mirror: Mirror) -> None:
    lost = server.commit({"f": "lost"}, branch="topic")
    git(server.repo, "update-ref", "-d", "refs/heads/topic")
    mirror.fetch_commit(lost, "refs/heads/topic")
    assert mirror.read(lost, "f") == b"lost"


def test_a_commit_is_found_in_other_branches_when_the_server_gives_none_by_id(
    server: Forge, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = server.commit({"f": "1"}, branch="other")
    server.commit({"f": "2"}, branch="other")
    real = server.app.__call__

    def protocol_0(environ, start_response):  # type: ignore[no-untyped-def]
        environ.pop("HTTP_GIT_PROTOCOL", None)  # only version 0 servers refuse ids that no ref has
        return real(environ, start_response)

    monkeypatch.setattr(type(server.app), "__call__", lambda _, *given: protocol_0(*given))
    mirror.fetch_commit(wanted, "refs/heads/main")
    assert mirror.read(wanted, "f") == b"1"


@pytest.mark.parametrize("commit", [NOBODY, "abc", "", "HEAD", "--output=x", "0" * 64])
def test_a_commit_that_the_remote_does_not_have_is_named(server: Forge, mirror: Mirror, commit: str) -> None:
    with pytest.raises(Refused) as caught:
        mirror.fetch_commit(commit, "refs/heads/main")
    assert caught.value.reason is Reason.COMMIT_NOT_FOUND
    assert not mirror.has(commit)


def test_tags_are_peeled_to_their_commit(server: Forge, mirror: Mirror) -> None:
    first = server.head()
    git(server.repo, "tag", "light", first)
    git(server.repo, "tag", "-a", "-m", "one", "v1", first)
    git(server.repo, "tag", "-a", "-m", "two", "v1-again", "v1")
    git(server.repo, "tag", "main", server.commit({"README.md": "newer\n"}, branch="side"))
    for name in ("light", "v1", "v1-again", "refs/tags/v1", "main", first):
        assert mirror.resolve(name) == first
        assert mirror.has(first)
    assert mirror.resolve("refs/tags/main") == server.head("side")
    with pytest.raises(Missing, match="no branch or tag 'v9'"):
        mirror.resolve("v9")


def test_a_tag_of_something_else_than_a_commit_is_refused(server: Forge, mirror: Mirror) -> None:
    git(server.repo, "tag", "tree", f"{server.head()}^{{tree}}")
    with pytest.raises(Missing):
        mirror.resolve("tree")


def test_the_remote_says_where_refs_stand(server: Forge, mirror: Mirror) -> None:
    git(server.repo, "tag", "-a", "-m", "one", "v1", server.head())
    everything = mirror.ls_remote()
    assert everything["refs/heads/main"] == everything["refs/tags/v1^{}"] == everything["HEAD"] == server.head()
    server.commit({"f": "1"}, branch="refs/heads/main")  # the full name is refs/heads/refs/heads/main
    assert mirror.ls_remote(["refs/heads/main", "refs/heads/gone"]) == {"refs/heads/main": server.head()}
    assert mirror.ls_remote(["HEAD"]) == {"HEAD": server.head()}
    assert not mirror.folder.exists()


@pytest.mark.parametrize("end", ["\u2028", "\u2029", "\x85"])
def test_a_name_that_seems_to_end_early_stands_for_no_other_branch(server: Forge, mirror: Mirror, end: str) -> None:
    other = server.commit({"f": "1"}, branch="side")
    git(server.repo, "update-ref", f"refs/heads/main{end}/refs/heads/main", other)
    assert mirror.ls_remote(["refs/heads/main"]) == {"refs/heads/main": server.head()}
    assert mirror.ls_remote()["refs/heads/main"] == mirror.resolve("main") == server.head()


def test_repositories_with_sha256_ids_work(server: Forge, tmp_path: Path) -> None:
    other = server.app.root / "team" / "new.git"
    git(server.repo, "init", "-q", "--bare", "-b", "main", "--object-format=sha256", str(other))
    new = Forge(app=server.app, base=server.base, repo=other, name="team/new")
    commit = new.commit({"f": "sha256"})
    mirror = new.mirror(tmp_path / "state")
    assert len(commit) == 64
    assert mirror.fetch_branch("main") == commit
    assert mirror.read(commit, "f") == b"sha256"


def test_a_commit_that_was_just_pushed_is_asked_for_without_a_look_here(server: Forge, mirror: Mirror) -> None:
    first = server.commit({"a": "1"})
    second = server.commit({"a": "2"})
    mirror.fetch_commit(first, "main", new=True)
    assert mirror.has(first), "it is below what the branch has by now"
    before = len(server.app.requests)
    mirror.fetch_commit(second, "main")
    assert len(server.app.requests) == before
    mirror.fetch_commit(second, "main", new=True)
    assert len(server.app.requests) > before
