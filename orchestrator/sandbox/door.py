"""A door on this loopback to a port elsewhere: the stand-in of Harbor is called 127.0.0.1 in every container."""

import contextlib
import socket
import threading
from collections.abc import Iterator

CONNECT_TIMEOUT = 3.0
"""Seconds to reach the other side."""
IDLE = 600.0
"""Seconds without a byte after which a connection is given up."""
_CHUNK = 64 * 1024

Address = tuple[str, int]


class Door:
    """Listens at one address and hands every connection on to another.

    :param at: where it listens; port 0 = any free one. :param to: where connections lead.
    :raises OSError: the port is taken.
    """

    def __init__(self, at: Address, to: Address) -> None:
        self._to = to
        self._listening = socket.create_server(at)
        self._thread = threading.Thread(target=self._serve, name="door", daemon=True)

    @property
    def port(self) -> int:
        """Where it listens."""
        return int(self._listening.getsockname()[1])

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Take no connection any more; those that are open go on until they end."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def leads_somewhere(self) -> bool:
        """Tell whether the other side can be reached."""
        try:
            socket.create_connection(self._to, CONNECT_TIMEOUT).close()
        except OSError:
            return False
        return True

    def _serve(self) -> None:
        while True:
            try:
                caller, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._lead, args=(caller,), daemon=True).start()

    def _lead(self, caller: socket.socket) -> None:
        with contextlib.suppress(OSError), caller, socket.create_connection(self._to, CONNECT_TIMEOUT) as other:
            back = threading.Thread(target=_pump, args=(other, caller), daemon=True)
            back.start()
            _pump(caller, other)
            back.join()


def _pump(source: socket.socket, sink: socket.socket) -> None:
    """Hand bytes on until the source ends, and tell the sink so."""
    with contextlib.suppress(OSError):
        for part in _parts(source):
            sink.sendall(part)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def _parts(source: socket.socket) -> Iterator[bytes]:
    source.settimeout(IDLE)
    source.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # both sides come here once: we add no wait of ours
    while part := source.recv(_CHUNK):
        yield part
