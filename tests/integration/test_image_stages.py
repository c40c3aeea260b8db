"""From a commit in a real Git repository to a digest in a real registry, by the stages build and push."""

import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import docker
import pytest

from orchestrator.domain.apps import Build, GitAccess
from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.domain.refs import image_tag
from orchestrator.domain.runs import Done
from tests.support.engine import BUSYBOX, Journal, require_engine
from tests.support.git import git
from tests.support.imaging import order
from tests.support.registry import Running, real_registry
from workers.clients.docker import Engine
from workers.clients.git import Mirror, mirror_folder
from workers.clients.registry import RegistryClient
from workers.stages import build, push
from workers.stages.order import Order, Tools

pytestmark = pytest.mark.engine

DOCKERFILE = """FROM scratch AS tools
COPY bin/busybox /bin/busybox
RUN ["/bin/busybox", "--install", "-s", "/bin"]
FROM tools
COPY . /app
RUN /bin/ls -a /app
"""


class Site:
    """One app: its repository, its mirror, the engine and the registry."""

    def __init__(self, folder: Path, engine: Engine, running: Running) -> None:
        self.engine, self.running = engine, running
        self.repository = folder / "origin"
        self.name = uuid.uuid4().hex[:12]
        (self.repository / "bin").mkdir(parents=True)
        git(self.repository, "init", "-q", "-b", "main")
        (self.repository / "bin" / "busybox").write_bytes(BUSYBOX.read_bytes())
        (self.repository / "bin" / "busybox").chmod(0o755)
        access = GitAccess(url=self.repository.as_uri())
        self.source = Mirror(access, mirror_folder(folder / "mirrors", access.url), allow_local=True)
        self.log: list[str] = []
        self.orders: list[Order] = []

    def commit(self, **files: str) -> str:
        for name, content in {"Dockerfile": DOCKERFILE, **files}.items():
            (self.repository / name).write_text(content)
        git(self.repository, "add", "-A")
        git(self.repository, "commit", "-q", "--allow-empty", "-m", "change")
        return git(self.repository, "rev-parse", "HEAD")

    def order(self, commit: str) -> Order:
        made = order(
            registry=self.running.settings,
            source=self.repository.as_uri(),
            app=self.name,
            build=Build(network="none", timeout=60),
            path=f"plate/{self.name}",
            commit=commit,
            image=f"{self.running.host}/plate/{self.name}:{image_tag(commit)}",
        )
        self.orders.append(made)
        return made

    def tools(self) -> Tools:
        clients = SimpleNamespace(
            engine=self.engine, registry=RegistryClient(self.running.settings), source=self.source
        )
        return Tools(log=self.log.append, checkpoint=lambda: None, clients=cast("Any", clients))

    def close(self) -> None:
        for made in self.orders:
            self.engine.remove(made.run.image)
        self.engine.tidy(f"{self.running.host}/plate/{self.name}", self.name, 0)

    @property
    def pushes(self) -> int:
        return self.running.pushes(f"plate/{self.name}")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    require_engine()
    with real_registry(tmp_path_factory.mktemp("registry")) as started:
        yield started


@pytest.fixture
def site(tmp_path: Path, running: Running) -> Iterator[Site]:
    made = Site(tmp_path, require_engine(), running)
    yield made
    made.close()


def done(outcome: object) -> Done:
    assert isinstance(outcome, Done)
    return outcome


def test_a_commit_becomes_an_image_with_a_digest(site: Site) -> None:
    own = f"{site.name}.txt"  # else the engine may know the step already and not say what it lists
    wanted = site.order(site.commit(**{own: "1", "secret.env": "s", ".dockerignore": "*.env\nDockerfile\n"}))
    built = done(build.run(wanted, site.tools()))
    pushed = done(push.run(replace(wanted, outputs=built.outputs), site.tools()))
    assert pushed.outputs["digest"] == RegistryClient(site.running.settings).digest(
        f"plate/{site.name}", wanted.run.image.rpartition(":")[2]
    )
    listing = "\n".join(site.log)
    assert own in listing
    assert "secret.env" not in listing
    assert site.pushes == 1


def test_a_second_run_of_the_commit_reuses_what_is_there(site: Site) -> None:
    wanted = site.order(site.commit())
    build.run(wanted, site.tools())
    digest = done(push.run(wanted, site.tools())).outputs["digest"]
    again = done(build.run(wanted, site.tools()))
    assert (again.reused, again.outputs["digest"]) == (True, digest)
    assert done(push.run(replace(wanted, outputs=again.outputs), site.tools())).reused
    assert site.pushes == 1


def test_a_crash_between_build_and_push_builds_once(site: Site) -> None:
    wanted = site.order(site.commit())
    build.run(wanted, site.tools())
    again = done(build.run(wanted, site.tools()))
    assert again.reused
    assert again.outputs["image_id"] == site.engine.image_id(wanted.run.image)


def test_an_engine_that_lost_the_image_builds_it_in_push(site: Site) -> None:
    wanted = site.order(site.commit())
    build.run(wanted, site.tools())
    site.engine.remove(wanted.run.image)
    assert done(push.run(wanted, site.tools())).outputs["digest"].startswith("sha256:")


def test_a_tag_of_another_commit_is_not_overwritten(site: Site) -> None:
    first = site.order(site.commit(**{"a.txt": "1"}))
    build.run(first, site.tools())
    second = site.order(site.commit(**{"a.txt": "2"}))
    docker.from_env().api.tag(first.run.image, *second.run.image.rsplit(":", 1))
    taken = site.engine.push(second.run.image, registry=site.running.settings, control=Journal().control)
    for stage in (build.run, push.run):
        with pytest.raises(Refused) as caught:
            stage(second, site.tools())
        assert caught.value.reason is Reason.TAG_IMMUTABLE
    tag = image_tag(second.run.commit)
    assert RegistryClient(site.running.settings).digest(f"plate/{site.name}", tag) == taken


def test_a_push_that_was_cut_off_goes_on_when_the_registry_is_back(site: Site, tmp_path: Path) -> None:
    with real_registry(tmp_path / "other") as other:
        folder, port = tmp_path / "other", int(other.host.rpartition(":")[2])
        site.running = other
        wanted = site.order(site.commit())
        build.run(wanted, site.tools())
    with pytest.raises(PilotageError) as caught:
        push.run(wanted, site.tools())
    assert isinstance(caught.value, Unavailable)
    with real_registry(folder, port=port):
        assert done(push.run(wanted, site.tools())).outputs["digest"]
        assert site.pushes == 1
