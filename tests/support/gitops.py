"""A small GitOps repository behind a real Git server, for tests that push to it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from orchestrator.domain.apps import GitAccess, Secret
from orchestrator.sandbox.githttp import GitHttpApp, serve
from tests.support.git import git

USER, PASSWORD = "pilotage", "gitops-password"
CHART = "apiVersion: v2\nname: shop\nversion: 1.0.0\n"


@dataclass(slots=True)
class GitopsRepo:
    """The repository's address and a clone to work in."""

    url: str
    clone: Path

    @property
    def access(self) -> GitAccess:
        return GitAccess(url=self.url, username=USER, token=Secret(PASSWORD))

    def push(self, files: Mapping[str, str], message: str = "change") -> str:
        """Write files, push them to main and return the commit."""
        for name, text in files.items():
            path = self.clone / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        git(self.clone, "add", "--all")
        git(self.clone, "commit", "--quiet", "--allow-empty", "--message", message)
        git(self.clone, "push", "--quiet", "origin", "HEAD:main")
        return git(self.clone, "rev-parse", "HEAD")

    def chart(self, folder: str, image: str = "registry.invalid/shop/api", tag: str = "v1", more: str = "") -> str:
        """Push a chart folder whose environment's values name a tag; return the commit."""
        return self.push(
            {
                f"{folder}/Chart.yaml": CHART,
                f"{folder}/values.yaml": f"image:\n  repository: {image}\n{more}",
                f"{folder}/values-prod.yaml": f"image:\n  tag: {tag}\n",
            }
        )


@contextmanager
def gitops_repo(folder: Path) -> Iterator[GitopsRepo]:
    """Serve a new, empty repository while the block runs."""
    root = folder / "git"
    root.mkdir()
    server = GitHttpApp(root, users={USER: PASSWORD})
    bare = server.create_repo("platform/gitops")
    clone = folder / "clone"
    git(folder, "clone", "--quiet", str(bare), str(clone))
    with serve(server) as base:
        yield GitopsRepo(f"{base}/platform/gitops.git", clone)
