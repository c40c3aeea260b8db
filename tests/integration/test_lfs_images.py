"""A commit whose files Git LFS keeps becomes an image that has them, in a real engine."""

import hashlib
import uuid
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from orchestrator.domain.apps import Build, GitAccess, Secret
from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from orchestrator.domain.refs import image_tag
from orchestrator.domain.runs import Done
from orchestrator.sandbox.forge import TOKEN, USER, SandboxForge
from tests.support.engine import BUSYBOX, require_engine
from tests.support.imaging import order
from tests.support.registry import real_registry
from workers.clients.git import Mirror, mirror_folder
from workers.clients.registry import RegistryClient
from workers.stages import build
from workers.stages.order import Order, Tools

pytestmark = [pytest.mark.engine, pytest.mark.slow]

REPO = "acme/model"
MODEL = bytes(range(256)) * 40_000
DOCKERFILE = """FROM scratch
COPY --chmod=0755 tools/busybox /bin/busybox
COPY weights /weights
RUN ["/bin/busybox", "sh", "-c", "cd /weights; /bin/busybox sha256sum *; /bin/busybox ls -l"]
"""
RULES = "*.bin filter=lfs diff=lfs merge=lfs -text\ntools/* filter=lfs diff=lfs merge=lfs -text\n"


class Bench:
    """One app whose repository has a model and a program in Git LFS."""

    def __init__(self, folder: Path, forge: SandboxForge, registry: Any) -> None:
        self.forge, self.registry, self.engine = forge, registry, require_engine()
        self.name, self.lines = uuid.uuid4().hex[:12], list[str]()
        forge.create_repo(REPO, {"Dockerfile": DOCKERFILE, ".gitattributes": RULES, ".dockerignore": "**/*draft*\n"})
        access = GitAccess(url=forge.clone_url(REPO), username=USER, token=Secret(TOKEN))
        self.source = Mirror(access, mirror_folder(folder / "state", access.url))

    def commit(self, **weights: bytes) -> str:
        files = {f"weights/{name}.bin": self.forge.lfs.put(REPO, content) for name, content in weights.items()}
        program = self.forge.lfs.put(REPO, BUSYBOX.read_bytes())
        unique = {"weights/name.txt": self.name}  # else the engine may know the step and not say what it prints
        return self.forge.commit(REPO, "main", {**files, **unique, "tools/busybox": program}, "Train")

    def order(self, commit: str) -> Order:
        return order(
            registry=self.registry.settings,
            source=self.forge.clone_url(REPO),
            app=self.name,
            build=Build(network="none", timeout=60),
            path=f"plate/{self.name}",
            commit=commit,
            image=f"{self.registry.host}/plate/{self.name}:{image_tag(commit)}",
        )

    def tools(self) -> Tools:
        registry = RegistryClient(self.registry.settings)
        clients = SimpleNamespace(engine=self.engine, registry=registry, source=self.source)
        return Tools(log=self.lines.append, checkpoint=lambda: None, clients=cast("Any", clients))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    require_engine()
    forge = SandboxForge(state_dir=tmp_path / "forge")
    forge.start()
    with real_registry(tmp_path / "registry") as registry:
        made = Bench(tmp_path, forge, registry)
        yield made
        made.engine.tidy(f"{registry.host}/plate/{made.name}", made.name, 0)
    forge.stop()


def test_an_image_has_the_contents_that_git_lfs_keeps(bench: Bench) -> None:
    wanted = bench.order(bench.commit(model=MODEL, draft=b"draft"))
    assert isinstance(build.run(wanted, bench.tools()), Done)
    log = "\n".join(bench.lines)
    assert f"{hashlib.sha256(MODEL).hexdigest()}  model.bin" in log
    assert "draft.bin" not in log
    assert "fetching 2 Git LFS objects, " in log
    bench.engine.remove(wanted.run.image)


def test_a_content_that_is_not_the_pointers_is_in_no_image(bench: Bench) -> None:
    wanted = bench.order(bench.commit(model=MODEL))
    bench.forge.lfs.spoil(REPO, hashlib.sha256(MODEL).hexdigest(), MODEL[::-1])
    with pytest.raises(Refused) as caught:
        build.run(wanted, bench.tools())
    assert caught.value.reason is Reason.SOURCE_UNSUPPORTED
    assert caught.value.evidence.startswith("weights/model.bin: what 127.0.0.1 sent")
    assert bench.engine.image_id(wanted.run.image) is None
