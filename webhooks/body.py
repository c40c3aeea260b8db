"""The body of a delivery: bounded in bytes and kept in memory once; only a few large ones at a time."""

import contextlib
import io
import threading
from collections.abc import Iterator

from webhooks.hook_request import HookRequest
from webhooks.problems import RETRY_AFTER, TurnedAway

CHUNK = 64 * 1024
"""Bytes that are read at a time, so that an announced length alone takes no memory."""
SMALL = 256 * 1024
"""Bytes of each body for which there is always room: nearly all pushes are smaller, and no large body stops them."""
LARGE = 4
"""Bodies of the largest size for which a process has room at a time; a form takes it twice while it is decoded."""


class Room:
    """The memory for large bodies: a process holds so many bytes at most, as anybody can send a body.

    :param most: bytes, without the `SMALL` first ones of each body.
    """

    def __init__(self, most: int) -> None:
        self._left = most
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def reserve(self) -> Iterator["Reservation"]:
        """Reserve memory for one body; what it took is given back at the end of the block."""
        reservation = Reservation(self)
        try:
            yield reservation
        finally:
            self.take(-reservation.taken)

    def take(self, size: int) -> bool:
        """Take `size` bytes, or give them back; False when there are not so many."""
        with self._lock:
            if size > self._left:
                return False
            self._left -= size
            return True


class Reservation:
    """One body's part of the room. ``taken``: bytes; they grow as the body arrives, whatever length was announced."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self._size = 0
        self.taken = 0

    def grow(self, size: int) -> None:
        """Take room for `size` more bytes. :raises TurnedAway: there is none; the forge may deliver again."""
        self._size += size
        more = max(0, self._size - SMALL) - self.taken
        if not self._room.take(more):
            detail = "Too many large deliveries arrive at the moment; deliver it again."
            raise TurnedAway(503, "busy", detail, {"Retry-After": str(RETRY_AFTER)})
        self.taken += more


def check_size(asked: HookRequest, most: int) -> None:
    """Check the announced length, if there is one. :raises TurnedAway: it is more than `most` bytes."""
    if (asked.content_length or 0) > most:
        raise _too_large(most)


def read_body(asked: HookRequest, most: int, reservation: Reservation) -> bytes:
    """Read the body, with or without a length, and never more than `most` bytes and one.

    :raises TurnedAway: there is more, it ends early, its chunks are wrong, it comes too slowly, or there is no room.
    """
    announced, stream, body = asked.content_length, asked.environ["wsgi.input"], io.BytesIO()
    # Where no length is announced, the end is found only if the server ends the stream.
    unknown = most + 1 if asked.environ.get("wsgi.input_terminated") else 0
    end = unknown if announced is None else announced
    try:
        while chunk := stream.read(min(CHUNK, end - body.tell())):
            reservation.grow(len(chunk))
            body.write(chunk)
    except TimeoutError:
        raise TurnedAway(408, "slow", "The body came too slowly; deliver it again.") from None
    except ValueError:
        raise TurnedAway(400, "malformed", "The chunks of the body are not as HTTP says; deliver it again.") from None
    except OSError:
        raise _cut_short() from None
    if announced is not None and body.tell() < announced:
        raise _cut_short()
    if body.tell() > most:
        raise _too_large(most)
    return body.getvalue()


def _too_large(most: int) -> TurnedAway:
    return TurnedAway(413, "too_large", f"The body is larger than {most} bytes; let the hook send fewer events.")


def _cut_short() -> TurnedAway:
    return TurnedAway(400, "malformed", "The connection ended before the body did; deliver it again.")
