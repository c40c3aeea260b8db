"""A whole platform on loopback, with the whole product in processes of its own."""

import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml
from docker import APIClient

from orchestrator.cli.product import Product, free_address
from orchestrator.sandbox import samples
from orchestrator.sandbox.platform import GITOPS, SOURCE, Platform

Json = dict[str, Any]
_ENDED = "SELECT state, finished_at - created_at FROM runs WHERE id = ? AND finished_at IS NOT NULL"
PAUSE = 0.05
STAGES = ("check", "build", "push", "scan", "commit", "sync", "health")


@dataclass
class ServedPlatform:
    """A platform, the product that serves it, and the product's API."""

    platform: Platform
    product: Product
    folder: Path
    api: Any = field(init=False)

    def __post_init__(self) -> None:
        self.api = self.product.api()

    def push(self, greeting: str) -> int:
        """Push a change of the app's page; return the id of the run that the hook led to."""
        before = len(self._answers())
        files = samples.source_files(self.platform.base_image, greeting)
        self.platform.forge.commit(SOURCE, "main", files, greeting)
        until(lambda: len(self._answers()) > before, 15.0)
        return int(self._answers()[-1]["runs"][0])

    def accepted_at(self) -> float:
        """Return when the last hook had its 202 (seconds since the epoch)."""
        last = [one for one in self.platform.forge.deliveries() if one.status == 202][-1]
        return last.at + last.seconds

    def start(self, image: str) -> int:
        """Start a run with an image that is there already; return its id."""
        return int(self.api.post("/runs", {"app": samples.APP, "environment": "stg", "image": image})["id"])

    def finished(self, run_id: int, seconds: float = 60.0) -> Json:
        """Wait for the end of a run that has to succeed."""
        run = self.wait(run_id, lambda run: run["finished_at"] is not None, seconds)
        if run["state"] != "succeeded":
            raise SystemExit(f"run {run_id} {run['state']}: {run['sentence']}")
        return run

    def ended(self, run_id: int, seconds: float = 60.0) -> float:
        """Wait for the end of a run that has to succeed, without asking the product; return the seconds it took.

        It is read where the product writes it: a question costs the product more than a stage that does nothing.
        """
        found: list[tuple[str, float]] = []
        file = self.folder / "pilotage" / "state" / "pilotage.db"
        with closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:

            def look() -> bool:
                found[:] = database.execute(_ENDED, (run_id,)).fetchall()
                return bool(found)

            until(look, seconds)
        state, took = found[0]
        if state != "succeeded":
            raise SystemExit(f"run {run_id} {state}")
        return took

    def wait(self, run_id: int, good: Callable[[Json], bool], seconds: float = 60.0) -> Json:
        """Read a run again and again until it is as wanted; return it."""
        run: Json = {}

        def look() -> bool:
            run.update(self.api.run(run_id))
            return good(run)

        until(look, seconds)
        return run

    def gitops_pushed_at(self) -> float:
        """Return when the branch of the GitOps repo moved last, by the time of its ref on the server."""
        repository = self.platform.state_dir / "forge" / f"{GITOPS}.git"
        return (repository / "refs/heads/main").stat().st_mtime

    def _answers(self) -> list[Json]:
        return [yaml.safe_load(one.answer) for one in self.platform.forge.deliveries() if one.status == 202]


@contextmanager
def served_platform(
    *, runtime: str = "none", module: str = "orchestrator.cli", **server: object
) -> Iterator[ServedPlatform]:
    """Bring everything up and take it down again. :param runtime, module: as those of `Platform` and `Product`."""
    with tempfile.TemporaryDirectory(prefix="pilotage-bench-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        with Platform(folder / "platform", runtime=runtime) as platform, _images_removed(platform):
            bind = free_address()
            configuration = platform.configuration(bind, folder / "pilotage" / "state", **server)
            with Product(folder / "pilotage", bind, configuration, platform.environ(), module=module) as product:
                platform.hook_to(product.url)
                yield ServedPlatform(platform, product, folder)


@contextmanager
def _images_removed(platform: Platform) -> Iterator[None]:
    """Take out of the engine at the end whatever is named after this platform's registry."""
    try:
        yield
    finally:
        client = APIClient(base_url=platform.docker_host, version="1.41")
        for image in client.images():
            for name in image["RepoTags"] or ():
                if name.startswith(f"{platform.registry_host}/"):
                    client.remove_image(name, force=True)
        client.close()


def until(good: Callable[[], object], seconds: float) -> None:
    """Look every `PAUSE` seconds: more often, and looking would cost what is being measured."""
    deadline = time.monotonic() + seconds
    while not good():
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {seconds:.0f} s in vain")
        time.sleep(PAUSE)


def at(text: str) -> float:
    """Turn a time of the API into seconds since the epoch."""
    return datetime.fromisoformat(text).timestamp()
