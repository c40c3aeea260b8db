"""GitHub: github.com and Enterprise Server.

Source: docs.github.com, "Webhook events and payloads" and "Validating webhook deliveries".
"""

from collections.abc import Mapping
from datetime import datetime
from itertools import chain

from orchestrator.domain.events import Ignored, Parsed, Ping, Push, RepoNames
from webhooks.payload import Record, read
from webhooks.pushes import (
    changed_paths,
    event_name,
    find_commit,
    ignored,
    push,
    ref_change,
    refuse_imitator,
    repo_names,
)
from webhooks.signing import verify_hex

EVENT_HEADER = "X-GitHub-Event"
PROOF_HEADER = "X-Hub-Signature-256"
DELIVERY_HEADERS = ("X-GitHub-Delivery",)

MAX_COMMITS = 2_048
"""Commits that a push payload lists at most."""
MAX_FILES = 3_000
"""Changed files that a commit in a payload lists at most."""

_IMITATORS = {"X-Forgejo-Event": "forgejo", "X-Gitea-Event": "gitea", "X-Gogs-Event": "gogs"}


def verify(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> None:
    """Check the HMAC-SHA256 over the raw body, which for form hooks is the form itself.

    :param now: not used: the scheme has no time. :raises BadSignature: the proof is missing or wrong.
    """
    verify_hex(headers, PROOF_HEADER, body, secret, prefix="sha256=")


def parse(headers: Mapping[str, str], body: bytes) -> Parsed:
    """Read a verified delivery.

    :raises Malformed: the body is not what GitHub's documents say, or it comes from another forge.
    """
    refuse_imitator(headers, _IMITATORS)
    event = event_name(headers, EVENT_HEADER)
    payload = read(headers, body)
    if event == "push":
        return _push(event, payload)
    repository = payload.record("repository")
    repo = _repo(repository) if repository else None
    return Ping(event=event, repo=repo) if event == "ping" else _other(event, repo)


def _other(event: str, repo: RepoNames | None) -> Ignored:
    detail = "GitHub sends a push for the same ref" if event in ("create", "delete") else ""
    return ignored(event, repo, detail)


def _push(event: str, payload: Record) -> Push | Ignored:
    commits, named = payload.records("commits"), payload.record("head_commit")
    before, after = payload.sha("before"), payload.sha("after")
    forced = payload.flag("forced")
    # For an annotated tag `after` is the tag object and head_commit the commit behind it.
    is_tag = payload.text("ref").startswith("refs/tags/")
    head = named if is_tag else find_commit(chain((named,), commits), after)
    whole = before is not None and after is not None and forced is False and not is_tag
    change = ref_change(
        payload,
        target=named.sha("id") if named else None,
        head=head,
        forced=forced,
        paths=changed_paths(commits, most=MAX_COMMITS, most_files=MAX_FILES) if whole else None,
    )
    pusher = payload.record("pusher")
    actor = pusher.note("name") if pusher else ""
    return push(event, _repo(payload.need("repository")), [change], actor=actor)


def _repo(repository: Record) -> RepoNames:
    return repo_names(repository, full_name="full_name", urls=("clone_url", "ssh_url", "html_url"))
