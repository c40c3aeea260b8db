"""The forge stand-in: real pushes of a real Git client, and hooks that our own receivers believe and understand."""

import hashlib
import hmac
import json
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import pytest
import requests

from orchestrator.domain.apps import Hook, Secret
from orchestrator.domain.events import Ignored, Parsed, Ping, Push
from orchestrator.sandbox.forge import TOKEN, USER, SandboxForge
from orchestrator.sandbox.forge_git import run_git, with_header
from orchestrator.sandbox.forge_hooks import HookFault, SentDelivery
from orchestrator.sandbox.githttp import Fault
from tests.support.loopback import Loopback, Reply, loopback
from webhooks.forges import FORGES
from webhooks.receive import VerifiedDelivery, receive

SECRET = "hook-secret"
REPO = "acme/plate-web"
FLAVOURS = ["github", "gitea"]


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[SandboxForge]:
    started = SandboxForge(state_dir=tmp_path / "forge")
    started.start()
    started.create_repo(REPO, {"README.md": "one\n"})
    yield started
    started.stop()


@pytest.fixture
def receiver() -> Iterator[Loopback]:
    with loopback(lambda _: Reply(status=202, body="{}")) as server:
        yield server


def understood(delivery: SentDelivery) -> Parsed:
    """What our own receiver makes of a delivery; it must believe the signature."""
    flavour = delivery.hook.flavour
    hook = Hook(forge=flavour, secret=Secret(SECRET))
    got = receive(FORGES[flavour], hook, delivery.headers, delivery.body, datetime.now(UTC))
    assert isinstance(got, VerifiedDelivery), got
    return got.parsed


def pushes(forge: SandboxForge) -> list[SentDelivery]:
    return [one for one in forge.settle() if one.event == "push"]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_a_push_is_told_in_a_signed_delivery(forge: SandboxForge, receiver: Loopback, flavour: str) -> None:
    before = forge.head(REPO)
    forge.hook(REPO, f"{receiver.url}/webhooks/{flavour}", SECRET, flavour)
    sha = forge.commit(REPO, "main", {"web/a.txt": "가\n", "README.md": None}, "Add a page 😀\n\nWith a body.")

    [delivery] = pushes(forge)
    parsed = understood(delivery)
    assert isinstance(parsed, Push)
    [change] = parsed.changes
    assert (change.ref, change.before, change.after, change.commit) == ("refs/heads/main", before, sha, sha)
    assert change.message.startswith("Add a page 😀")
    assert (parsed.repo.full_name, parsed.actor) == (REPO, USER)
    assert forge.clone_url(REPO) in parsed.repo.urls
    assert delivery.status == 202
    [commit] = json.loads(delivery.body)["commits"]
    assert (commit["added"], commit["removed"], commit["modified"]) == (["web/a.txt"], ["README.md"], [])


def test_what_arrives_is_what_was_signed(forge: SandboxForge, receiver: Loopback) -> None:
    forge.hook(REPO, f"{receiver.url}/hook", SECRET)
    forge.commit(REPO, "main", {"a": "1"}, "One")
    forge.settle()

    asked = receiver.asked[-1]
    digest = hmac.new(SECRET.encode(), asked.body, hashlib.sha256).hexdigest()
    assert asked.headers["x-hub-signature-256"] == f"sha256={digest}"
    assert asked.headers["x-github-event"] == "push"


@pytest.mark.parametrize(("flavour", "pings"), [("github", 1), ("gitea", 0)])
def test_a_new_hook_of_github_begins_with_a_ping(
    forge: SandboxForge, receiver: Loopback, flavour: str, pings: int
) -> None:
    forge.hook(REPO, receiver.url, SECRET, flavour)

    assert [isinstance(understood(one), Ping) for one in forge.settle()] == [True] * pings


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_an_annotated_tag_leads_to_its_commit(forge: SandboxForge, receiver: Loopback, flavour: str) -> None:
    forge.hook(REPO, receiver.url, SECRET, flavour)
    tag = forge.tag(REPO, "v1.0.0", "main", "The first")

    parsed = understood(pushes(forge)[0])
    assert isinstance(parsed, Push)
    [change] = parsed.changes
    assert (change.name, change.after, change.commit) == ("v1.0.0", tag, forge.head(REPO))
    assert tag != forge.head(REPO)


