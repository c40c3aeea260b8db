"""GitLab: project, group and system hooks.

Source: docs.gitlab.com, "Webhook events" and "System hooks".
"""

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from orchestrator.domain.events import Ignored, Parsed, Push, RepoNames
from orchestrator.domain.markers import PUSH_OPTION
from webhooks.payload import Record, read
from webhooks.pushes import event_name, find_commit, ignored, push, ref_change, repo_names
from webhooks.signing import WHSEC, verify_standard, verify_token

EVENT_HEADER = "X-Gitlab-Event"
PROOF_HEADER = "X-Gitlab-Token"
DELIVERY_HEADERS = ("webhook-id", "Idempotency-Key")
"""Both hold the same id where GitLab signs, and only the first is covered by the signature."""

PUSH_EVENT_LIMIT = 3
"""Branches or tags in one push above which GitLab sends no push hook (`push_event_hooks_limit`)."""
MAX_CHANGES = 1_000
"""Refs of one push that are looked at."""

_PUSHES = ("push", "tag_push")
_PUSH_HOOKS = ("Push Hook", "Tag Push Hook")


def verify(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> None:
    """Check the token, or for a secret that begins with ``whsec_`` the Standard Webhooks signature.

    Which of the two is asked for is decided by our configuration alone, never by what the caller sent.

    :param now: our clock, for the signed timestamp. :raises BadSignature: the proof is missing, wrong or too old.
    """
    if secret.startswith(WHSEC):
        verify_standard(headers, body, secret, now)
    else:
        verify_token(headers, PROOF_HEADER, secret)


def parse(headers: Mapping[str, str], body: bytes) -> Parsed:
    """Read a verified delivery.

    :raises Malformed: the body is not what GitLab's documents say.
    """
    event = event_name(headers, EVENT_HEADER)
    payload = read(headers, body)
    # Only the body tells what a system hook is about; project hooks say the same in both places.
    kind = payload.note("event_name") or payload.note("object_kind")
    if event in _PUSH_HOOKS or kind in _PUSHES:
        return _push(event, payload)
    if kind == "repository_update":
        return _many(event, payload)
    project = payload.record("project")
    return ignored(event, _repo(project) if project else None)


def _push(event: str, payload: Record) -> Push | Ignored:
    """Read one moved ref; ``checkout_sha`` is the commit, also behind an annotated tag.

    The file lists are not used: there is no flag for a forced push, after which they miss what the dropped commits
    had changed, and only the newest 20 commits are listed.
    """
    target = payload.optional_sha("checkout_sha")
    after = payload.sha("after")
    head = find_commit(payload.records("commits"), target or after)
    change = ref_change(payload, target=target, head=head, skip=_push_option(payload))
    return push(event, _repo(payload.need("project")), [change], actor=_actor(payload))


def _many(event: str, payload: Record) -> Push | Ignored:
    """Read the system hook about a whole push, used where it moves too many refs for push hooks.

    It carries neither messages nor the commits behind tags, so a push hook is preferred where there is one.
    """
    repo = _repo(payload.need("project"))
    records = payload.records("changes")
    if len(records) > MAX_CHANGES:
        return ignored(event, repo, f"more than {MAX_CHANGES} refs moved at once; start the runs by hand")
    changes = [change for change in map(ref_change, records) if change is not None]
    per_kind = Counter(change.kind for change in changes)
    crowded = [change for change in changes if per_kind[change.kind] > PUSH_EVENT_LIMIT]
    if changes and not crowded:
        return ignored(event, repo, "GitLab sends a push hook for every ref of this push")
    return push(event, repo, crowded, actor=_actor(payload))


def _push_option(payload: Record) -> str:
    options = payload.record("push_options")
    ci = options.record("ci") if options else None
    # `ci.skip` comes as true, and `ci.skip=true` as the text: whatever is said, it is said to skip.
    return PUSH_OPTION if ci and ci.says("skip") else ""


def _actor(payload: Record) -> str:
    return payload.note("user_username") or payload.note("user_name")


def _repo(project: Record) -> RepoNames:
    urls = ("git_http_url", "git_ssh_url", "web_url")
    return repo_names(project, full_name="path_with_namespace", urls=urls)
