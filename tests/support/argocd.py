"""A running stand-in of Argo CD with its GitOps repository, without containers."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from orchestrator.domain.apps import ArgoCD, GitAccess, Secret
from orchestrator.sandbox.argocd import SandboxApplication, SandboxArgoCD, new_token
from tests.support.gitops import GitopsRepo, gitops_repo
from tests.support.waiting import until
from workers.clients.argocd import ArgoClient

TOKEN = new_token()
Json = dict[str, Any]


class RunningArgo:
    """A running stand-in with one application, its repository, and what its stream said."""

    def __init__(self, sandbox: SandboxArgoCD, url: str, repo: GitopsRepo) -> None:
        self.sandbox = sandbox
        self.url = url
        self.repo = repo
        self.client = ArgoClient(ArgoCD(url=url, token=Secret(TOKEN)))
        self.seen: list[Json] = []
        self._thread = threading.Thread(target=self._follow, daemon=True)

    def get(self, path: str, **headers: str) -> requests.Response:
        return self.ask("GET", path, **headers)

    def ask(self, method: str, path: str, data: str = "", **headers: str) -> requests.Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named = {"Authorization": f"Bearer {TOKEN}"} | named
        return requests.request(method, self.url + path, data=data, headers=named, timeout=30)

    def wait(self, good: Callable[[Json], bool], name: str = "shop-api") -> Json:
        return until_application(self.client, name, good)

    def follow(self) -> None:
        """Begin to collect what the stream says, from the state of now on."""
        self._thread.start()
        until(lambda: len(self.seen) >= 2, "the stream to speak", 10)

    def story(self, name: str = "shop-api") -> list[Json]:
        """Return every version of an application that the stream told about, up to the newest."""
        newest = int(self.client.get(name)["metadata"]["resourceVersion"])
        until(lambda: any(int(app["metadata"]["resourceVersion"]) >= newest for app in self.seen), "the newest", 10)
        return [app for app in self.seen if app["metadata"]["name"] == name]

    def _follow(self) -> None:
        try:
            for app in told(self.url, TOKEN):
                self.seen.append(app)
        except requests.RequestException:
            return


def told(url: str, token: str) -> Iterator[Json]:
    """Yield every application that the stream tells about, whole, until the stream ends."""
    headers = {"Authorization": f"Bearer {token}", "Accept": "text/event-stream"}
    with requests.get(f"{url}/api/v1/stream/applications", headers=headers, stream=True, timeout=60) as answer:
        for line in answer.iter_lines():
            if line.startswith(b"data:"):
                yield json.loads(line[5:])["result"]["application"]


def until_application(client: ArgoClient, name: str, good: Callable[[Json], bool], project: str = "") -> Json:
    """Wait for a state of an application, and return it as it is then."""

    def look() -> Json | None:
        found = client.get(name, project=project)
        return found if good(found) else None

    return until(look, lambda: f"{name}: {json.dumps(client.get(name, project=project))[:3000]}", 20)


def healthy(revision: str) -> Callable[[Json], bool]:
    def good(found: Json) -> bool:
        status = found["status"]
        at = status["sync"].get("revision") == revision
        return at and status["sync"]["status"] == "Synced" and status["health"]["status"] == "Healthy"

    return good


def declared(repo: GitopsRepo, **more: Any) -> SandboxApplication:
    what: dict[str, Any] = {
        "name": "shop-api",
        "repo": repo.url,
        "path": "helm/shop-api",
        "project": "shop",
        "value_files": ("values.yaml", "values-prod.yaml"),
        "namespace": "shop-prod",
        "labels": {"team": "shop"},
    }
    return SandboxApplication(**what | more)


@contextmanager
def running(tmp_path: Path) -> Iterator[RunningArgo]:
    with gitops_repo(tmp_path) as repo:
        first = repo.chart("helm/shop-api")
        applications = [declared(repo), declared(repo, name="shop-manual", automated=False, project="tools")]
        with serving(tmp_path, repo, applications, repo.access) as made:
            made.wait(healthy(first))
            yield made


@contextmanager
def serving(
    folder: Path, repo: GitopsRepo, applications: Sequence[SandboxApplication], access: GitAccess | None = None
) -> Iterator[RunningArgo]:
    """Run a stand-in without containers; without `access` it does not reach the repository."""
    sandbox = SandboxArgoCD(
        state_dir=folder / "state",
        docker_host="",
        token=TOKEN,
        applications=applications,
        git_credentials=access,
        runtime="none",
    )
    try:
        yield RunningArgo(sandbox, sandbox.start(), repo)
    finally:
        sandbox.stop()


def phase(found: Json) -> str:
    """Return the phase of the last operation, "" when there is none."""
    return found["status"].get("operationState", {}).get("phase", "")
