"""Terminal escape sequences in texts of others: taken out, or made harmless, for everybody whom they are not for."""

import re
from collections.abc import Iterator

_ESCAPE = (
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement (ECMA-48 section 5.4)
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC and other strings: titles, links
    r"|\x1b[ -/]*[0-~]"  # two characters, with intermediates: character sets
)
_ESCAPES = re.compile(_ESCAPE)
_SEQUENCE = re.compile(rf"{_ESCAPE}|[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Also what is left of control characters, except tab and newline, and what turns the direction of writing."""

_OBEYED = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return `text` without escape sequences and control characters; tabs and newlines stay.

    Nor with what turns the direction of writing: it makes a text, and what stands behind it, read as another one.
    """
    return _SEQUENCE.sub("", text)


def inert(document: str) -> str:
    """Return a JSON document that says the same and that a terminal only shows: JSON itself lets these signs stand.

    U+009B begins a sequence as ESC [ does, and U+2028 ends a line for some.
    """
    return _OBEYED.sub(lambda sign: f"\\u{ord(sign[0]):04x}", document)


def plain(line: str) -> str:
    """Return `line` as it would be read: without escape sequences and control characters.

    A carriage return writes over what was before (progress bars): only the last state of the line stays.
    """
    if line.isprintable():  # most are, and a search reads hundreds of thousands
        return line
    return visible(line.rstrip("\r").rpartition("\r")[2])


def readings(text: str) -> Iterator[str]:
    """Yield what may be read of `text` where it is shown, in each way that differs from what is written.

    Without sequences, each state of a line for itself (`plain` shows the last one) or all of them in one; and with
    backspaces that take back what stood before them. Nothing for a text without any of this.
    """
    if _SEQUENCE.search(text):
        yield "\r".join(map(visible, text.split("\r")))
        yield visible(text)
        yield visible(_taken_back(_ESCAPES.sub("", text)))


def _taken_back(text: str) -> str:
    if "\b" not in text:
        return text
    kept: list[str] = []
    for char in text:
        if char == "\b":
            del kept[-1:]
        else:
            kept.append(char)
    return "".join(kept)
