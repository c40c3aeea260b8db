"""Files, entries and commits are read as they were committed."""

from datetime import UTC, datetime

import pytest

from orchestrator.domain.errors import Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.git import git
from tests.support.git_processes import NOBODY
from tests.support.githttp import Forge
from workers.clients import git_read
from workers.clients.git import Mirror
from workers.clients.git_process import Output
from workers.clients.git_read import MAX_MESSAGE


@pytest.fixture
def tree(server: Forge, mirror: Mirror) -> str:
    """A commit with everything that a tree can hold."""
    server.commit(
        {
            "values.yaml": "image: {}\n",
            "run.sh": "#!/bin/sh\n",
            "한글/값.yaml": "tag: 가\n",
            "link.yaml": "values.yaml",
            "way": "한글",
            "vendor/lib": NOBODY,
            'we"ird -n.txt': "odd",
            "-rf": "dash",
        },
        modes={"run.sh": "100755", "link.yaml": "120000", "way": "120000", "vendor/lib": "160000"},
    )
    return mirror.fetch_branch("main")


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("values.yaml", b"image: {}\n"),
        ("한글/값.yaml", "tag: 가\n".encode()),
        ('we"ird -n.txt', b"odd"),
        ("-rf", b"dash"),
        ("nothing.yaml", None),
        ("web/nothing/at/all", None),
        ("*", None),
    ],
)
def test_files_are_read_as_committed(mirror: Mirror, tree: str, path: str, content: bytes | None) -> None:
    assert mirror.read(tree, path) == content


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("link.yaml", "link.yaml is a symbolic link"),
        ("way/값.yaml", "way, on the way to way/값.yaml, is a symbolic link"),
        ("vendor/lib", "vendor/lib is a submodule"),
        ("vendor/lib/x", "vendor/lib, on the way to vendor/lib/x, is a submodule"),
        ("web", "web is a folder"),
        ("../values.yaml", "leaves the repository"),
        ("web/../../x", "leaves the repository"),
        ("./values.yaml", "plain form"),
        ("web//app.py", "plain form"),
        (".git/config", "leaves the repository"),
        ("/etc/passwd", "not a path inside"),
        ("", "not a path inside"),
        ("web\\app.py", "backslash"),
        ("web\x00", "control character"),
        ("a" * 5000, "too long"),
    ],
)
def test_paths_that_lead_elsewhere_are_refused_by_name(mirror: Mirror, tree: str, path: str, words: str) -> None:
    with pytest.raises(Refused) as caught:
        mirror.read(tree, path)
    assert caught.value.reason is Reason.SOURCE_UNSUPPORTED
    assert words in caught.value.evidence


def test_an_entry_tells_its_mode(mirror: Mirror, tree: str) -> None:
    modes = {path: getattr(mirror.entry(tree, path), "mode", None) for path in ("run.sh", "web", "link.yaml", "no")}
    assert modes == {"run.sh": "100755", "web": "040000", "link.yaml": "120000", "no": None}


def test_a_file_that_is_too_large_is_refused(server: Forge, mirror: Mirror) -> None:
    server.commit({"big": b"x" * (16 * 1024 * 1024 + 1)})
    with pytest.raises(Refused, match="at most"):
        mirror.read(mirror.fetch_branch("main"), "big")


def test_only_full_ids_name_commits(mirror: Mirror, tree: str) -> None:
    for name in ("main", "HEAD", tree[:12], "--all", ""):
        with pytest.raises(ValueError, match="full commit id"):
            mirror.read(name, "values.yaml")
        assert mirror.is_ancestor(name, tree) is None
        assert mirror.changed_paths(name, tree) is None
        assert not mirror.has(name)


def test_ancestry_and_changes_between_commits(server: Forge, mirror: Mirror) -> None:
    assert mirror.is_ancestor(NOBODY, NOBODY) is None
    assert mirror.changed_paths(NOBODY, NOBODY) is None
    old = server.head()
    new = server.commit({"README.md": None, "한글.txt": "x", "web/app.py": "print(1)\n"})
    side = server.commit({"f": "1"}, branch="side")
    for branch in ("main", "side"):
        mirror.fetch_branch(branch)
    table = [(old, new, True), (new, old, False), (new, new, True), (old, side, False), (old, NOBODY, None)]
    for older, newer, answer in table:
        assert mirror.is_ancestor(older, newer) is answer
    assert mirror.changed_paths(old, new) == ("README.md", "web/app.py", "한글.txt")
    assert mirror.changed_paths(old, old) == ()
    assert mirror.changed_paths(old, NOBODY) is None


