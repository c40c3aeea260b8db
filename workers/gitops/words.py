"""Foreign text made fit for one line that people read."""

import unicodedata

LIMIT = 300
"""Characters of a sentence that goes to chat and tables; Argo CD's messages may have thousands."""

_BIDI = {*range(0x202A, 0x202F), *range(0x2066, 0x206A)}


def one_line(text: object, limit: int = LIMIT) -> str:
    """Return the text on one line: blanks collapsed, control characters out, cut with an ellipsis at `limit`.

    Signs that turn the direction of writing go too; they could make a message read as another one. Anything that is
    no text gives "".
    """
    if not isinstance(text, str):
        return ""
    kept = "".join(" " if c.isspace() else c for c in text[: limit * 20] if _harmless(c))
    joined = " ".join(kept.split())
    return joined if len(joined) <= limit else f"{joined[: limit - 1].rstrip()}…"


def _harmless(char: str) -> bool:
    return char.isspace() or (unicodedata.category(char) not in ("Cc", "Cs") and ord(char) not in _BIDI)
