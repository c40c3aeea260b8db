"""Running one Git command: its bounds, its input, and what is left of it afterwards."""

import os
import time
from pathlib import Path

import pytest

from orchestrator.domain.errors import Cancelled, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from workers.clients import git_process
from workers.clients.git_access import local_env
from workers.clients.git_errors import SOURCE
from workers.clients.git_lock import LockBusy, exclusive
from workers.clients.git_process import GitTimeout, TooMuch, run, start, watchdog
from workers.clients.git_read import Repository


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    assert run(None, ["init", "-q", "--bare", str(tmp_path / "r.git")], env=local_env(), timeout=20).code == 0
    return tmp_path / "r.git"


def alias(command: str) -> dict[str, str]:
    """An environment in which ``git x`` runs a shell command: any behaviour that a test needs."""
    return local_env((("alias.x", f"!{command}"),))


@pytest.mark.parametrize("guarded", [True, False])
def test_a_command_is_fed_and_read_and_its_code_kept(repo: Path, guarded: bool) -> None:
    big = os.urandom(3_000_000)
    stored = run(repo, ["hash-object", "-w", "--stdin"], env=local_env(), timeout=20, stdin=big)
    assert (stored.code, stored.stderr) == (0, "")
    name = stored.text.strip()
    assert run(repo, ["cat-file", "blob", name], env=local_env(), timeout=20, guarded=guarded).stdout == big
    failed = run(repo, ["cat-file", "blob", "nothing"], env=local_env(), timeout=20, guarded=guarded)
    assert failed.code == 128
    assert "Not a valid object name" in failed.stderr


def test_a_guarded_command_has_nothing_to_read(repo: Path) -> None:
    assert run(repo, ["x"], env=alias("cat"), timeout=20, guarded=True).stdout == b""


def test_input_that_nobody_reads_does_no_harm(repo: Path) -> None:
    done = run(repo, ["rev-parse", "--git-dir"], env=local_env(), timeout=20, stdin=b"x" * 5_000_000)
    assert done.code == 0


@pytest.mark.parametrize("guarded", [True, False])
def test_the_deadline_ends_a_command(repo: Path, guarded: bool) -> None:
    began = time.monotonic()
    with pytest.raises(GitTimeout):
        run(repo, ["x"], env=alias("sleep 60"), timeout=0.3, guarded=guarded)
    assert time.monotonic() - began < 30


def test_the_deadline_ends_a_command_that_has_closed_its_pipes(repo: Path) -> None:
    with pytest.raises(GitTimeout):
        run(repo, ["x"], env=alias("exec >&- 2>&- <&-; sleep 20"), timeout=0.5, guarded=True)


def test_a_grandchild_that_holds_the_pipes_is_not_waited_for(repo: Path) -> None:
    began = time.monotonic()
    done = run(repo, ["x"], env=alias("sleep 60 & echo done"), timeout=50)
    assert done.text == "done\n"
    assert time.monotonic() - began < 30


def test_too_much_output_ends_a_command(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(git_process, "MAX_OUTPUT", 100_000)
    with pytest.raises(TooMuch):
        run(repo, ["x"], env=alias("yes"), timeout=20)


def test_only_the_end_of_the_complaints_is_kept(repo: Path) -> None:
    done = run(repo, ["x"], env=alias("head -c 300000 /dev/zero | tr '\\0' a >&2; echo end >&2"), timeout=20)
    assert done.stderr.endswith("end\n")
    assert len(done.stderr) <= git_process.MAX_COMPLAINT


def test_what_the_checkpoint_raises_ends_a_command(repo: Path) -> None:
    def stop() -> None:
        raise Cancelled("enough")

    with pytest.raises(Cancelled):
        run(repo, ["x"], env=alias("sleep 20"), timeout=10, checkpoint=stop)


def test_a_machine_without_git_is_told_so(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Refused, match="git is not installed"):
        run(repo, ["version"], env=local_env(), timeout=5)


def test_a_process_that_cannot_be_started_is_a_passing_trouble(repo: Path) -> None:
    with pytest.raises(Unavailable, match="cannot be started"):
        run(repo, ["version", "x" * 3_000_000], env=local_env(), timeout=5)  # larger than one argument may be


def test_inherited_variables_of_git_are_dropped(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_WORK_TREE", "/elsewhere")
    done = run(repo, ["x"], env=alias("env"), timeout=5)
    assert "GIT_WORK_TREE=" not in done.text


def test_a_watchdog_bites_once_and_says_so(repo: Path) -> None:
    with start(repo, ["x"], env=alias("sleep 20")) as process, watchdog(process, 0.2) as fired:
        assert process.wait(5) != 0
        assert fired.is_set()
    with start(repo, ["version"], env=local_env()) as process, watchdog(process, 60) as fired:
        assert process.wait(5) == 0
        assert not fired.is_set()


def test_local_commands_that_break_their_bounds_get_our_errors(repo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = Repository(repo, SOURCE)
    monkeypatch.setattr("workers.clients.git_read.LOCAL_TIMEOUT", 0.0)
    with pytest.raises(Unavailable, match="no end in 0 s"):
        copy.commit_info("1" * 40)
    monkeypatch.undo()
    blob = run(repo, ["hash-object", "-w", "--stdin"], env=local_env(), timeout=5).text.strip()
    line = f"100644 blob {blob}\tfile\n".encode()
    tree = run(repo, ["mktree"], env=local_env(), timeout=5, stdin=line).text.strip()
    monkeypatch.setattr(git_process, "MAX_OUTPUT", 10)
    with pytest.raises(Refused, match="more output") as caught:
        copy.list_tree(tree, "")
    assert caught.value.reason is Reason.SOURCE_UNSUPPORTED


def test_one_lock_has_one_holder(tmp_path: Path) -> None:
    with exclusive(tmp_path / "lock", 1.0), pytest.raises(LockBusy), exclusive(tmp_path / "lock", 0.05):
        pass
    with exclusive(tmp_path / "lock", 0.0):
        pass
