"""Escape sequences of terminals, and characters that nobody sees: taken out, or made harmless, where not wanted."""

import re
from collections.abc import Iterator

_ESCAPE = (
    r"\x1b\[[0-?]*[ -/]*[@-~]"  # CSI: colours, cursor movement (ECMA-48 section 5.4)
    r"|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?"  # OSC and other strings: titles, links
    r"|\x1b[ -/]*[0-~]"  # two characters, with intermediates: character sets
)
_ESCAPES = re.compile(_ESCAPE)
_EMOJI = r"\u2190-\u2bff\U0001f000-\U0001faff"
# Whose letters look otherwise where they are joined, such as those of Arabic and of India.
_SCRIPTS = (
    r"\u0600-\u109f\u1780-\u18af\u1b00-\u1c4f\ua800-\ua95f\ua980-\uabff\U00010a00-\U00011fff\U0001e900-\U0001e95f"
)
_TAG = r"\U000e0001\U000e0020-\U000e007f"
# Each begins with a character and looks back from there: a search that begins with a look back takes thrice as long.
_UNSEEN = (
    r"[\xad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\U0001d173-\U0001d17a]"
    r"|\u180e(?<![\u1800-\u18af]\u180e)"  # a space within words of Mongolian
    rf"|\u200c(?<![{_SCRIPTS}]\u200c)"
    rf"|\u200d(?:(?<![{_SCRIPTS}{_EMOJI}\ufe0f]\u200d)|(?<=[{_EMOJI}\ufe0f]\u200d)(?![{_EMOJI}]))"
    rf"|[{_TAG}](?<![\U0001f3f4{_TAG}][{_TAG}])[{_TAG}]*"  # else they name a flag
)
"""Format characters (category Cf) that have no shape where they stand.

Unicode keeps them out of what people are to tell apart (UTS 39, section 3.1), but for joiners in the scripts that
need them (UAX 31, section 2.3) and in emoji, and tags behind a black flag (UTS 51). Others of the category are seen,
such as the signs over Arabic numbers; variation selectors and the fillers of old Korean are parts of letters.
"""
_SEQUENCE = re.compile(rf"{_ESCAPE}|[\x00-\x08\x0b-\x1f\x7f-\x9f]|{_UNSEEN}")
"""Also what is left of control characters, except tab and newline."""

_OBEYED = re.compile(r"[\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    """Return `text` without escape sequences, control characters and what nobody sees; tabs and newlines stay.

    What turns the direction of writing makes a text, and what stands behind it, read as another one; what has no
    width makes two that look the same differ.
    """
    return text if _is_plain(text) else _SEQUENCE.sub("", text)


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
    if not _is_plain(text) and _SEQUENCE.search(text):
        yield "\r".join(map(visible, text.split("\r")))
        yield visible(text)
        yield visible(_taken_back(_ESCAPES.sub("", text)))


def _is_plain(text: str) -> bool:
    """Tell whether there is nothing to look for: most texts are plain, and the search takes forty times as long."""
    return text.replace("\n", " ").replace("\t", " ").isprintable()


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
