"""The foreign services of one run's stage, shared where that is safe."""

import uuid
from functools import cached_property, partial
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
from workers.stages.wanted import form_of


class Shared:
    """The clients that every run of this process shares: they are thread-safe and keep connections open."""

    def __init__(self, settings: Settings, database: Database, bell: Bell, owner: str) -> None:
        self.settings = settings
        self.database = database
        self.bell = bell
        self.owner = owner
        asked = database.counts.requests_to
        self.engine = Engine(settings.docker_host)
        self.registry = RegistryClient(settings.registry, asked("registry"))
        self.harbor = Harbor(settings.registry, asked("harbor"))
        self.argocd = ArgoClient(settings.argocd, asked("argocd"))

    @cached_property
    def gitops(self) -> Mirror:
        """The mirror of the GitOps repository. :raises Refused: its key or its address cannot be used."""
        access = self.settings.gitops.access
        return Mirror(access, mirror_folder(self.folder, access.url), reasons=GITOPS)

    def source(self, app: App) -> Mirror:
        """Return the mirror of an app's source repository."""
        return Mirror(app.source, mirror_folder(self.folder, app.source.url))

    def commits(self) -> Commits:
        """The queue of the GitOps branch, for one writer: two runs of one process are two writers."""
        owner = f"{self.owner}/{uuid.uuid4().hex[:8]}"
        form = partial(form_of, self.settings)
        return Commits(self.database, self.bell, branch_key(self.settings.gitops), owner, form)

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
        self.commits = shared.commits()
        gitops = shared.settings.gitops
        self.signing = (
            Signing(format=gitops.signing_format, key=gitops.signing_key) if gitops.signing_format else None
        )

    @property
    def gitops(self) -> Mirror:
        """The mirror of the GitOps repository. :raises Refused: its key or its address cannot be used."""
        return self._shared.gitops

    @cached_property
    def source(self) -> Mirror:
        """The mirror of the app's source repository. :raises Refused: its key or its address cannot be used."""
        return self._shared.source(self._app)


def branch_key(gitops: Gitops) -> str:
    """Name a GitOps repository and branch, the same for every address of the repository."""
    return f"{repo_key(gitops.access.url)}#{gitops.branch}"
