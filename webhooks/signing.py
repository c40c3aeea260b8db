"""Proofs that a delivery comes from the holder of the secret; every comparison takes constant time.

What is compared is bytes, so that no header, however odd, can raise anything but BadSignature.
"""

import binascii
import hmac
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime

from orchestrator.domain.events import BadSignature

TOLERANCE = 300
"""Seconds that a signed timestamp may be away from our clock (Standard Webhooks: five minutes)."""

WHSEC = "whsec_"
"""How a Standard Webhooks signing token begins; the rest is the key in base64."""

_HEX_DIGITS = 64
_TIMESTAMP_DIGITS = 12


class NoProof(BadSignature):
    """The headers alone are no proof, whatever the body is."""


def verify_hex(headers: Mapping[str, str], name: str, body: bytes, secret: str, *, prefix: str = "") -> None:
    """Check an HMAC-SHA256 in lower-case hex digits.

    :param name: the header that carries it. :param body: what was signed. :param prefix: ``sha256=`` or "".
    :raises BadSignature: the header is not ours. :raises NoProof: it is missing, empty or not a SHA-256; or there is
        no secret.
    """
    key, given = _key(secret), _header(headers, name)
    digits = given.removeprefix(prefix)
    if not given.startswith(prefix) or len(digits) != _HEX_DIGITS:
        raise NoProof(f"header {name} does not hold {prefix}<{_HEX_DIGITS} hex digits>")
    expected = hmac.digest(key, body, "sha256").hex()
    if not hmac.compare_digest(expected.encode(), _raw(digits)):
        raise BadSignature(f"header {name} does not match the body and our secret")


def verify_token(headers: Mapping[str, str], name: str, secret: str) -> None:
    """Check a header that holds the secret itself.

    :raises NoProof: the header is missing, empty or different; or there is no secret.
    """
    if not hmac.compare_digest(_key(secret), _raw(_header(headers, name))):
        raise NoProof(f"header {name} is not our token")


def verify_standard(headers: Mapping[str, str], body: bytes, secret: str, now: datetime) -> None:
    """Check a Standard Webhooks v1 signature (HMAC-SHA256 over ``id.timestamp.body``) and its age.

    :param secret: ``whsec_`` and the key in base64. :param now: our clock, with a time zone.
    :raises BadSignature: no signature is ours.
    :raises NoProof: a header is missing, or the timestamp is too far away.
    """
    key = _signing_key(secret)
    stamp, name = _header(headers, "webhook-timestamp"), "webhook-signature"
    signed = hmac.new(key, f"{_header(headers, 'webhook-id')}.{stamp}.".encode("utf-8", "replace"), "sha256")
    given = _header(headers, name)
    _check_age("webhook-timestamp", stamp, now)
    signed.update(body)
    expected = b"v1," + b64encode(signed.digest())
    matches = [hmac.compare_digest(expected, _raw(one)) for one in given.split(" ")]
    if not any(matches):
        raise BadSignature(f"header {name} does not match the body and our signing token")


def verify_stamped(
    headers: Mapping[str, str], names: tuple[str, str], body: bytes, secret: str, now: datetime, *, version: str
) -> None:
    """Check an HMAC-SHA256 in hex digits over ``version:timestamp:body``, as Slack makes it, and its age.

    :param names: the headers with signature and timestamp. :param now: our clock, with a time zone.
    :raises BadSignature, NoProof: as `verify_hex`; NoProof also where the timestamp is too far away.
    """
    name, stamp_name = names
    stamp = _header(headers, stamp_name)
    _check_age(stamp_name, stamp, now)
    verify_hex(headers, name, f"{version}:{stamp}:".encode() + body, secret, prefix=f"{version}=")


def _check_age(name: str, stamp: str, now: datetime) -> None:
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) <= _TIMESTAMP_DIGITS):
        raise NoProof(f"header {name} is not a number of seconds")
    if abs(now.timestamp() - int(stamp)) > TOLERANCE:
        raise NoProof(f"header {name} is more than {TOLERANCE} s away from our clock")


def _signing_key(secret: str) -> bytes:
    try:
        key = b64decode(_key(secret.removeprefix(WHSEC)), validate=True)
    except binascii.Error:
        key = b""
    if not key:
        raise NoProof(f"our signing token is not {WHSEC}<base64>; copy it again from the forge")
    return key


def _key(secret: str) -> bytes:
    if not secret.strip():
        raise NoProof("no secret is configured for this hook")
    return secret.encode("utf-8", "surrogateescape")


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if value is None:
        raise NoProof(f"header {name} is missing; set the hook's secret where it comes from")
    if not value:
        raise NoProof(f"header {name} is empty; set the hook's secret where it comes from")
    return value


def _raw(text: str) -> bytes:
    # WSGI hands header bytes over as Latin-1 text (PEP 3333), so this gives back what was on the wire.
    return text.encode("latin-1") if text.isascii() or max(text) <= "\xff" else text.encode("utf-8", "replace")
