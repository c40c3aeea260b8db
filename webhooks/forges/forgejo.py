"""Forgejo, which sends its own headers beside all of Gitea's.

Source: forgejo.org, "Webhooks".
"""

from collections.abc import Mapping
from datetime import datetime

from orchestrator.domain.events import Parsed
from webhooks import gitea_family

EVENT_HEADER = "X-Forgejo-Event"
PROOF_HEADER = "X-Forgejo-Signature"
DELIVERY_HEADERS = ("X-Forgejo-Delivery",)

_PROOFS = ((PROOF_HEADER, ""), ("X-Gitea-Signature", ""), gitea_family.SHA256)


def verify(headers: Mapping[str, str], document: bytes, secret: str, now: datetime) -> None:
    """Check the HMAC-SHA256 over the JSON document, which for form hooks is the ``payload`` field.

    :param now: not used: the scheme has no time. :raises BadSignature: the proof is missing, empty or wrong.
    """
    gitea_family.verify(headers, document, secret, _PROOFS)


def parse(headers: Mapping[str, str], body: bytes) -> Parsed:
    """Read a verified delivery.

    :raises Malformed: the body is not what Forgejo sends.
    """
    return gitea_family.parse(headers, body, EVENT_HEADER, "Forgejo")
