"""One file per forge, and the table of them. A new forge is a file and a row."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

from orchestrator.domain.events import Parsed
from webhooks.forges import forgejo, gitea, github, gitlab, gogs


@dataclass(frozen=True, slots=True, kw_only=True)
class Forge:
    """What the endpoint needs to know about a forge.

    :param name: the last part of the hook's path, and the key in the configuration.
    :param verify: headers, body, one secret, our clock; raises BadSignature.
    :param parse: headers, body; raises Malformed.
    :param event_header: says what happened. :param proof_header: carries the signature or token.
    :param delivery_headers: carry the delivery id, the best first; a digest stands in where none is sent.
    :param deadline: seconds after which the forge gives up, by its documents.
    """

    name: str
    verify: Callable[[Mapping[str, str], bytes, str, datetime], None]
    parse: Callable[[Mapping[str, str], bytes], Parsed]
    event_header: str
    proof_header: str
    delivery_headers: tuple[str, ...]
    deadline: float


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
        parse=gitea.parse,
        event_header=gitea.EVENT_HEADER,
        proof_header=gitea.PROOF_HEADER,
        delivery_headers=gitea.DELIVERY_HEADERS,
        deadline=5.0,
    ),
    Forge(
        name="forgejo",
        verify=forgejo.verify,
        parse=forgejo.parse,
        event_header=forgejo.EVENT_HEADER,
        proof_header=forgejo.PROOF_HEADER,
        delivery_headers=forgejo.DELIVERY_HEADERS,
        deadline=5.0,
    ),
    Forge(
        name="gogs",
        verify=gogs.verify,
        parse=gogs.parse,
        event_header=gogs.EVENT_HEADER,
        proof_header=gogs.PROOF_HEADER,
        delivery_headers=gogs.DELIVERY_HEADERS,
        deadline=15.0,
    ),
)

FORGES: Mapping[str, Forge] = MappingProxyType({forge.name: forge for forge in _ROWS})
"""Every forge by its name."""
