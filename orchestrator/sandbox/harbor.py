"""Stand-in of Harbor for a laptop without one: its REST API and token service before a real OCI registry."""
# in work: the Harbor stand-in is being written by a builder of its own, please leave it to them

from collections.abc import Mapping, Sequence
from pathlib import Path


class SandboxHarbor:
    """A Harbor on loopback; in work."""

    def __init__(self, *, state_dir: Path, robots: Mapping[str, str], projects: Sequence[str]) -> None:
        self._state_dir = state_dir
        self._robots = dict(robots)
        self._projects = tuple(projects)

    def start(self) -> str:
        """Start the server and return its base URL."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop the server and the registry behind it."""
        raise NotImplementedError
