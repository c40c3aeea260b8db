"""A real Git server on loopback with one repository, and a foreign writer who works in it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.domain.apps import GitAccess, Secret
from orchestrator.sandbox.githttp import Fault, GitHttpApp, serve
from tests.support.git import git, raw_git
from workers.clients.git import Mirror, Reasons, mirror_folder
from workers.clients.git_write import quoted

__all__ = ["Fault", "Forge", "forge"]

USER, TOKEN = "bot", "s3cret-token"


@dataclass
class Forge:
    """A served repository: ``app`` injects faults, ``repo`` is the bare folder on the server's side."""

    app: GitHttpApp
    base: str
    repo: Path
    name: str = "team/web"

    @property
    def url(self) -> str:
        return f"{self.base}/{self.name}.git"

    def access(self, **changes: object) -> GitAccess:
        return GitAccess(**{"url": self.url, "username": USER, "token": Secret(TOKEN), **changes})  # type: ignore[arg-type]

    def mirror(self, state: Path, reasons: Reasons | None = None, **changes: object) -> Mirror:
        access = self.access(**changes)
        options = {} if reasons is None else {"reasons": reasons}
        return Mirror(access, mirror_folder(state, access.url), **options)

    def commit(
        self,
        files: Mapping[str, bytes | str | None],
        *,
        branch: str = "main",
        message: str = "change",
        modes: Mapping[str, str] | None = None,
        date: int = 1_700_000_000,
    ) -> str:
        """Commit on the server itself, as somebody else would; None removes a file; returns the commit."""
        ref = f"refs/heads/{branch}"
        lines = [
            f"commit {ref}\ncommitter Ann <ann@example.com> {date} +0000\ndata {len(message.encode())}\n".encode()
        ]
        lines.append(message.encode() + b"\n")
        if git(self.repo, "for-each-ref", ref):
            lines.append(f"from {ref}^0\n".encode())
        for path, content in files.items():
            if content is None:
                lines.append(b"D %s\n" % quoted(path))
                continue
            mode = (modes or {}).get(path, "100644")
            raw = content.encode() if isinstance(content, str) else content
            if mode == "160000":
                lines.append(b"M 160000 %s %s\n" % (raw, quoted(path)))
            else:
                lines.append(b"M %s inline %s\ndata %d\n%s\n" % (mode.encode(), quoted(path), len(raw), raw))
        git(self.repo, "fast-import", "--quiet", stdin=b"".join(lines))
        return self.head(branch)

    def head(self, branch: str = "main") -> str:
        return git(self.repo, "rev-parse", f"refs/heads/{branch}")

    def log(self, branch: str = "main") -> list[str]:
        """Subjects of the branch, newest first."""
        return git(self.repo, "log", "--format=%s", f"refs/heads/{branch}").splitlines()

    def show(self, path: str, commit: str = "main") -> bytes:
        return raw_git(self.repo, "show", f"{commit}:{path}")


@contextmanager
def forge(root: Path, name: str = "team/web") -> Iterator[Forge]:
    """Serve a fresh repository below `root` for the user `USER` with the password `TOKEN`."""
    app = GitHttpApp(root, users={USER: TOKEN})
    repo = app.create_repo(name)
    with serve(app) as base:
        yield Forge(app=app, base=base, repo=repo, name=name)
