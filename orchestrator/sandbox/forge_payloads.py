"""What GitHub and Gitea send for a push: the shape of the body, the headers, and which events there are.

Sources: docs.github.com, "Webhook events and payloads"; go-gitea/gitea modules/structs/hook.go.
"""

import hashlib
import hmac
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from orchestrator.sandbox.forge_git import Commit, HostedRepository, Moved

MAX_TAGS = 3
"""Tags pushed at once above which GitHub sends nothing for them."""
Event = tuple[str, dict[str, Any]]
"""The event's name and the body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flavour:
    """How one forge speaks.

    :param push: base URL, repository and one push to events. :param headers: event, delivery id, secret and body to
        headers. :param timeout: seconds that it waits for an answer. :param ping: a new hook begins with one.
    :param keeps_id: what somebody has sent again keeps its id.
    """

    push: Callable[[str, HostedRepository, list[Moved]], list[Event]]
    headers: Callable[[str, str, str, bytes], dict[str, str]]
    timeout: float
    ping: bool
    keeps_id: bool


def github_push(base: str, repository: HostedRepository, push: list[Moved]) -> list[Event]:
    """Return one ``push`` event for each ref; none for tags when more than three came at once."""
    tags = sum(moved.is_tag for moved in push)
    wanted = [moved for moved in push if not moved.is_tag or tags <= MAX_TAGS]
    return [("push", _github_ref(base, repository, moved)) for moved in wanted]


def github_ping(base: str, repository: HostedRepository, url: str) -> Event:
    """Return the event that a new hook begins with."""
    config = {"content_type": "json", "insecure_ssl": "0", "secret": "********", "url": url}
    hook = {"type": "Repository", "id": 1, "name": "web", "active": True, "events": ["push"], "config": config}
    body = {"zen": "Design for failure.", "hook_id": 1, "hook": hook, "repository": _github_repo(base, repository)}
    return "ping", body | {"sender": _github_user(base, repository.name.split("/")[0])}


def github_headers(event: str, delivery: str, secret: str, body: bytes) -> dict[str, str]:
    """Return the headers of a delivery; signatures only when there is a secret, as GitHub does."""
    headers = {
        "Accept": "*/*",
        "Content-Type": "application/json",
        "User-Agent": "GitHub-Hookshot/sandbox",
        "X-GitHub-Delivery": delivery,
        "X-GitHub-Event": event,
        "X-GitHub-Hook-ID": "1",
        "X-GitHub-Hook-Installation-Target-ID": "1",
        "X-GitHub-Hook-Installation-Target-Type": "repository",
    }
    if secret:
        headers["X-Hub-Signature"] = "sha1=" + _digest(secret, body, "sha1")
        headers["X-Hub-Signature-256"] = "sha256=" + _digest(secret, body, "sha256")
    return headers


def gitea_push(base: str, repository: HostedRepository, push: list[Moved]) -> list[Event]:
    """Return ``create`` and ``push`` for a new ref, ``push`` for a moved one, ``delete`` for a deleted one."""
    return [event for moved in push for event in _gitea_ref(base, repository, moved)]


def gitea_headers(event: str, delivery: str, secret: str, body: bytes) -> dict[str, str]:
    """Return the headers of a delivery, with those of Gogs and GitHub that Gitea sends as well.

    Without a secret the signatures are there, but empty (gitea services/webhook/deliver.go).
    """
    digest = _digest(secret, body, "sha256") if secret else ""
    sha1 = _digest(secret, body, "sha1") if secret else ""
    headers = {"Content-Type": "application/json", "User-Agent": "Go-http-client/1.1"}
    for name in ("Gitea", "Gogs", "GitHub"):
        headers |= {f"X-{name}-Delivery": delivery, f"X-{name}-Event": event, f"X-{name}-Event-Type": event}
    headers |= {"X-Gitea-Signature": digest, "X-Gogs-Signature": digest}
    return headers | {"X-Hub-Signature": f"sha1={sha1}", "X-Hub-Signature-256": f"sha256={digest}"}


def encode(body: Mapping[str, Any]) -> bytes:
    """Return the bytes that are sent and signed."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


FLAVOURS: Mapping[str, Flavour] = {
    "github": Flavour(push=github_push, headers=github_headers, timeout=10.0, ping=True, keeps_id=True),
    "gitea": Flavour(push=gitea_push, headers=gitea_headers, timeout=5.0, ping=False, keeps_id=False),
}


def _github_ref(base: str, repository: HostedRepository, moved: Moved) -> dict[str, Any]:
    commits = [_github_commit(base, repository, commit) for commit in repository.arrived(moved)]
    head = repository.resolve(moved.after) if not moved.deleted else ""
    named = next((commit for commit in commits if commit["id"] == head), None)
    if head and named is None:
        named = _github_commit(base, repository, repository.commits([head], 1)[0])
    owner = repository.name.split("/")[0]
    return {
        "ref": moved.ref,
        "before": moved.before,
        "after": moved.after,
        "repository": _github_repo(base, repository),
        "pusher": {"name": moved.user, "email": _mail(moved.user)},
        "sender": _github_user(base, moved.user or owner),
        "created": moved.created,
        "deleted": moved.deleted,
        "forced": repository.forced(moved),
        "base_ref": None,
        "compare": f"{base}/{repository.name}/compare/{moved.before[:12]}...{moved.after[:12]}",
        "commits": commits,
        "head_commit": named,
    }


