"""Taking secrets out of text before it is stored or shown: the value itself, its base64 and its URL form."""

import base64
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

from orchestrator.domain.ansi import readings

SHORTEST = 6
"""Characters below which a value is not masked: masking short words would make logs unreadable."""
SHORTEST_LINE = 16
"""Characters below which a line of a secret is not masked by itself."""
MASK = "***"


class Mask:
    """Replaces every known secret in a text; longest first, so that no part of a longer one is left over."""

    def __init__(self, secrets: Iterable[str]) -> None:
        parts = {part for secret in secrets for part in (secret, *_lines(secret))}
        forms = {form for part in parts for form in _forms(part) if len(form) >= SHORTEST}
        ordered = sorted(forms, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def __call__(self, text: str) -> str:
        """Return `text` without secrets; if colours hide one (``grep --color``), all colours are removed, too."""
        if self._pattern is None:
            return text
        masked = self._pattern.sub(MASK, text)
        hidden = next((one for one in readings(masked) if self._pattern.search(one)), None)
        return masked if hidden is None else self(hidden)


def _lines(secret: str) -> list[str]:
    """Return the lines of a secret that has several, such as a private key: a log shows them one by one.

    What frames a key (RFC 7468) and what is short says nothing, and stands in texts that have to be read.
    """
    lines = secret.split("\n") if "\n" in secret.strip() else []
    return [line.strip() for line in lines if len(line.strip()) >= SHORTEST_LINE and not line.startswith("-----")]


def _forms(secret: str) -> set[str]:
    """Return the ways in which a secret appears in logs; base64 at each of the three byte offsets."""
    if len(secret.strip()) < SHORTEST:
        return set()
    raw = secret.encode()
    aligned = {base64.b64encode(b"\0" * skip + raw).decode()[_lead(skip) :].rstrip("=")[:-1] for skip in range(3)}
    whole = {base64.b64encode(raw).decode(), base64.urlsafe_b64encode(raw).decode()}
    return {secret, secret.strip(), quote(secret, safe=""), quote_plus(secret), *whole, *aligned}


def _lead(skip: int) -> int:
    """Return the characters of base64 that bytes in front of the secret would change."""
    return (0, 2, 3)[skip]
