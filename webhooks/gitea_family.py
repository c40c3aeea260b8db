"""What Gitea, Forgejo and Gogs share: the signature over the JSON document and the shape of a push."""

from collections.abc import Mapping

from orchestrator.domain.events import Ignored, Parsed, Push, RepoNames
from webhooks.payload import Record, read
from webhooks.pushes import event_name, find_commit, ignored, push, ref_change, repo_names
from webhooks.signing import verify_hex

SHA256 = ("X-Hub-Signature-256", "sha256=")
"""GitHub's header, which Gitea and Forgejo send as well."""


def verify(headers: Mapping[str, str], document: bytes, secret: str, proofs: tuple[tuple[str, str], ...]) -> None:
    """Check the first of the proof headers that is there.

    :param document: the JSON document, which the digest covers: for a form the decoded ``payload`` field, not the
        body (gitea services/webhook/deliver.go).
    :param proofs: headers and their prefixes, best first; the first is asked for when none is there.
    :raises BadSignature: see `verify_hex`.
    """
    name, prefix = next((proof for proof in proofs if proof[0] in headers), proofs[0])
    verify_hex(headers, name, document, secret, prefix=prefix)


def parse(headers: Mapping[str, str], body: bytes, event_header: str, forge: str) -> Parsed:
    """Read a delivery of Gitea or Forgejo, which send a push for every ref, tags too.

    :raises Malformed: the body is not what they send.
    """
    event = event_name(headers, event_header)
    payload = read(headers, body)
    if event == "push":
        return parse_push(event, payload)
    detail = f"{forge} sends a push for the same ref" if event == "create" else ""
    return ignored(event, known_repo(payload), detail)


def known_repo(payload: Record) -> RepoNames | None:
    """Return the names of the payload's repository; None for events that have none."""
    return need_repo(payload) if payload.record("repository") else None


def need_repo(payload: Record) -> RepoNames:
    """Return the names of the payload's repository.

    :raises Malformed: there is none.
    """
    urls = ("clone_url", "ssh_url", "html_url")
    return repo_names(payload.need("repository"), full_name="full_name", urls=urls)


def parse_push(event: str, payload: Record) -> Push | Ignored:
    """Read a push of one ref.

    ``head_commit`` (Gitea 1.14 and later) is the peeled commit of an annotated tag. File lists are not used: there
    is no flag for a forced push, after which they miss what the dropped commits had changed, and Gitea lists only
    the newest commits (`FEED_MAX_COMMIT_NUM`, 5).

    :raises Malformed: a field is missing or has the wrong type.
    """
    commits = payload.records("commits")
    named = payload.record("head_commit")
    after = payload.sha("after")
    head = named or find_commit(commits, after)
    change = ref_change(payload, target=head.sha("id") if head else None, head=head)
    pusher = payload.record("pusher")
    actor = (pusher.note("login") or pusher.note("username")) if pusher else ""
    return push(event, need_repo(payload), [change], actor=actor)
