"""A stream of bytes, cut into lines as they arrive."""

from collections.abc import Iterable, Iterator


class LineTooLong(Exception):
    """A line has more bytes than are kept in memory."""


def split(parts: Iterable[bytes], max_line: int) -> Iterator[bytes]:
    """Yield the lines of a stream; an unfinished last line is yielded as well.

    :param max_line: bytes of one line. :raises LineTooLong: there is a longer one.
    """
    rest = bytearray()
    for part in parts:
        start = len(rest)
        rest += part
        while (end := rest.find(b"\n", start)) >= 0:
            yield bytes(rest[:end]).rstrip(b"\r")
            del rest[: end + 1]
            start = 0
        if len(rest) > max_line:
            raise LineTooLong(f"a line of the stream is longer than {max_line} bytes")
    if rest:
        yield bytes(rest)
