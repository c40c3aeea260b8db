"""The whole platform on loopback: forge, Harbor, Argo CD, chat, an engine, and the sample apps' repositories.

What a team has around Pilotage, for the demo, the tests and the benchmarks.
"""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

from orchestrator.domain.apps import GitAccess, Registry, Secret
from orchestrator.sandbox import samples, wiring
from orchestrator.sandbox.argocd import SandboxApplication, SandboxArgoCD, new_token
from orchestrator.sandbox.argocd_engine import has_bridge
from orchestrator.sandbox.base_image import push_base_image
from orchestrator.sandbox.chat import SandboxChat
from orchestrator.sandbox.engine import ensure_engine
from orchestrator.sandbox.forge import SandboxForge
from orchestrator.sandbox.harbor import SandboxHarbor
from orchestrator.sandbox.wiring import (
    FORGE_TOKEN,
    FORGE_USER,
    GITOPS,
    HOOK_SECRET,
    ROBOT,
    ROBOT_SECRET,
    SOURCE,
    Addresses,
    Credentials,
)

__all__ = ["FORGE_TOKEN", "FORGE_USER", "GITOPS", "HOOK_SECRET", "ROBOT", "ROBOT_SECRET", "SOURCE", "Platform"]


class Platform:
    """Everything that a laptop lacks, started and stopped together; a context manager.

    :param state_dir: folder for all its files. :param environments: name -> replicas.
    :param apps: names of sample apps: plate-web, plate-api.
    :param runtime: ``docker``: Argo CD starts real containers; ``none``: pods are ready at once.
    :param addresses: where it listens; anywhere but on loopback it takes itself for a container, whose engine
        publishes ports on another loopback. :param credentials: its passwords and tokens.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        environments: Mapping[str, int] | None = None,
        apps: Sequence[str] = (samples.APP,),
        runtime: str = "docker",
        addresses: Addresses | None = None,
        credentials: Credentials | None = None,
    ) -> None:
        self.state_dir = state_dir
        self.environments = dict(environments or {wiring.STAGING: 1})
        self._apps = tuple(apps)
        self._runtime = runtime
        self._stack = ExitStack()
        self._addresses = addresses or Addresses()
        self._credentials = credentials or Credentials(argocd=new_token())
        self.argocd_token = self._credentials.argocd
        self.docker_host = ""
        self.forge: SandboxForge
        self.harbor: SandboxHarbor
        self.argocd: SandboxArgoCD
        self.chat: SandboxChat

    def __enter__(self) -> "Platform":
        self.state_dir.mkdir(parents=True, exist_ok=True)
        try:
            self._start()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def base_image(self) -> str:
        """The base image of the sample app, in the same private registry."""
        return f"{self.registry_host}/plate/busybox:1"

    @property
    def registry_host(self) -> str:
        """Host and port of the registry."""
        return self.harbor_url.split("://", 1)[1]

    def _start(self) -> None:
        self.docker_host = self._stack.enter_context(ensure_engine(self.state_dir / "engine"))
        self._start_chat()
        self._start_harbor()
        self._start_forge()
        auth = {"username": ROBOT, "password": self._credentials.robot}
        push_base_image(self.docker_host, self.base_image, auth)
        self._make_repositories()
        self._start_argocd()

    def _start_chat(self) -> None:
        where = self._addresses
        self.chat = SandboxChat(listen=where.listen, port=where.chat, name=where.name)
        self.chat_url = self.chat.start()
        self._stack.callback(self.chat.stop)

    def _start_harbor(self) -> None:
        robots = {ROBOT: self._credentials.robot}
        self.harbor = SandboxHarbor(state_dir=self.state_dir / "harbor", robots=robots, projects=["plate"])
        self.harbor.change("plate", auto_scan=True)
        # As good as a real scan for what follows, and nobody waits for it.
        scanner = self.harbor.scanner
        scanner.pending = scanner.running = scanner.behind = 0.0
        url = self.harbor.start(self._addresses.listen, self._addresses.harbor)
        self.harbor_url = f"http://127.0.0.1:{url.rsplit(':', 1)[1]}"
        self._stack.callback(self.harbor.stop)

    def _start_forge(self) -> None:
        where, users = self._addresses, {FORGE_USER: self._credentials.forge}
        self.forge = SandboxForge(
            state_dir=self.state_dir / "forge", users=users, listen=where.listen, port=where.forge, name=where.name
        )
        self.forge_url = self.forge.start()
        self._stack.callback(self.forge.stop)

    def _make_repositories(self) -> None:
        for app in self._apps:
            files = samples.api_files if app == samples.API else samples.source_files
            self.forge.create_repo(samples.source_of(app), files(self.base_image, "Hello"))
        self.forge.create_repo(GITOPS, samples.gitops_files(self.registry_host, self.environments, self._apps))

    def _start_argocd(self) -> None:
        access = GitAccess(url=self.repo_url(GITOPS), username=FORGE_USER, token=Secret(self._credentials.forge))
        self.argocd = SandboxArgoCD(
            state_dir=self.state_dir / "argocd",
            docker_host=self.docker_host,
            token=self._credentials.argocd,
            applications=[self._application(app, name) for app in self._apps for name in self.environments],
            git_credentials=access,
            registry_auth=Registry(url=self.harbor_url, username=ROBOT, password=Secret(self._credentials.robot)),
            runtime="docker" if self._runtime == "docker" else "none",
            progress_deadline=5.0,
            ask_inside=self._addresses.listen != "127.0.0.1",
        )
        url = self.argocd.start(self._addresses.listen, self._addresses.argocd)
        self.argocd_url = f"http://{self._addresses.name}:{url.rsplit(':', 1)[1]}"
        self._stack.callback(self.argocd.stop)

    def _application(self, app: str, environment: str) -> SandboxApplication:
        return SandboxApplication(
            name=f"{app}-{environment}",
            repo=self.repo_url(GITOPS),
            path=samples.chart_of(app),
            value_files=(f"values-{environment}.yaml",),
            namespace=environment,
        )

    def repo_url(self, name: str) -> str:
        """Return the clone address of a repository of the forge."""
        return f"{self.forge_url}/{name}.git"

    def hook_to(self, pilotage_url: str) -> None:
        """Have the forge tell Pilotage about every push to an app's repository, as a GitHub would."""
        for app in self._apps:
            self.forge.hook(
                samples.source_of(app), f"{pilotage_url}/webhooks/github", self._credentials.hook, "github"
            )

    def environ(self) -> dict[str, str]:
        """Return the environment variables that `configuration` names: the secrets."""
        return wiring.environ(self._credentials, self.chat.webhook_url)

    def configuration(self, bind: str, state_dir: Path, **server: object) -> str:
        """Write the ``pilotage.yaml`` with which Pilotage serves this platform."""
        more = {
            "server": {"bind": bind, "external_url": f"http://{bind}", "state_dir": str(state_dir), **server},
            "docker": {"host": self.docker_host},
        }
        return wiring.configuration(
            forge=self.forge_url,
            harbor=self.harbor_url,
            argocd=self.argocd_url,
            environments=list(self.environments),
            more=more,
            apps=self._apps,
            # Without a bridge BuildKit runs no step of a Dockerfile that is to have a network of its own.
            build=None if has_bridge(self.docker_host) else {"network": "host"},
        )
