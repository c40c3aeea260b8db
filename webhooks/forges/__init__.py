"""One file per forge, and the table of them. A new forge is a file and a row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from orchestrator.domain.events import Parsed
from webhooks.forges import forgejo, gitea, github, gitlab, gogs
from webhooks.payload import json_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    """What the endpoint needs to know about a forge.

    :param name: the last part of the hook's path, and the key in the configuration.
    :param verify: headers, what is signed, one secret, our clock; raises BadSignature.
    :param parse: headers, body; raises Malformed.
    :param event_header: says what happened. :param proof_header: carries the signature or token.
    :param delivery_headers: carry the delivery id, the best first; a digest stands in where none is sent.
    :param signed: headers, body; returns what the proof covers, the body unless it says otherwise; raises Malformed.
    :param deadline: seconds after which the forge gives up, by its documents.
    """

    name: str
    verify: Callable[[Mapping[str, str], bytes, str, datetime], None]
    parse: Callable[[Mapping[str, str], bytes], Parsed]
    event_header: str
    proof_header: str
    delivery_headers: tuple[str, ...]
    deadline: float
    signed: Callable[[Mapping[str, str], bytes], bytes] = lambda _headers, body: body


_ROWS = (
    Forge(
        name="github",
        verify=github.verify,
        parse=github.parse,
        event_header=github.EVENT_HEADER,
        proof_header=github.PROOF_HEADER,
        delivery_headers=github.DELIVERY_HEADERS,
        deadline=10.0,
    ),
    Forge(
        name="gitlab",
        verify=gitlab.verify,
        parse=gitlab.parse,
        event_header=gitlab.EVENT_HEADER,
        proof_header=gitlab.PROOF_HEADER,
        delivery_headers=gitlab.DELIVERY_HEADERS,
        deadline=10.0,
    ),
    Forge(
        name="gitea",
        verify=gitea.verify,
        signed=json_bytes,
        parse=gitea.parse,
        event_header=gitea.EVENT_HEADER,
        proof_header=gitea.PROOF_HEADER,
        delivery_headers=gitea.DELIVERY_HEADERS,
        deadline=5.0,
    ),
    Forge(
        name="forgejo",
        verify=forgejo.verify,
        signed=json_bytes,
        parse=forgejo.parse,
        event_header=forgejo.EVENT_HEADER,
        proof_header=forgejo.PROOF_HEADER,
        delivery_headers=forgejo.DELIVERY_HEADERS,
        deadline=5.0,
    ),
    Forge(
        name="gogs",
        verify=gogs.verify,
        signed=json_bytes,
        parse=gogs.parse,
        event_header=gogs.EVENT_HEADER,
        proof_header=gogs.PROOF_HEADER,
        delivery_headers=gogs.DELIVERY_HEADERS,
        deadline=15.0,
    ),
)

FORGES: Mapping[str, Forge] = MappingProxyType({forge.name: forge for forge in _ROWS})
"""Every forge by its name."""
