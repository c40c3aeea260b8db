"""A receiver of signed callbacks, as somebody who follows the Standard Webhooks specification would write it."""

import base64
import binascii
import hmac
import json
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TOLERANCE = 300.0
"""Seconds that ``webhook-timestamp`` may be away from the clock."""
_PREFIX = "whsec_"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedCallback:
    """One callback that was believed. ``repeats``: how often it came again under the same id."""

    id: str
    type: str
    data: Mapping[str, Any]
    repeats: int = 0


class Callbacks:
    """Verifies, counts repeats, and keeps what is new.

    :param secrets: ``whsec_<base64>`` or plain texts; a signature by any of them is good.
    """

    def __init__(self, secrets: Sequence[str]) -> None:
        self.secrets = list(secrets)
        self._lock = threading.Lock()
        self._taken: dict[str, ReceivedCallback] = {}

    @property
    def taken(self) -> list[ReceivedCallback]:
        """Return what was believed, in order of arrival, repeats left out."""
        with self._lock:
            return list(self._taken.values())

    def receive(self, headers: Mapping[str, str], body: bytes, now: float) -> tuple[int, str]:
        """Take a callback (header names in lower case); return status and words: 204, or 400, 401 or 415 and why."""
        name, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
        if not name or "." in name or not stamp.isdigit():
            return 400, "webhook-id or webhook-timestamp is missing or malformed"
        if abs(now - int(stamp)) > TOLERANCE:
            return 401, "webhook-timestamp is more than five minutes away"
        if not self._signed(headers.get("webhook-signature", ""), f"{name}.{stamp}.".encode() + body):
            return 401, "no signature matches"
        if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            return 415, "the content type is not application/json"
        try:
            content = json.loads(body)
        except ValueError:
            return 400, "the body is not JSON"
        self._keep(name, content)
        return 204, ""

    def _signed(self, given: str, signed: bytes) -> bool:
        expected = [b"v1," + base64.b64encode(hmac.digest(key(secret), signed, "sha256")) for secret in self.secrets]
        offered = [one.encode("utf-8", "replace") for one in given.split(" ")]
        return any(hmac.compare_digest(one, other) for one in expected for other in offered)

    def _keep(self, name: str, content: Any) -> None:
        with self._lock:
            before = self._taken.get(name)
            repeats = before.repeats + 1 if before else 0
            self._taken[name] = ReceivedCallback(
                id=name, type=str(content.get("type")), data=content.get("data") or {}, repeats=repeats
            )


def key(secret: str) -> bytes:
    """Return the bytes that a secret stands for. :raises ValueError: the part after ``whsec_`` is not base64."""
    if not secret.startswith(_PREFIX):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise ValueError("a secret after whsec_ must be base64") from error
