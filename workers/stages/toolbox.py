"""The foreign services of one run's stage, made on first use and shared where that is safe."""

import uuid
from functools import cached_property
from pathlib import Path

from orchestrator.domain.apps import App, Gitops, Settings
from orchestrator.domain.refs import repo_key
from orchestrator.services.bell import Bell
from orchestrator.services.commits import Commits
from orchestrator.store.database import Database
from workers.clients.argocd import ArgoClient
from workers.clients.docker import Engine
from workers.clients.git import GITOPS, Mirror, Signing, mirror_folder
from workers.clients.harbor import Harbor
from workers.clients.registry import RegistryClient


class Shared:
    """The clients that every run of this process shares: they are thread-safe and keep connections open."""

    def __init__(self, settings: Settings, database: Database, bell: Bell, owner: str) -> None:
        self.settings = settings
        self.database = database
        self.bell = bell
        self.owner = owner

    @cached_property
    def engine(self) -> Engine:
        """The Docker engine."""
        return Engine(self.settings.docker_host)

    @cached_property
    def registry(self) -> RegistryClient:
        """The registry's distribution API."""
        return RegistryClient(self.settings.registry, self.database.counts.requests_to("registry"))

    @cached_property
    def harbor(self) -> Harbor:
        """Harbor's own API."""
        return Harbor(self.settings.registry, self.database.counts.requests_to("harbor"))

    @cached_property
    def argocd(self) -> ArgoClient:
        """Argo CD's API."""
        return ArgoClient(self.settings.argocd, self.database.counts.requests_to("argocd"))

    @cached_property
    def gitops(self) -> Mirror:
        """The mirror of the GitOps repository."""
        access = self.settings.gitops.access
        return Mirror(access, mirror_folder(self.folder, access.url), reasons=GITOPS)

    def source(self, app: App) -> Mirror:
        """Return the mirror of an app's source repository."""
        return Mirror(app.source, mirror_folder(self.folder, app.source.url))

    def commits(self) -> Commits:
        """The queue of the GitOps branch, for one writer: two runs of one process are two writers."""
        owner = f"{self.owner}/{uuid.uuid4().hex[:8]}"
        return Commits(self.database, self.bell, branch_key(self.settings.gitops), owner)

    @property
    def folder(self) -> Path:
        """The state folder."""
        return Path(self.settings.state_dir)


class Clients:
    """What a stage of one app sees: the shared clients, and the app's source mirror."""

    def __init__(self, shared: Shared, app: App) -> None:
        self._shared = shared
        self._app = app
        self.engine = shared.engine
        self.registry = shared.registry
        self.harbor = shared.harbor
        self.argocd = shared.argocd
        self.gitops = shared.gitops
        self.commits = shared.commits()
        gitops = shared.settings.gitops
        self.signing = (
            Signing(format=gitops.signing_format, key=gitops.signing_key) if gitops.signing_format else None
        )

    @cached_property
    def source(self) -> Mirror:
        """The mirror of the app's source repository."""
        return self._shared.source(self._app)


def branch_key(gitops: Gitops) -> str:
    """Name a GitOps repository and branch, the same for every address of the repository."""
    return f"{repo_key(gitops.access.url)}#{gitops.branch}"