def test_what_was_changed_and_taken_back_between_commits_was_touched(server: Forge, mirror: Mirror) -> None:
    old = server.head()
    server.commit({"한글.txt": "x", "web/app.py": "print(1)\n"})
    new = server.commit({"한글.txt": None})
    mirror.fetch_branch("main")
    assert mirror.changed_paths(old, new) == ("web/app.py",)
    assert mirror.touched_paths(old, new) == {"web/app.py", "한글.txt"}
    assert mirror.touched_paths(new, old) == {"web/app.py"}
    assert mirror.touched_paths(old, old) == frozenset()
    assert mirror.touched_paths(old, NOBODY) is None


def test_a_commit_that_stands_for_endless_files_is_not_compared(
    server: Forge, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten folders that are the same one, in ten that are the same one, and so on: Git took all memory over it."""
    monkeypatch.setattr(git_read, "COMPARE_TIMEOUT", 0.5)
    tree = git(server.repo, "rev-parse", "main^{tree}")
    for _ in range(9):
        same = "".join(f"040000 tree {tree}\td{number}\n" for number in range(10))
        tree = git(server.repo, "mktree", stdin=same.encode())
    old = server.head()
    author = ("-c", "user.name=Ann", "-c", "user.email=ann@example.com")
    new = git(server.repo, *author, "commit-tree", tree, "-p", old, "-m", "bomb")
    git(server.repo, "update-ref", "refs/heads/main", new)

    assert mirror.fetch_branch("main") == new
    assert mirror.changed_paths(old, new) is None
    assert mirror.touched_paths(old, new) is None


def test_a_commit_says_who_when_and_what(server: Forge, mirror: Mirror) -> None:
    message = "제목: add \U0001f680\n\nBody line.\n\nPilotage-Run: 7\n"
    server.commit({"f": "1"}, message=message)
    info = mirror.commit_info(mirror.fetch_branch("main"))
    assert info.author_name == "Ann"
    assert datetime.fromisoformat(info.date) == datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
    assert info.subject == "제목: add \U0001f680"


def test_a_message_that_is_longer_than_any_is_refused(server: Forge, mirror: Mirror) -> None:
    """It packs to a few kilobytes, and would be copied over and over until it is shown."""
    longest = server.commit({"a": "1"}, message="x" * (MAX_MESSAGE - 1000))
    longer = server.commit({"a": "2"}, message="x" * (MAX_MESSAGE + 1000))
    mirror.fetch_branch("main")
    assert len(mirror.commit_info(longest).subject) == MAX_MESSAGE - 1000
    with pytest.raises(Refused, match=f"the message of commit {longer[:12]} has more than") as caught:
        mirror.commit_info(longer)
    assert caught.value.reason is Reason.SOURCE_UNSUPPORTED


def test_a_command_that_fails_for_another_cause_is_unavailable(mirror: Mirror, tree: str) -> None:
    error = mirror.failed(Output(code=128, stdout=b"", stderr="fatal: something new\n"))
    assert isinstance(error, Unavailable)
    assert mirror.read(tree, "values.yaml") == b"image: {}\n"


def test_the_history_of_a_file_after_a_commit_is_read(server: Forge, mirror: Mirror) -> None:
    server.commit({"values.yaml": "tag: a\n"}, message="Deploy\n\nRun: 1")
    ours = server.commit({"values.yaml": "tag: b\n"}, message="Deploy\n\nRun: 2")
    later = server.commit({"values.yaml": "tag: c\n"}, message="Deploy\n\nRun: 3")
    server.commit({"values.yaml": "tag: c # kept\n"}, message="Say why")
    server.commit({"*": "tag: d\n"}, message="Deploy\n\nRun: 4")
    head = mirror.fetch_branch("main")
    found = mirror.history(head, 50, "Run: ", after=ours, path="values.yaml")
    assert [one.commit for one in found] == [later]
    assert [one.text.split()[-1] for one in mirror.history(head, 50, "Run: ", path="*")] == ["4"]
    assert [one.text.split()[-1] for one in mirror.history(head, 2, "Run: ")] == ["4"]
