"""Protobuf's wire format, as far as we speak it: fields are read by their numbers, and texts and bytes are written.

protobuf.dev/programming-guides/encoding. Unknown fields are stepped over, so that a newer engine does no harm.
"""

from collections.abc import Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5


class ProtobufError(ValueError):
    """The bytes are no such message."""


class Fields:
    """The last value of each field of one protobuf message (what protobuf says about repeated scalars).

    :raises ProtobufError: see `fields`.
    """

    def __init__(self, raw: bytes) -> None:
        self._values = dict(fields(raw))

    def bytes(self, number: int) -> bytes:
        """Return a field of bytes, of text or of a message; empty when it is not there."""
        value = self._values.get(number, b"")
        return value if isinstance(value, bytes) else b""

    def number(self, number: int) -> int:
        """Return a field that is a number; 0 when it is not there."""
        value = self._values.get(number, 0)
        return value if isinstance(value, int) else 0


def fields(raw: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Yield the fields in order, each as its number and value.

    :raises ProtobufError: it is cut off, or no protobuf.
    """
    at = 0
    while at < len(raw):
        key, at = _varint(raw, at)
        wire = key & 7
        if wire == _VARINT:
            number, at = _varint(raw, at)
            yield key >> 3, number
            continue
        if wire == _BYTES:
            length, at = _varint(raw, at)
        elif wire in (_FIXED64, _FIXED32):
            length = 8 if wire == _FIXED64 else 4
        else:
            raise ProtobufError(f"wire type {wire} is not in use")
        if at + length > len(raw):
            raise ProtobufError("message is cut off")
        yield key >> 3, raw[at : at + length]
        at += length


def _varint(raw: bytes, at: int) -> tuple[int, int]:
    result = 0
    for shift in range(0, 70, 7):
        if at >= len(raw):
            raise ProtobufError("message is cut off")
        byte = raw[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
    raise ProtobufError("number longer than ten bytes")


def bytes_field(number: int, value: bytes) -> bytes:
    """Return a field of bytes, of text in UTF-8, or of a message, as it is written. :param number: 1 to 15."""
    return bytes([number << 3 | _BYTES]) + _written(len(value)) + value


def _written(number: int) -> bytes:
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])
