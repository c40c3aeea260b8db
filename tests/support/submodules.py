"""Commits with submodules, and what a build context makes of them."""

from collections.abc import Mapping
from dataclasses import replace

from tests.support.git_processes import NOBODY
from tests.support.githttp import Forge
from tests.support.tars import contents
from workers.clients.build_context import left_out
from workers.clients.git import Mirror
from workers.clients.git_submodules import snapshot_with_submodules

DATE, LIB_DATE = 1_700_000_000, 1_600_000_000

Links = Mapping[str, tuple[str, str]]
"""Path of a submodule -> its address and commit."""


def another_repository(server: Forge, name: str) -> Forge:
    """Serve another repository."""
    return replace(server, name=name, repo=server.app.create_repo(name))


def commit_links(server: Forge, links: Links, date: int = DATE, **files: str) -> str:
    """Commit submodules with their ``.gitmodules``."""
    sections = [f'[submodule "{path}"]\n\tpath = {path}\n\turl = {url}\n' for path, (url, _) in links.items()]
    content = {".gitmodules": "".join(sections), "Dockerfile": "FROM scratch\n", **files}
    pins = {path: pin for path, (_, pin) in links.items()}
    return server.commit(content | pins, modes=dict.fromkeys(pins, "160000"), date=date)


def commit_raw(server: Forge, gitmodules: str | None, path: str = "lib") -> str:
    """Commit one submodule with a ``.gitmodules`` of any text."""
    return server.commit({".gitmodules": gitmodules, path: NOBODY}, modes={path: "160000"})


def tar_of(mirror: Mirror, wanted: str, context: str = ".", rules: bytes | None = None) -> bytes:
    mirror.fetch_commit(wanted, "main")
    with snapshot_with_submodules(mirror, wanted, context) as files:
        return files.tar(left_out(rules, "Dockerfile")).read()


def files_of(raw: bytes) -> dict[str, str]:
    return {name: content.decode() for name, content in contents(raw).items()}


def library(server: Forge) -> Forge:
    """Serve a repository with a few files in it."""
    made = another_repository(server, "team/lib")
    made.commit(
        {"src/lib.sh": "echo\n", "current": "src/lib.sh", ".gitattributes": "src export-ignore\n"},
        modes={"src/lib.sh": "100755", "current": "120000"},
        date=LIB_DATE,
    )
    return made