def test_a_push_of_several_refs_is_several_deliveries(forge: SandboxForge, receiver: Loopback) -> None:
    forge.hook(REPO, receiver.url, SECRET)
    head = forge.head(REPO)
    forge.push_refs(REPO, {"refs/heads/a/b": head, "refs/heads/c": head, "refs/tags/t": head})

    bodies = [json.loads(one.body) for one in pushes(forge)]
    assert [body["ref"] for body in bodies] == ["refs/heads/a/b", "refs/heads/c", "refs/tags/t"]
    assert {body["created"] for body in bodies} == {True}
    assert bodies[0]["commits"] == []
    assert bodies[0]["head_commit"]["id"] == head


def test_github_says_nothing_of_more_than_three_tags_at_once(forge: SandboxForge, receiver: Loopback) -> None:
    forge.hook(REPO, receiver.url, SECRET)
    forge.push_refs(REPO, {f"refs/tags/t{n}": forge.head(REPO) for n in range(4)})

    assert pushes(forge) == []


def test_a_force_push_is_called_one(forge: SandboxForge, receiver: Loopback) -> None:
    first = forge.head(REPO)
    forge.commit(REPO, "main", {"a": "1"}, "Dropped later")
    forge.hook(REPO, receiver.url, SECRET)
    forge.push_refs(REPO, {"refs/heads/main": first}, force=True)

    body = json.loads(pushes(forge)[0].body)
    assert (body["forced"], body["after"], body["commits"]) == (True, first, [])


@pytest.mark.parametrize(("flavour", "event"), [("github", "push"), ("gitea", "delete")])
def test_a_deleted_branch(forge: SandboxForge, receiver: Loopback, flavour: str, event: str) -> None:
    forge.push_refs(REPO, {"refs/heads/old": forge.head(REPO)})
    forge.hook(REPO, receiver.url, SECRET, flavour)
    forge.push_refs(REPO, {"refs/heads/old": ""})

    delivery = forge.settle()[-1]
    assert delivery.event == event
    parsed = understood(delivery)
    assert isinstance(parsed, Ignored) or (isinstance(parsed, Push) and parsed.changes[0].deleted)


def test_a_lost_hook_never_comes_and_is_in_the_log(forge: SandboxForge, receiver: Loopback) -> None:
    forge.hook(REPO, receiver.url, SECRET)
    forge.settle()
    forge.fault(HookFault(lose=True))
    forge.commit(REPO, "main", {"a": "1"}, "One")

    assert [one.lost for one in pushes(forge)] == [True]
    assert [one.headers["x-github-event"] for one in receiver.asked] == ["ping"]


def test_a_hook_may_come_twice_under_one_id(forge: SandboxForge, receiver: Loopback) -> None:
    forge.hook(REPO, receiver.url, SECRET)
    forge.fault(HookFault(copies=2))
    forge.commit(REPO, "main", {"a": "1"}, "One")

    first, second = pushes(forge)
    assert first.id == second.id


def test_hooks_may_come_out_of_order(forge: SandboxForge, receiver: Loopback) -> None:
    forge.hook(REPO, receiver.url, SECRET)
    forge.fault(HookFault(delay=1.0))
    first = forge.commit(REPO, "main", {"a": "1"}, "One")
    second = forge.commit(REPO, "main", {"a": "2"}, "Two")

    assert [json.loads(one.body)["after"] for one in pushes(forge)] == [second, first]


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_nothing_is_repeated_unless_somebody_asks(forge: SandboxForge, flavour: str) -> None:
    answers = iter([Reply(status=500), Reply(status=202)])
    with loopback(lambda asked: Reply() if asked.headers["x-github-event"] == "ping" else next(answers)) as receiver:
        forge.hook(REPO, receiver.url, SECRET, flavour)
        forge.commit(REPO, "main", {"a": "1"}, "One")
        [failed] = pushes(forge)
        assert failed.status == 500

        forge.redeliver(failed.id)
        again = pushes(forge)[-1]

    assert (again.status, again.redelivery) == (202, True)
    assert (again.id == failed.id) is (flavour == "github"), "Gitea's repetition is a delivery of its own"
    assert receiver.asked[-2].body == receiver.asked[-1].body


