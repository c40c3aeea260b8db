"""Changes, servers and accounts that say no, and bounds."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.domain.changes import Edit, Landed, Rejected, Withdrawn
from orchestrator.domain.errors import Cancelled, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from tests.support.git import git
from tests.support.githttp import TOKEN, Fault, Forge
from tests.support.landing import AUTHOR, before_each_push, change, file, land_all, pushes
from workers.clients.git import GITOPS, Mirror, PushAnswer, PushVerdict
from workers.clients.git_lock import exclusive
from workers.clients.git_process import Output
from workers.gitops.commit import InDoubt, land


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"file": "no/such.yaml"}, "no/such.yaml is not in the branch main"),
        ({"file": "link.yaml"}, "link.yaml is a symbolic link, not a file"),
        ({"file": "way/app-1/values.yaml"}, "way/app-1/values.yaml lies below way, which is a symbolic link"),
        ({"file": "sub/values.yaml"}, "sub/values.yaml lies below sub, which is a submodule"),
        ({"file": "helm"}, "helm is a folder, not a file"),
        ({"file": "../values.yaml"}, "leaves the repository"),
        ({"file": "/etc/passwd"}, "not a path inside"),
        ({"file": "--output=x"}, "is not in the branch"),
        ({"file": "big.yaml"}, "at most"),
        ({"edits": (Edit(path="image.nothing", value="x"),)}, f"{file(1)}, line 3: "),
        ({"file": "latin.yaml"}, "latin.yaml, line 2: "),
    ],
)
def test_a_change_that_cannot_be_made_is_named_and_stops_no_other(
    server: Forge, mirror: Mirror, fields: dict[str, object], words: str
) -> None:
    server.commit(
        {
            "link.yaml": file(1),
            "way": "helm/앱",
            "sub": "1" * 40,
            "big.yaml": b"#" * (16 * 1024 * 1024 + 1) if fields.get("file") == "big.yaml" else "",
            "latin.yaml": "image:\n  tag: caf\xe9\n".encode("latin-1"),
        },
        modes={"link.yaml": "120000", "way": "120000", "sub": "160000"},
    )
    before, rejected, after = land_all(mirror, [change(2), change(1, **fields), change(3)])
    assert isinstance(rejected, Rejected)
    assert words in rejected.detail
    assert isinstance(before, Landed)
    assert isinstance(after, Landed)
    assert server.log()[:3] == ["deploy(app): 배포 3", "deploy(app): 배포 2", "change"]


def test_a_server_that_declines_is_quoted(server: Forge, mirror: Mirror) -> None:
    server.app.refuse_pushes(server.name, f"GL-HOOK-ERR: 금요일 no deploys\n========\n{TOKEN}")
    with pytest.raises(Refused) as caught:
        land_all(mirror, [change(1)])
    assert caught.value.reason is Reason.GITOPS_REFUSED
    assert "pre-receive hook declined" in caught.value.evidence
    assert "금요일 no deploys" in caught.value.evidence
    assert TOKEN not in caught.value.evidence


@pytest.mark.parametrize("words", ["GitLab: Internal API unreachable", "Gitea: Internal Server Connection Error"])
def test_a_server_that_could_not_decide_is_asked_again(server: Forge, mirror: Mirror, words: str) -> None:
    server.app.refuse_pushes(server.name, words)
    with pytest.raises(InDoubt, match=words) as caught:
        land_all(mirror, [change(1)])
    assert caught.value.reason is Reason.GITOPS_UNAVAILABLE
    server.app.refuse_pushes(server.name, "")
    (landed,) = land_all(mirror, [change(1)])
    assert isinstance(landed, Landed)


def _decline_subjects_with(server: Forge, word: str) -> None:
    hook = server.repo / "hooks" / "pre-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(
        "#!/bin/sh\nread old new ref\n"
        f'if git log --format=%s "$old..$new" | grep -q "{word}"; then echo "policy: {word}" >&2; exit 1; fi\n'
    )
    hook.chmod(0o755)


def test_one_declined_change_does_not_block_the_others(server: Forge, mirror: Mirror) -> None:
    _decline_subjects_with(server, "forbidden")
    first, bad, last = land_all(mirror, [change(1), change(2, message="forbidden"), change(3)])
    assert [first.created, last.created] == [True, True]  # type: ignore[union-attr]
    assert isinstance(bad, Rejected)
    assert "the server declined the push" in bad.detail
    assert "policy: forbidden" in bad.detail
    assert server.log() == ["deploy(app): 배포 3", "deploy(app): 배포 1", "start"]


def test_what_landed_alone_is_in_doubt_when_the_others_cannot_be_tried(server: Forge, mirror: Mirror) -> None:
    _decline_subjects_with(server, "forbidden")

    def taken_over() -> None:
        if len(server.log()) > 1:
            raise Unavailable(Reason.GITOPS_CONTENDED, "another worker took the branch over")

    with pytest.raises(InDoubt, match="took the branch over"):
        land_all(mirror, [change(1), change(2, message="forbidden"), change(3)], checkpoint=taken_over)
    assert server.log() == ["deploy(app): 배포 1", "start"]


def test_where_none_has_landed_there_is_no_doubt(server: Forge, mirror: Mirror) -> None:
    _decline_subjects_with(server, "forbidden")

    def taken_over() -> None:
        if pushes(server):
            raise Unavailable(Reason.GITOPS_CONTENDED, "another worker took the branch over")

    with pytest.raises(Unavailable, match="took the branch over") as caught:
        land_all(mirror, [change(1, message="forbidden"), change(2)], checkpoint=taken_over)
    assert not isinstance(caught.value, InDoubt)
    assert server.log() == ["start"]


def test_a_refusal_concerns_only_whom_it_is_for(server: Forge, mirror: Mirror) -> None:
    _decline_subjects_with(server, "forbidden")
    bad, unwanted = land_all(mirror, [change(1, message="forbidden"), change(2)], unwanted=frozenset([2]))
    assert isinstance(bad, Rejected)
    assert unwanted == Withdrawn(run=2)


def test_a_server_that_declines_every_change_is_a_refusal(server: Forge, mirror: Mirror) -> None:
    _decline_subjects_with(server, "deploy")
    with pytest.raises(Refused, match="policy: deploy"):
        land_all(mirror, [change(1), change(2)])


def test_a_protected_branch_is_not_tried_change_by_change(server: Forge, mirror: Mirror) -> None:
    server.app.refuse_pushes(server.name, "You are not allowed to push code to protected branches on this project.")
    with pytest.raises(Refused, match="protected branches"):
        land_all(mirror, [change(1), change(2)])
    assert pushes(server) == 1


@pytest.mark.parametrize("status", [401, 403])
def test_an_account_that_may_not_push_is_refused(server: Forge, mirror: Mirror, status: int) -> None:
    server.app.inject(Fault(service="receive", discovery=True, status=status))
    with pytest.raises(Refused) as caught:
        land_all(mirror, [change(1), change(2)])
    assert caught.value.reason is Reason.GITOPS_REFUSED


def test_a_branch_that_was_never_there_is_named_as_missing(server: Forge, mirror: Mirror) -> None:
    def begin() -> None:
        land(mirror, "gone", [change(1)], author=AUTHOR, deadline_s=9.0, checkpoint=lambda: None)

    for ask in (begin, lambda: mirror.try_push("gone")):
        with pytest.raises(Refused, match=r"platform/gitops\.git has no branch 'gone'") as caught:
            ask()
        assert caught.value.reason is Reason.GITOPS_BRANCH_MISSING
    assert mirror.try_push("main") == server.head()


def test_a_branch_that_is_deleted_between_two_landings_is_named_as_missing(server: Forge, mirror: Mirror) -> None:
    land_all(mirror, [change(1)])  # from now on it is known where the branch is
    git(server.repo, "update-ref", "-d", "refs/heads/main")
    with pytest.raises(Refused, match="has no branch 'main'") as caught:
        land_all(mirror, [change(2), change(3)])
    assert caught.value.reason is Reason.GITOPS_BRANCH_MISSING
    assert pushes(server) == 1


@pytest.mark.parametrize(
    "said",
    [
        "ERROR: The key you are authenticating with has been marked as read only.\n",
        "remote: ========\nremote: ERROR: This deploy key does not have write access to this project.\nremote: ==\n",
        "Gitea: Deploy Key: 3:bot is not authorized to write to platform/gitops.\n",
    ],
)
def test_a_key_that_may_only_read_is_refused_and_not_in_doubt(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    remote = Mirror._remote

    def over_ssh(self: Mirror, arguments: Sequence[str], *more: object) -> Output:
        if arguments[0] != "push":
            return remote(self, arguments, *more)  # type: ignore[arg-type]
        return Output(code=128, stdout=b"", stderr=f"{said}fatal: Could not read from remote repository.\n")

    monkeypatch.setattr(Mirror, "_remote", over_ssh)
    for ask in (lambda: land_all(mirror, [change(1), change(2)]), lambda: mirror.try_push("main")):
        with pytest.raises(Refused, match="give it write access") as caught:
            ask()
        assert caught.value.reason is Reason.GITOPS_REFUSED
        assert "===" not in caught.value.evidence


class Mumbling(Mirror):
    """Gets an answer to its push that says neither yes nor no."""

    def push(self, commit: str, branch: str, *, onto: str, timeout: float = 0) -> PushAnswer:
        return PushAnswer(verdict=PushVerdict.UNKNOWN, words="[remote failure] (remote failed to report status)")


def test_an_unclear_answer_without_a_landed_commit_is_unavailable(server: Forge, tmp_path: Path) -> None:
    mumbling = Mumbling(server.access(), tmp_path / "m.git", reasons=GITOPS)
    with pytest.raises(Unavailable, match="remote failed to report status"):
        land_all(mumbling, [change(1)])


def test_time_that_has_run_out_is_an_error_and_not_a_hang(server: Forge, mirror: Mirror) -> None:
    with pytest.raises(Unavailable, match="deadline"):
        land_all(mirror, [change(1)], deadline_s=0.0)
    mirror.fetch_branch("main")
    name = next(iter(mirror.folder.parent.glob("*.land")))
    with exclusive(name, 1.0), pytest.raises(Unavailable, match="another process pushes"):
        land_all(mirror, [change(1)], deadline_s=0.1)


def test_work_that_is_called_off_pushes_nothing(server: Forge, mirror: Mirror) -> None:
    def stop() -> None:
        raise Cancelled("by Ann")

    with pytest.raises(Cancelled):
        land_all(mirror, [change(1)], checkpoint=before_each_push(stop))
    assert pushes(server) == 0
