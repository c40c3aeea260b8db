"""A repository with files that Git LFS keeps, on the forge stand-in, and a mirror of it."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from orchestrator.domain.apps import GitAccess, Secret
from orchestrator.domain.errors import PilotageError, Refused
from orchestrator.sandbox.forge import TOKEN, USER, SandboxForge
from workers.clients.git import Mirror, mirror_folder

REPO = "acme/site"
RULES = "*.png filter=lfs diff=lfs merge=lfs -text\n"
LOGO = bytes(range(256)) * 2000


@dataclass
class LfsSite:
    """A repository with Git LFS, a mirror of it, and what the run's log says."""

    forge: SandboxForge
    state: Path
    lines: list[str] = field(default_factory=list)

    def access(self, **changes: object) -> GitAccess:
        values = {"url": self.forge.clone_url(REPO), "username": USER, "token": Secret(TOKEN), **changes}
        return GitAccess(**values)  # type: ignore[arg-type]

    @property
    def mirror(self) -> Mirror:
        return Mirror(self.access(), mirror_folder(self.state, self.forge.clone_url(REPO)))

    def commit(self, **contents: bytes) -> dict[str, str]:
        """Push files that Git LFS keeps (``logo`` is ``logo.png``); return their ids."""
        pointers = {f"{name}.png": self.forge.lfs.put(REPO, content) for name, content in contents.items()}
        self.forge.commit(REPO, "main", {".gitattributes": RULES, **pointers}, "Add pictures")
        return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}

    def tar(
        self,
        mirror: Mirror | None = None,
        *,
        checkpoint: Callable[[], None] = lambda: None,
        leave_out: Callable[[str], bool] = lambda _: False,
    ) -> bytes:
        mirror = mirror or self.mirror
        head = mirror.fetch_branch("main")
        with mirror.snapshot(head, timeout=60, log=self.lines.append, checkpoint=checkpoint) as files:
            return files.tar(leave_out).read()

    def refused(self, kind: type[PilotageError] = Refused, **options: object) -> PilotageError:
        with pytest.raises(kind) as caught:
            self.tar(**options)  # type: ignore[arg-type]
        assert TOKEN not in str(caught.value)
        return caught.value

    def asked(self) -> list[str]:
        return [one.path.rpartition("/")[2][:6] for one in self.forge.lfs.arrived]

    def unfinished(self) -> list[Path]:
        return list(self.mirror.lfs.folder.glob("*.part"))


@contextmanager
def lfs_site(folder: Path) -> Iterator[LfsSite]:
    """Serve one whose first commit has nothing in Git LFS."""
    forge = SandboxForge(state_dir=folder / "forge")
    forge.start()
    try:
        forge.create_repo(REPO, {"Dockerfile": "FROM scratch\n", "small.txt": "version 2\n"})
        yield LfsSite(forge, folder / "state")
    finally:
        forge.stop()
