"""The foreign services that stages use, as one object."""

from contextlib import AbstractContextManager
from typing import IO, Protocol

from workers.clients.docker import Engine
from workers.clients.harbor import Harbor
from workers.clients.registry import RegistryClient


class CommitInfo(Protocol):
    """What is known about a commit."""

    @property
    def date(self) -> int:
        """When it was committed, in seconds since the epoch."""


class Source(Protocol):
    """The part of the source mirror that a build uses."""

    def archive(self, commit: str, context: str) -> AbstractContextManager[IO[bytes]]:
        """Give the files below `context` at `commit` as a tar stream, paths relative to `context`."""

    def read(self, commit: str, path: str) -> bytes | None:
        """Return the content of a file of the repository at `commit`; None when it is not there."""

    def commit_info(self, commit: str) -> CommitInfo:
        """Return what is known about `commit`."""


class Clients(Protocol):
    """The clients, made on first use."""

    @property
    def engine(self) -> Engine:
        """The Docker engine."""

    @property
    def registry(self) -> RegistryClient:
        """The registry over the OCI API."""

    @property
    def harbor(self) -> Harbor:
        """Harbor's own API."""

    @property
    def source(self) -> Source:
        """The mirror of the app's source repository."""
