"""Gogs.

Source: docs/advancing/webhooks.mdx and internal/database/actions.go of gogs/gogs.
"""

from collections.abc import Mapping
from datetime import datetime

from orchestrator.domain.events import Ignored, Parsed, Push, RefChange, RefKind
from orchestrator.domain.refs import is_safe_ref_name
from webhooks import gitea_family
from webhooks.payload import Record, read
from webhooks.pushes import event_name, ignored, push, refuse_imitator

EVENT_HEADER = "X-Gogs-Event"
PROOF_HEADER = "X-Gogs-Signature"
DELIVERY_HEADERS = ("X-Gogs-Delivery",)

_IMITATORS = {"X-Forgejo-Event": "forgejo", "X-Gitea-Event": "gitea"}
_TAGS = "refs/tags/"


def verify(headers: Mapping[str, str], document: bytes, secret: str, now: datetime) -> None:
    """Check the HMAC-SHA256 over the JSON document, which for form hooks is the ``payload`` field.

    :param now: not used: the scheme has no time. :raises BadSignature: the proof is missing, empty or wrong.
    """
    gitea_family.verify(headers, document, secret, ((PROOF_HEADER, ""),))


def parse(headers: Mapping[str, str], body: bytes) -> Parsed:
    """Read a verified delivery.

    :raises Malformed: the body is not what Gogs sends, or it comes from another forge.
    """
    refuse_imitator(headers, _IMITATORS)  # these send a push beside `create`: two runs for one tag
    event = event_name(headers, EVENT_HEADER)
    payload = read(headers, body)
    if event == "push":
        return gitea_family.parse_push(event, payload)
    if event == "create" and payload.note("ref_type") == "tag":
        return _new_tag(event, payload)
    detail = "Gogs sends a push for the same branch" if event == "create" else ""
    return ignored(event, gitea_family.known_repo(payload), detail)


def _new_tag(event: str, payload: Record) -> Push | Ignored:
    """Read a new tag: for tags Gogs sends this event only, never a push.

    ``sha`` is the tag object of an annotated tag, so only a clone can tell the commit.
    """
    name = payload.text("ref").removeprefix(_TAGS)
    change = RefChange(ref=_TAGS + name, kind=RefKind.TAG, name=name, after=payload.optional_sha("sha"), created=True)
    repo, sender = gitea_family.need_repo(payload), payload.record("sender")
    actor = sender.note("login") if sender else ""
    return push(event, repo, [change if is_safe_ref_name(name) else None], actor=actor)
