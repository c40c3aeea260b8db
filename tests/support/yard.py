"""A real engine and a real registry to build in: images that a test made are gone afterwards."""

import contextlib
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import docker
import pytest

from orchestrator.domain.apps import Build, Registry
from tests.support.engine import BUSYBOX, TEST_LABEL, Journal, require_engine, tar_of
from tests.support.registry import Running, real_registry
from workers.clients.docker import Engine
from workers.clients.engine_requests import APP_LABEL, REVISION_LABEL

BASE = 'FROM scratch\nCOPY bin/busybox /bin/busybox\nRUN ["/bin/busybox", "--install", "-s", "/bin"]\nENV PATH=/bin\n'


@pytest.fixture(scope="module")
def engine() -> Engine:
    return require_engine()


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory, engine: Engine) -> Iterator[Running]:
    with real_registry(tmp_path_factory.mktemp("registry")) as running:
        yield running


class Yard:
    """Builds images under names of its own and takes them away afterwards."""

    def __init__(self, engine: Engine, registry: Registry) -> None:
        self.engine, self.registry = engine, registry
        self.name = f"{registry.host}/plate/{uuid.uuid4().hex[:12]}"
        self.app = f"test-{uuid.uuid4().hex[:8]}"
        self.made: set[str] = set()

    def build(
        self,
        files: dict[str, bytes | str],
        build: Build,
        journal: Journal | None = None,
        tag: str = "1",
        *,
        anew: bool = False,
    ) -> str:
        dockerfile = files[build.dockerfile]
        reference = f"{self.name}:{tag}"
        self.made.add(reference)
        return self.engine.build(
            iter([tar_of(files)]),
            dockerfile=dockerfile if isinstance(dockerfile, bytes) else dockerfile.encode(),
            tag=reference,
            build=build,
            labels={TEST_LABEL: "1", APP_LABEL: self.app, REVISION_LABEL: "c" * 40},
            registry=self.registry,
            control=(journal or Journal()).control,
            anew=anew,
        )

    def send(self, context: Iterator[bytes], journal: Journal | None = None) -> str:
        """Build from the bytes of a context, whatever they are."""
        return self.engine.build(
            context,
            dockerfile=b"FROM scratch\n",
            tag=f"{self.name}:1",
            build=Build(),
            labels={},
            registry=self.registry,
            control=(journal or Journal()).control,
        )

    def push(self, tag: str = "1") -> str:
        return self.engine.push(f"{self.name}:{tag}", registry=self.registry, control=Journal().control)

    def saved(self, image: str) -> bytes:
        """All that the engine has of an image: its layers, its configuration and its history."""
        api = docker.from_env().api
        with contextlib.closing(api):
            return b"".join(api.get_image(image))

    def close(self) -> None:
        for reference in self.made:
            self.engine.remove(reference)
        self.engine.tidy(self.name, self.app, 0)


@pytest.fixture
def yard(engine: Engine, registry: Running) -> Iterator[Yard]:
    made = Yard(engine, registry.settings)
    yield made
    made.close()


@contextmanager
def base_image(engine: Engine, registry: Registry) -> Iterator[str]:
    """An image that is in the private registry and not in the engine."""
    made = Yard(engine, registry)
    made.build({"Dockerfile": BASE, "bin/busybox": BUSYBOX.read_bytes()}, Build(network="none"))
    made.push()
    reference = f"{made.name}:1"
    assert engine.remove(reference)
    yield reference
    made.close()


@pytest.fixture(scope="module")
def base(engine: Engine, registry: Running) -> Iterator[str]:
    with base_image(engine, registry.settings) as reference:
        yield reference


@pytest.fixture
def own_base(engine: Engine, registry: Running) -> Iterator[str]:
    """A name that no other test has used: a step that was ended a moment ago still holds its image in the engine."""
    with base_image(engine, registry.settings) as reference:
        yield reference


def network(builder: str, **options: object) -> Build:
    return Build(builder=builder, network="none", **options)  # type: ignore[arg-type]
