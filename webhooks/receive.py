"""From a request's bytes to a verified, parsed delivery; no I/O."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from orchestrator.domain.apps import Hook
from orchestrator.domain.events import BadSignature, Delivery, Malformed, Parsed
from webhooks.forges import Forge
from webhooks.signing import WHSEC, NoProof

MAX_HEADER = 200
"""Characters of a header that are written down; a longer delivery id is not used."""

_SAME = 600.0
"""Seconds for which equal bodies without an id are one delivery: a branch may make the same move again later. If they
come on both sides of the boundary, the moves in them still show that they are the same."""

MAX_SIZE = 2**31 - 1
"""The largest size in bytes that is recorded: an announced one need not be true."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifiedDelivery:
    """A delivery that comes from the holder of the secret, and what it says."""

    delivery: Delivery
    parsed: Parsed


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedDelivery:
    """The delivery is turned away.

    ``status`` is 401 with the reason ``signature`` or 400 with ``malformed``; ``detail`` is one sentence, fit to be
    shown to the caller.
    """

    status: Literal[400, 401]
    reason: Literal["signature", "malformed"]
    detail: str
    delivery: Delivery


def receive(
    forge: Forge, hook: Hook, headers: Mapping[str, str], body: bytes, now: datetime, remote: str = ""
) -> VerifiedDelivery | RefusedDelivery:
    """Verify, and only then parse, one request.

    :param headers: without regard to case. :param body: as it arrived. :param now: with a time zone.
    :param remote: the caller's address, for the record.
    """
    digest = hashlib.sha256(body).hexdigest()
    stand_in = f"{digest}\n{now.timestamp() // _SAME:.0f}"
    delivery = _describe(forge, headers, digest, len(body), remote, stand_in)
    failure = _check(forge, hook, headers, body, now)
    if failure is not None:
        return RefusedDelivery(status=401, reason="signature", detail=str(failure), delivery=delivery)
    try:
        return VerifiedDelivery(delivery=delivery, parsed=forge.parse(headers, body))
    except Malformed as error:
        return RefusedDelivery(status=400, reason="malformed", detail=str(error), delivery=delivery)


def unproven(
    forge: Forge, hook: Hook, headers: Mapping[str, str], now: datetime, size: int, remote: str = ""
) -> RefusedDelivery | None:
    """Refuse a request that no body could make valid, before its body is read; None when the body decides.

    Anybody may send bodies, so none is read, kept or decoded for a caller without any proof.

    :param size: bytes that were announced; the other parameters are those of `receive`.
    """
    failures = _failures(forge, hook, headers, b"", now)
    if not failures or not all(isinstance(one, NoProof) for one in failures):
        return None
    delivery = announced(forge, headers, size, remote)
    return RefusedDelivery(status=401, reason="signature", detail=str(failures[0]), delivery=delivery)


def announced(forge: Forge, headers: Mapping[str, str], size: int, remote: str) -> Delivery:
    """Describe a delivery whose body was not read, by its headers alone.

    :param size: bytes that were announced. :param remote: the caller's address, for the record.
    """
    return _describe(forge, headers, "", min(size, MAX_SIZE), remote, "")


def _check(forge: Forge, hook: Hook, headers: Mapping[str, str], body: bytes, now: datetime) -> BadSignature | None:
    """Return why the body is not proven; None when it is."""
    try:
        signed = forge.signed(headers, body)  # once for all secrets
    except Malformed as error:
        return BadSignature(f"there is nothing to verify: {error}")
    return next(iter(_failures(forge, hook, headers, signed, now)), None)


def _failures(
    forge: Forge, hook: Hook, headers: Mapping[str, str], signed: bytes, now: datetime
) -> list[BadSignature]:
    """Return why each secret fails; nothing when one of them fits."""
    failures: list[BadSignature] = []
    for secret in _secrets(hook):
        try:
            forge.verify(headers, signed, secret, now)
        except BadSignature as error:
            # Its traceback would hold this frame, which holds the list and the body: a ring that stays for long.
            failures.append(error.with_traceback(None))
        else:
            return []
    return failures


def _secrets(hook: Hook) -> tuple[str, ...]:
    """List the secrets to try; where a signing token is configured, a plain token is no proof any more."""
    if hook.signing:
        earlier = (secret for secret in hook.secrets if secret.startswith(WHSEC))
        return (hook.signing.reveal(), *earlier)
    return hook.secrets or ("",)


def _describe(
    forge: Forge, headers: Mapping[str, str], digest: str, size: int, remote: str, stand_in: str
) -> Delivery:
    """:param stand_in: what tells the delivery from others of its event where it has no id."""
    event = _printable(headers.get(forge.event_header, "")[:MAX_HEADER])
    return Delivery(
        hook=forge.name,
        key=_key(forge, headers) or hashlib.sha256(f"{event}\n{stand_in}".encode()).hexdigest(),
        event=event,
        size=size,
        sha256=digest,
        remote=remote,
    )


def _key(forge: Forge, headers: Mapping[str, str]) -> str:
    for name in forge.delivery_headers:
        key = headers.get(name, "")
        if 0 < len(key) <= MAX_HEADER and key.isascii() and key.isprintable():
            return key
    return ""


def _printable(text: str) -> str:
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)
