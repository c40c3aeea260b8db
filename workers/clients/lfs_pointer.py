"""The text that stands in a commit for a file that Git LFS keeps elsewhere (git-lfs, docs/spec.md)."""

import re
from dataclasses import dataclass

PREFIX = b"version https://git-lfs.github.com/spec/"
"""How every pointer begins, of this and of later versions of the format."""
MAX_POINTER = 1024
"""Bytes below which a file can be a pointer."""
_VERSION = "https://git-lfs.github.com/spec/v1"
_LINE = re.compile(r"(?P<key>[a-z0-9.-]+) (?P<value>[^\r\n]*)\Z")
_OID = re.compile(r"sha256:([0-9a-f]{64})\Z")
_SIZE = re.compile(r"(?:0|[1-9][0-9]{0,18})\Z")
_LARGEST = 2**63 - 1


@dataclass(frozen=True, slots=True, order=True)
class LfsPointer:
    """What a pointer says of the content. ``oid``: its SHA-256, 64 hex digits; ``size``: in bytes."""

    oid: str
    size: int

    def __str__(self) -> str:
        return self.oid[:12]


def is_pointer(content: bytes) -> bool:
    """Tell whether a file is meant to be a pointer; whether it is a sound one, `parse_pointer` tells."""
    return len(content) < MAX_POINTER and content.startswith(PREFIX)


def parse_pointer(content: bytes) -> LfsPointer:
    """Read a pointer, by the letter of the format: what is not written by it may mean something else to others.

    :raises ValueError: it breaks a rule; the text says which.
    """
    fields = _fields(content)
    if any(key.startswith("ext-") for key in fields):
        raise ValueError("it names an extension of Git LFS, which only the developer's machine has")
    oid, size = _OID.match(fields.get("oid", "")), fields.get("size", "")
    if oid is None:
        raise ValueError("its oid is not sha256: and 64 hex digits")
    if not _SIZE.match(size) or int(size) > _LARGEST:
        raise ValueError("its size is not a number of bytes")
    return LfsPointer(oid[1], int(size))


def _fields(content: bytes) -> dict[str, str]:
    """Split the lines; ``version`` comes first, and the others in the order of the alphabet, each once."""
    if len(content) >= MAX_POINTER:
        raise ValueError(f"it has {MAX_POINTER} bytes or more")
    try:
        *lines, rest = content.decode().split("\n")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    found = [_LINE.match(line) for line in lines]
    pairs = [(match["key"], match["value"]) for match in found if match]
    if rest or len(pairs) < len(lines):
        raise ValueError("a line of it is not a key, a space, a value and a line feed")
    if pairs[:1] != [("version", _VERSION)]:
        raise ValueError("it does not begin with a version that is known here")
    keys = [key for key, _ in pairs[1:]]
    if keys != sorted(set(keys) - {"version"}):
        raise ValueError("its keys are not in order")
    return dict(pairs)