def test_pushes_at_the_same_time_are_each_told_once(forge: SandboxForge, receiver: Loopback) -> None:
    forge.hook(REPO, receiver.url, SECRET)
    with ThreadPoolExecutor(4) as pool:
        shas = list(pool.map(lambda n: forge.commit(REPO, f"b{n}", {"a": str(n)}, f"Commit {n}"), range(4)))

    assert sorted(json.loads(one.body)["after"] for one in pushes(forge)) == sorted(shas)


def test_a_receiver_that_is_away_does_not_hold_up_the_push(forge: SandboxForge) -> None:
    never = threading.Event()
    with ExitStack() as stack:
        receiver = stack.enter_context(loopback(lambda _: Reply(wait=never)))
        stack.callback(never.set)
        forge.hook(REPO, receiver.url, SECRET)
        assert forge.commit(REPO, "main", {"a": "1"}, "One") == forge.head(REPO)


def test_an_address_where_nobody_listens_is_in_the_log(forge: SandboxForge) -> None:
    with loopback(lambda _: Reply()) as gone:
        url = gone.url
    forge.hook(REPO, url, SECRET)

    assert [(one.status, "refused" in one.error) for one in forge.settle()] == [(0, True)]


@pytest.mark.parametrize("credentials", ["", f"{USER}:wrong"])
def test_who_does_not_prove_who_they_are_gets_nothing(forge: SandboxForge, credentials: str) -> None:
    url = forge.clone_url(REPO).replace("://", f"://{credentials}@" if credentials else "://")
    with pytest.raises(subprocess.CalledProcessError):
        run_git(["ls-remote", url])


def test_a_real_client_clones_and_pushes(forge: SandboxForge, tmp_path: Path) -> None:
    env = with_header(forge._header())
    clone = str(tmp_path / "clone")
    run_git(["clone", "-q", forge.clone_url(REPO), clone], env=env)

    assert (tmp_path / "clone" / "README.md").read_text() == "one\n"
    assert TOKEN not in (tmp_path / "clone" / ".git" / "config").read_text()


def test_a_protected_branch_refuses(forge: SandboxForge) -> None:
    forge.refuse_pushes(REPO, "this branch is protected")
    with pytest.raises(subprocess.CalledProcessError) as caught:
        forge.commit(REPO, "main", {"a": "1"}, "One")

    assert b"this branch is protected" in caught.value.stderr


def test_git_itself_may_fail_for_a_while(forge: SandboxForge) -> None:
    forge.git_fault(Fault(status=503, times=1, discovery=True))
    with pytest.raises(subprocess.CalledProcessError):
        forge.commit(REPO, "main", {"a": "1"}, "One")


def test_what_was_there_before_a_restart_is_there_after_it(forge: SandboxForge, tmp_path: Path) -> None:
    head = forge.head(REPO)
    again = SandboxForge(state_dir=tmp_path / "forge")
    again.start()
    try:
        again.create_repo(REPO, {"README.md": "two\n"})
        assert again.head(REPO) == head
    finally:
        again.stop()


def test_every_commit_has_a_page(forge: SandboxForge) -> None:
    sha = forge.commit(REPO, "main", {"a.html": "<script>alert(1)</script>"}, "Add <b>")

    page = requests.get(f"{forge.base_url}/{REPO}/commit/{sha}", timeout=10)
    assert (page.status_code, "Add &lt;b&gt;" in page.text, "<script>" in page.text) == (200, True, False)
    assert sha[:7] in requests.get(f"{forge.base_url}/{REPO}", timeout=10).text
    assert REPO in requests.get(forge.base_url, timeout=10).text
    assert requests.get(f"{forge.base_url}/{REPO}/commit/--help", timeout=10).status_code == 404


@pytest.mark.parametrize("name", ["plate-web", "a/b/c", "../etc/x"])
def test_a_name_is_owner_and_name(forge: SandboxForge, name: str) -> None:
    with pytest.raises(ValueError, match=r"not (owner/name|a repository name)"):
        forge.create_repo(name)
