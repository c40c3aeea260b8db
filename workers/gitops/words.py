"""Makes one readable line of foreign text."""

import unicodedata

from orchestrator.domain.wording import shorten

LIMIT = 300
"""Characters of a sentence that goes to chat and tables; Argo CD's messages may have thousands."""

MAX_READ = 20_000
"""Characters of a foreign text that are looked at."""

_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}


def one_line(text: object, limit: int = LIMIT) -> str:
    """Return the text on one line: blanks collapsed, control characters out, at most `limit` characters.

    What is too long loses its middle: it begins with the subject, and Go's wrapped errors end with the cause. Signs
    that turn the direction of writing go too; they could make a message read as another one. No text gives "".
    """
    if not isinstance(text, str):
        return ""
    return shorten("".join(c for c in shorten(text, MAX_READ) if _harmless(c)), limit)


def ended(said: str, end: str) -> str:
    """Return one line of at most `LIMIT` characters that has all of `end`, if there is any."""
    return f"{one_line(said, LIMIT - len(end) - 2)}; {end}" if end else one_line(said)


def _harmless(char: str) -> bool:
    return char.isspace() or (unicodedata.category(char) not in ("Cc", "Cs") and ord(char) not in _BIDI)
