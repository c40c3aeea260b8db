"""The whole loop for tests: the stand-ins, `pilotage up` beside them, and what a developer does and sees."""

import contextlib
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import docker
import yaml
from docker.errors import DockerException

from orchestrator.cli.api import Api
from orchestrator.cli.product import Product, free_address
from orchestrator.sandbox import chat as chat_stand_in
from orchestrator.sandbox import samples
from orchestrator.sandbox.platform import GITOPS, SOURCE, Platform
from tests.support.git import git
from tests.support.journals import bad_lines
from tests.support.waiting import DEADLINE, until

Json = dict[str, Any]
FINAL = ("succeeded", "failed", "cancelled")
KOREAN_BRANCH = "배포/서울"
CALLBACK_SECRET = chat_stand_in.SECRET


class Loop:
    """A running product among running stand-ins."""

    def __init__(self, platform: Platform, product: Product) -> None:
        self.platform = platform
        self.product = product

    @property
    def api(self) -> Api:
        return self.product.api()

    def files(self, text: str = "") -> dict[str, str]:
        """Return the app's files with a page that nobody has pushed before, so that no engine's cache knows it."""
        return samples.source_files(self.platform.base_image, f"{text} {uuid.uuid4()}")

    def dockerfile(self, *lines: str) -> dict[str, str]:
        """Return the app's files with more lines in the Dockerfile."""
        files = self.files()
        return {**files, "Dockerfile": files["Dockerfile"] + "".join(f"{line}\n" for line in lines)}

    def broken(self) -> dict[str, str]:
        """Return a version of the app whose container cannot start."""
        return {**self.files(), **samples.broken_files(self.platform.base_image)}

    def push(self, files: Mapping[str, str] | None = None, *, branch: str = "main", message: str = "Change") -> str:
        """Push as a developer does; return the commit."""
        return self.platform.forge.commit(SOURCE, branch, dict(files or self.files()), message)

    def runs(self, **params: Any) -> list[Json]:
        found: list[Json] = self.api.get("/runs", {"limit": 100, **params})["items"]
        return found

    def runs_of(self, commit: str, environment: str = "") -> list[Json]:
        return [run for run in self.runs(environment=environment) if run["commit"] == commit]

    def run_of(self, commit: str, environment: str = "", seconds: float = DEADLINE) -> int:
        """Wait for the run that a push made; return its id."""
        found = until(lambda: self.runs_of(commit, environment), f"a run of {commit}", seconds)
        return int(found[-1]["id"])

    def until_run(self, run_id: int, good: Callable[[Json], bool], what: str, seconds: float = DEADLINE) -> Json:
        """Wait for a state of a run; fail at once when the run is over without it."""

        def look() -> Json | None:
            run = self.api.run(run_id)
            if good(run):
                return run
            assert run["state"] not in FINAL, f"run {run_id} ended before {what}: {summary(run)}"
            return None

        return until(look, f"{what} of run {run_id}", seconds)

    def end(self, run_id: int, seconds: float = DEADLINE) -> Json:
        """Wait until a run is over."""
        return self.until_run(run_id, lambda run: run["state"] in FINAL, "the end", seconds)

    def deploy(self, files: Mapping[str, str] | None = None, **options: Any) -> Json:
        """Push and wait until the run of that push is over."""
        return self.end(self.run_of(self.push(files, **options)))

    def start(self, key: str = "", **body: Any) -> int:
        """Start a manual run; return its id."""
        return int(self.api.post("/runs", {"app": samples.APP, **body}, key)["id"])

    def waiting_at(self, run_id: int, stage: str) -> Json:
        return self.until_run(run_id, lambda run: stage_of(run, stage)["state"] == "waiting", f"waiting at {stage}")

    def delivery(self, commit_or_ref: str) -> Json:
        """Wait for the delivery that told of a commit or a ref."""

        def look() -> Json | None:
            for one in self.api.get("/deliveries", {"limit": 100})["items"]:
                if any(commit_or_ref in (change["ref"], change["commit"]) for change in one["changes"]):
                    return dict(one)
            return None

        return until(look, f"the delivery about {commit_or_ref}")

    def told(self, run_id: int) -> Json:
        """Wait until a finished run's messages are all sent."""

        def look() -> Json | None:
            run = self.api.run(run_id)
            done = all(one["state"] in ("sent", "merged") for one in run["notifications"])
            return run if done and run["state"] in FINAL else None

        return until(look, f"the last message about run {run_id}")

    def in_chat(self, run_id: int) -> list[str]:
        """Return the first lines of what the chat channel showed about a run."""
        page = f"/runs/{run_id}|"
        shown = [one for one in self.platform.chat.slack.shown if page in f"{one.text}{one.blocks}".replace(">", "|")]
        return [one.text.splitlines()[0] for one in shown]

    def callbacks(self, run_id: int) -> list[Any]:
        return [one for one in self.platform.chat.callbacks.taken if one.data.get("run") == run_id]

    def log(self, run_id: int, stage: str = "") -> str:
        """Return a run's log as text."""
        lines = self.api.stream(f"/runs/{run_id}/logs", "text/plain", {"stage": stage})
        return b"\n".join(lines).decode()

    def cli(
        self, *arguments: str, seconds: float = DEADLINE, environ: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run the `pilotage` command beside the product, with `environ` over the platform's variables."""
        whole = {
            **os.environ,
            **self.platform.environ(),
            "CALLBACK_SECRET": CALLBACK_SECRET,
            "PILOTAGE_URL": self.product.url,
            "PILOTAGE_TOKEN": (self.product.state_dir / "token").read_text().strip(),
            "PILOTAGE_CONFIG": str(self.product.folder / "pilotage.yaml"),
            **(environ or {}),
        }
        command = [sys.executable, "-m", "orchestrator.cli", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=whole, timeout=seconds, check=False)

    def git(self, name: str, *arguments: str) -> str:
        """Ask the forge's own repository."""
        return forge_git(self.platform, name, *arguments)

    def gitops_commits(self, run_id: int) -> list[str]:
        """Return the GitOps commits that bear a run's trailer, newest first."""
        return gitops_commits(self.platform, run_id)

    def receives(self) -> list[str]:
        """Return the pushes to the GitOps repository that have reached the forge, refused ones included."""
        wanted = f"POST /{GITOPS}.git/git-receive-pack"
        return [one for one in self.platform.forge.requests if one == wanted]

    def manifests(self) -> list[str]:
        """Return the digests of all manifests that were ever put into the app's repository of the registry."""
        repositories = self.platform.state_dir.glob(f"harbor/**/repositories/{samples.IMAGE}")
        return sorted(link.name for root in repositories for link in (root / "_manifests/revisions/sha256").iterdir())


def forge_git(platform: Platform, name: str, *arguments: str) -> str:
    """Ask the forge's own repository."""
    return git(platform.state_dir / "forge" / f"{name}.git", *arguments)


def gitops_commits(platform: Platform, run_id: int) -> list[str]:
    """Return the GitOps commits that bear a run's trailer, newest first."""
    trailer = "%(trailers:key=Pilotage-Run,valueonly,separator=%x2C)"
    log = forge_git(platform, GITOPS, "log", f"--format=%H {trailer}", "main")
    pairs = [line.partition(" ") for line in log.splitlines()]
    return [commit for commit, _, run in pairs if run.strip() == str(run_id)]


def stage_of(run: Json, name: str) -> Json:
    """Return one stage of a run."""
    return next(stage for stage in run["stages"] if stage["name"] == name)


def summary(run: Json) -> str:
    """Word a run for a failed test."""
    stages = ", ".join(f"{one['name']} {one['state']} ({one['reason']})" for one in run["stages"])
    return f"{run['state']}: {run['sentence']} [{stages}]"


def succeeded(run: Json) -> Json:
    """Return the run; fail with its story when it did not succeed."""
    assert run["state"] == "succeeded", summary(run)
    return run


@contextmanager
def whole_loop(
    folder: Path,
    environments: Mapping[str, int],
    *,
    runtime: str = "docker",
    change: Callable[[Json, Platform], None] = lambda _config, _platform: None,
    **server: Any,
) -> Iterator[Loop]:
    """Bring everything up while the block runs.

    :param change: alters the configuration before the product starts.
    """
    with Platform(folder / "platform", environments=environments, runtime=runtime) as platform:
        try:
            bind = free_address()
            config = yaml.safe_load(platform.configuration(bind, folder / "pilotage" / "state", **server))
            callback = {"url": platform.chat.callback_url, "secret": "${CALLBACK_SECRET}", "allow_private": True}
            config["notify"].append({"webhook": callback})
            change(config, platform)
            text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
            # There is no such proxy, and all that the product speaks to here is on this machine.
            environ = {**platform.environ(), "CALLBACK_SECRET": CALLBACK_SECRET, "http_proxy": "http://127.0.0.1:9"}
            with Product(folder / "pilotage", bind, text, environ) as product:
                platform.hook_to(product.url)
                yield Loop(platform, product)
            assert bad_log(product.log.read_text(encoding="utf-8")) == []
        finally:
            remove_images(platform)


def bad_log(text: str) -> list[str]:
    """Say what is wrong with all that the product wrote; one line, to standard error, is for a person."""
    lines = [line for line in text.splitlines() if not line.startswith("Pilotage answers on ")]
    plain = [line for line in lines if not line.startswith("{")]
    return plain + bad_lines([json.loads(line) for line in lines if line.startswith("{")])


def remove_images(platform: Platform) -> None:
    """Leave no image of this registry in the engine."""
    with contextlib.suppress(DockerException):
        client = docker.DockerClient(platform.docker_host, timeout=30)
        for image in client.images.list():
            for tag in image.tags:
                if tag.startswith(f"{platform.registry_host}/"):
                    with contextlib.suppress(DockerException):
                        client.images.remove(tag, force=True)
        client.close()


def containers(platform: Platform, image: str) -> list[str]:
    """Return the names of the containers that run an image."""
    client = docker.DockerClient(platform.docker_host, timeout=30)
    try:
        return [
            one.name for one in client.containers.list(ignore_removed=True) if one.attrs["Config"]["Image"] == image
        ]
    finally:
        client.close()