def _github_commit(base: str, repository: HostedRepository, commit: Commit) -> dict[str, Any]:
    return {
        "id": commit.sha,
        "tree_id": commit.tree,
        "distinct": True,
        "message": commit.message.rstrip("\n"),
        "timestamp": commit.when,
        "url": f"{base}/{repository.name}/commit/{commit.sha}",
        "author": {"name": commit.author[0], "email": commit.author[1]},
        "committer": {"name": commit.committer[0], "email": commit.committer[1]},
        "added": list(commit.added),
        "removed": list(commit.removed),
        "modified": list(commit.modified),
    }


def _github_repo(base: str, repository: HostedRepository) -> dict[str, Any]:
    owner, _, short = repository.name.rpartition("/")
    page, branch = f"{base}/{repository.name}", repository.head()
    return {
        "id": repository.id,
        "node_id": f"R_sandbox{repository.id}",
        "name": short,
        "full_name": repository.name,
        "private": True,
        "owner": _github_user(base, owner) | {"name": owner, "email": _mail(owner)},
        "html_url": page,
        "description": None,
        "fork": False,
        "url": page,
        "git_url": f"{page}.git",
        "ssh_url": f"ssh://git@{base.partition('://')[2]}/{repository.name}.git",
        "clone_url": f"{page}.git",
        "visibility": "private",
        "archived": False,
        "disabled": False,
        "default_branch": branch,
        "master_branch": branch,
    }


def _github_user(base: str, login: str) -> dict[str, Any]:
    page = f"{base}/{login}"
    return {"login": login, "id": _number(login), "type": "User", "url": page, "html_url": page, "site_admin": False}


def _gitea_ref(base: str, repository: HostedRepository, moved: Moved) -> list[Event]:
    common = {"repository": _gitea_repo(base, repository), "sender": _gitea_user(moved.user)}
    kind = {"ref": moved.name, "ref_type": "tag" if moved.is_tag else "branch"}
    if moved.deleted:
        return [("delete", kind | {"pusher_type": "user"} | common)]
    commits = [_gitea_commit(base, repository, one) for one in reversed(repository.arrived(moved))]
    head = _gitea_commit(base, repository, repository.commits([repository.resolve(moved.after)], 1)[0])
    body = {
        "ref": moved.ref,
        "before": moved.before,
        "after": moved.after,
        "compare_url": f"{base}/{repository.name}/compare/{moved.before}...{moved.after}",
        "commits": commits[:5],
        "total_commits": len(commits),
        "head_commit": head,
        "pusher": _gitea_user(moved.user),
    }
    created: list[Event] = [("create", {"sha": head["id"]} | kind | common)] if moved.created else []
    return [*created, ("push", body | common)]


def _gitea_commit(base: str, repository: HostedRepository, commit: Commit) -> dict[str, Any]:
    return {
        "id": commit.sha,
        "message": commit.message.rstrip("\n") + "\n",
        "url": f"{base}/{repository.name}/commit/{commit.sha}",
        "author": {"name": commit.author[0], "email": commit.author[1], "username": ""},
        "committer": {"name": commit.committer[0], "email": commit.committer[1], "username": ""},
        "verification": None,
        "timestamp": commit.when,
        "added": list(commit.added),
        "removed": list(commit.removed),
        "modified": list(commit.modified),
    }


def _gitea_repo(base: str, repository: HostedRepository) -> dict[str, Any]:
    owner, _, short = repository.name.rpartition("/")
    page = f"{base}/{repository.name}"
    return {
        "id": repository.id,
        "owner": _gitea_user(owner),
        "name": short,
        "full_name": repository.name,
        "description": "",
        "empty": False,
        "private": True,
        "fork": False,
        "mirror": False,
        "html_url": page,
        "ssh_url": f"ssh://git@{base.partition('://')[2]}/{repository.name}.git",
        "clone_url": f"{page}.git",
        "default_branch": repository.head(),
        "archived": False,
        "permissions": {"admin": False, "push": True, "pull": True},
    }


def _gitea_user(login: str) -> dict[str, Any]:
    return {"id": _number(login), "login": login, "username": login, "full_name": login, "email": _mail(login)}


def _digest(secret: str, body: bytes, name: str) -> str:
    return hmac.new(secret.encode(), body, getattr(hashlib, name)).hexdigest()


def _mail(login: str) -> str:
    return f"{login}@users.noreply.example.com"


def _number(login: str) -> int:
    return zlib.crc32(login.encode())
