"""Submodules on the way of a run: refused in `check`, built into a real image in `build`."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.domain.apps import Build
from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from orchestrator.domain.refs import image_tag
from orchestrator.domain.runs import Done, StageName
from tests.support import deploying
from tests.support.engine import BUSYBOX, require_engine
from tests.support.githttp import Forge, forge
from tests.support.imaging import order
from tests.support.registry import real_registry
from workers.clients.git import Mirror
from workers.clients.registry import RegistryClient
from workers.stages import build, check
from workers.stages.order import Tools

DOCKERFILE = """FROM scratch
COPY bin/busybox /bin/busybox
COPY vendor/greeting /greeting
RUN ["/bin/busybox", "sh", "-c", "/bin/busybox cat /greeting/*.txt; /greeting/say"]
"""
MODULES = '[submodule "greeting"]\n\tpath = vendor/greeting\n\turl = {url}\n'


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Forge]:
    with forge(tmp_path / "srv") as running:
        yield running


@pytest.fixture
def mirror(server: Forge, tmp_path: Path) -> Mirror:
    return server.mirror(tmp_path / "state")


def pushed(server: Forge, url: str, pin: str = "1" * 40, **files: str) -> str:
    """Commit an app with one submodule."""
    content: dict[str, bytes | str | None] = {
        ".gitmodules": MODULES.format(url=url),
        "Dockerfile": DOCKERFILE,
        "bin/busybox": BUSYBOX.read_bytes(),
        "vendor/greeting": pin,
        **files,
    }
    return server.commit(content, modes={"bin/busybox": "100755", "vendor/greeting": "160000"})


def checked(mirror: Mirror, commit: str, options: Build) -> Any:
    made = deploying.order(StageName.CHECK, commit=commit, ref="refs/heads/main")
    app = replace(made.app, source=mirror.access, build=options)
    return check.run(replace(made, app=app), deploying.tools(source=mirror))


def test_an_address_that_is_refused_fails_the_check_and_one_that_is_followed_does_not(
    server: Forge, mirror: Mirror
) -> None:
    wanted = Build(submodules=True)
    assert isinstance(checked(mirror, pushed(server, "../greeting.git"), wanted), Done)
    inside = pushed(server, "http://169.254.169.254/greeting.git")
    with pytest.raises(Refused, match=r"\.gitmodules: the `url` of \"greeting\"") as refusal:
        checked(mirror, inside, wanted)
    assert refusal.value.reason is Reason.SOURCE_UNSUPPORTED
    assert isinstance(checked(mirror, inside, Build()), Done), "where nothing is fetched nothing is looked at"
    left_out = pushed(server, "http://169.254.169.254/greeting.git", **{".dockerignore": "vendor\n"})
    assert isinstance(checked(mirror, left_out, wanted), Done)
    assert {line.split("/")[2] for line in server.app.requests} == {"web.git"}, "no submodule was asked for"


@pytest.fixture
def greeting(server: Forge) -> Forge:
    """A library with a library, both private and new: what the engine has built before it does not build aloud."""
    words = replace(server, name="team/words", repo=server.app.create_repo("team/words"))
    words.commit({"words.txt": f"words of the inner one {uuid.uuid4()}\n"})
    made = replace(server, name="team/greeting", repo=server.app.create_repo("team/greeting"))
    made.commit(
        {
            ".gitmodules": '[submodule "words"]\n\tpath = words\n\turl = ../words.git\n',
            "words": words.head(),
            "say": "#!/bin/busybox sh\n/bin/busybox cat /greeting/words/words.txt\n",
            "hello.txt": "hello of the outer one\n",
            "Dockerfile": DOCKERFILE,
            "Dockerfile.dockerignore": "**/hello.txt\n",
        },
        modes={"words": "160000", "say": "100755"},
    )
    return made


class Builder:
    """The stage `build` with a real engine, for commits of one repository."""

    def __init__(self, server: Forge, mirror: Mirror, folder: Path) -> None:
        self.engine = require_engine()
        self.server, self.mirror, self.folder = server, mirror, folder
        self.name = uuid.uuid4().hex[:12]
        self.log: list[str] = []

    def build(self, commit: str, options: Build) -> Done:
        with real_registry(self.folder) as running:
            made = order(
                registry=running.settings,
                source=self.server.url,
                app=self.name,
                build=replace(options, network="none", timeout=120),
                path=f"plate/{self.name}",
                commit=commit,
                image=f"{running.host}/plate/{self.name}:{image_tag(commit, options.inputs)}",
            )
            clients = SimpleNamespace(
                engine=self.engine, registry=RegistryClient(running.settings), source=self.mirror
            )
            tools = Tools(log=self.log.append, checkpoint=lambda: None, clients=cast("Any", clients))
            try:
                outcome = build.run(made, tools)
            finally:
                self.engine.remove(made.run.image)
            assert isinstance(outcome, Done)
            return outcome


@pytest.fixture
def builder(server: Forge, mirror: Mirror, tmp_path: Path) -> Builder:
    return Builder(server, mirror, tmp_path / "registry")


@pytest.mark.engine
def test_an_image_holds_the_files_of_submodules(server: Forge, greeting: Forge, builder: Builder) -> None:
    commit = pushed(server, "../greeting.git", greeting.head())
    outcome = builder.build(commit, Build(submodules=True))
    listing = "\n".join(builder.log)
    assert outcome.outputs["image"].endswith(image_tag(commit, Build(submodules=True).inputs))
    assert "hello of the outer one" in listing
    assert "words of the inner one" in listing
    assert f"submodule vendor/greeting/words: {server.base}/team/words.git at " in listing
    assert "s3cret-token" not in listing


@pytest.mark.engine
def test_the_dockerfile_and_its_rules_may_lie_in_a_submodule(
    server: Forge, greeting: Forge, builder: Builder
) -> None:
    commit = pushed(server, "../greeting.git", greeting.head())
    builder.build(commit, Build(submodules=True, dockerfile="vendor/greeting/Dockerfile"))
    listing = "\n".join(builder.log)
    assert "words of the inner one" in listing
    assert "hello of the outer one" not in listing, "the rules beside the Dockerfile leave it out"


@pytest.mark.engine
def test_without_the_key_a_submodule_is_refused_before_anything_is_built(
    server: Forge, greeting: Forge, builder: Builder
) -> None:
    with pytest.raises(Refused, match=r"vendor/greeting is a submodule.*build\.submodules: true") as refusal:
        builder.build(pushed(server, "../greeting.git", greeting.head()), Build())
    assert refusal.value.reason is Reason.SOURCE_UNSUPPORTED
