"""A push whose repository has shared code as a Git submodule."""

import uuid

import docker
import pytest

from orchestrator.sandbox.platform import SOURCE
from tests.support.git import git
from tests.support.whole_loop import Loop, containers, stage_of, succeeded

pytestmark = pytest.mark.slow


def push(loop: Loop, url: str, pin: str) -> str:
    """Push the app with its pages as a submodule; return the commit."""
    repository = loop.platform.state_dir / "forge" / f"{SOURCE}.git"
    modules = f'[submodule "www"]\n\tpath = www\n\turl = {url}\n'.encode()
    blob = git(repository, "hash-object", "-w", "--stdin", stdin=modules)
    kept = [line for line in git(repository, "ls-tree", "main").splitlines() if not line.endswith("\twww")]
    lines = [*kept, f"100644 blob {blob}\t.gitmodules", f"160000 commit {pin}\twww"]
    tree = git(repository, "mktree", "--missing", stdin="\n".join(lines).encode())
    commit = git(repository, "commit-tree", "-m", "Share the pages", tree)
    loop.platform.forge.push_refs(SOURCE, {"refs/heads/deploy/sub": commit}, force=True)
    return commit


def file_in(loop: Loop, container: str, path: str) -> str:
    """Read a file as a running container has it."""
    client = docker.DockerClient(loop.platform.docker_host, timeout=30)
    try:
        return client.containers.get(container).exec_run(["cat", path]).output.decode()
    finally:
        client.close()


def test_its_files_are_deployed_and_an_address_elsewhere_fails_the_check(loop: Loop) -> None:
    page = f"<h1>shared {uuid.uuid4()}</h1>\n"
    loop.platform.forge.create_repo("acme/pages", {"index.html": page})
    pin = loop.platform.forge.head("acme/pages")
    run = succeeded(loop.end(loop.run_of(push(loop, "../pages.git", pin), "sub")))
    assert f"submodule www: {loop.platform.forge.clone_url('acme/pages')} at {pin[:12]}" in loop.log(
        run["id"], "build"
    )
    (container,) = containers(loop.platform, run["receipt"]["image"])
    assert file_in(loop, container, "/www/index.html") == page
    inside = loop.end(loop.run_of(push(loop, "http://169.254.169.254/pages.git", pin), "sub"))
    assert (inside["state"], inside["reason"], inside["who_acts"]) == ("failed", "source_unsupported", "developer")
    assert stage_of(inside, "check")["state"] == "failed"
    assert '.gitmodules: the `url` of "www"' in inside["sentence"]
