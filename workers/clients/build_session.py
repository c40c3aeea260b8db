"""A session of BuildKit: while it is open, the engine asks us for the secrets that the steps of a build mount.

``POST /session`` of the engine's API turns its connection into HTTP/2 in the other direction: we answer, the engine
asks (moby, api/server/router/session; buildkit, session/session.go). A build that names the session may use it. A
secret goes to the engine when a step mounts it, into memory; it is in no layer, in no history and in no cache.
"""

import threading
import uuid
from collections.abc import Callable, Mapping
from typing import Protocol

from workers.clients.grpc_server import BrokenConnection, CallFailed, CallStatus, GrpcServer
from workers.clients.protobuf import Fields, ProtobufError, bytes_field

GET_SECRET = "/moby.buildkit.secrets.v1.Secrets/GetSecret"  # noqa: S105  # the path of a call
_CHUNK = 64 * 1024
"""Bytes that are read at a time."""
_GOODBYE = 5.0
"""Seconds that the thread gets to end."""


class Wire(Protocol):
    """A connection on which the engine has taken our upgrade."""

    def receive(self, size: int) -> bytes:
        """Wait for bytes, at most `size`; none: the engine has closed it."""

    def send(self, data: bytes) -> None:
        """Send all of `data`."""

    def close(self) -> None:
        """End it, from any thread; whoever waits in `receive` returns."""


class BuildSession:
    """An open session, as a context; its thread answers until the end of the block.

    :param upgrade: asks the engine to turn a connection around, with these headers.
    :param secrets: by the ids that steps mount them by.
    """

    def __init__(self, upgrade: Callable[[Mapping[str, str]], Wire], secrets: Mapping[str, bytes]) -> None:
        self.id = uuid.uuid4().hex
        self._upgrade = upgrade
        self._secrets = secrets

    def __enter__(self) -> "BuildSession":
        self._wire = self._upgrade(
            {
                "X-Docker-Expose-Session-Uuid": self.id,
                "X-Docker-Expose-Session-Name": "pilotage",
                "X-Docker-Expose-Session-Grpc-Method": GET_SECRET,
            }
        )
        self._thread = threading.Thread(target=self._serve, name="build-session", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._wire.close()
        self._thread.join(_GOODBYE)

    def _serve(self) -> None:
        """Answer until the connection ends; if that is too early, the engine says so as the build's error."""
        server = GrpcServer({GET_SECRET: self._secret})
        try:
            self._wire.send(server.begin())
            while received := self._wire.receive(_CHUNK):
                self._wire.send(server.take(received))
        except (OSError, ValueError, BrokenConnection):  # ValueError: closed while it was read
            return
        finally:
            self._wire.close()

    def _secret(self, request: bytes) -> bytes:
        """Answer a GetSecretRequest (1: id) with a GetSecretResponse (1: data)."""
        try:
            wanted = Fields(request).bytes(1).decode()
        except (ProtobufError, UnicodeDecodeError):
            raise CallFailed(CallStatus.INVALID_ARGUMENT) from None
        if wanted not in self._secrets:
            raise CallFailed(CallStatus.NOT_FOUND)
        return bytes_field(1, self._secrets[wanted])
