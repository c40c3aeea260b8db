"""Gitea 1.13 and later.

Source: docs.gitea.com, "Webhooks", and services/webhook/deliver.go of go-gitea/gitea.
"""

from collections.abc import Mapping
from datetime import datetime

from orchestrator.domain.events import Parsed
from webhooks import gitea_family
from webhooks.payload import read
from webhooks.pushes import event_name, ignored

EVENT_HEADER = "X-Gitea-Event"
PROOF_HEADER = "X-Gitea-Signature"
DELIVERY_HEADERS = ("X-Gitea-Delivery",)

_PROOFS = ((PROOF_HEADER, ""), gitea_family.SHA256)


def verify(headers: Mapping[str, str], document: bytes, secret: str, now: datetime) -> None:
    """Check the HMAC-SHA256 over the JSON document, which for form hooks is the ``payload`` field.

    :param now: not used: the scheme has no time. :raises BadSignature: the proof is missing, empty or wrong.
    """
    gitea_family.verify(headers, document, secret, _PROOFS)


def parse(headers: Mapping[str, str], body: bytes) -> Parsed:
    """Read a verified delivery.

    :raises Malformed: the body is not what Gitea sends.
    """
    event = event_name(headers, EVENT_HEADER)
    payload = read(headers, body)
    if event == "push":
        return gitea_family.parse_push(event, payload)
    detail = "Gitea sends a push for the same ref" if event == "create" else ""
    return ignored(event, gitea_family.known_repo(payload), detail)
