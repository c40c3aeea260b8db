"""Terminal escape sequences in log lines: taken out for everybody who has no terminal."""

import re

_SEQUENCE = re.compile(
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement (ECMA-48 section 5.4)
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC and other strings: titles, links
    r"|\x1b[ -/]*[0-~]"  # two characters, with intermediates: character sets
    r"|[\x00-\x08\x0b-\x1f\x7f]"  # what is left of control characters, except tab and newline
)


def visible(text: str) -> str:
    """Return `text` without escape sequences and control characters; tabs and newlines stay."""
    return _SEQUENCE.sub("", text)


def plain(line: str) -> str:
    """Return `line` as it would be read: without escape sequences and control characters.

    A carriage return writes over what was before (progress bars): only the last state of the line stays.
    """
    return visible(line.rstrip("\r").rpartition("\r")[2])
