"""The whole platform on loopback: forge, Harbor, Argo CD, chat, an engine, and the sample app's repositories.

What a team has around Pilotage, for the demo, the tests and the benchmarks.
"""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType

import yaml

from orchestrator.domain.apps import GitAccess, Registry, Secret
from orchestrator.sandbox import samples
from orchestrator.sandbox.argocd import SandboxApplication, SandboxArgoCD, new_token
from orchestrator.sandbox.base_image import push_base_image
from orchestrator.sandbox.chat import SandboxChat
from orchestrator.sandbox.engine import ensure_engine
from orchestrator.sandbox.forge import SandboxForge
from orchestrator.sandbox.harbor import SandboxHarbor

SOURCE = "acme/plate-web"
GITOPS = "platform/gitops"
ROBOT = "robot$plate+pilotage"
HOOK_SECRET = "sandbox-hook-secret"  # noqa: S105  # opens nothing but this sandbox
ROBOT_SECRET = "Sandbox-Robot-1"  # noqa: S105
FORGE_TOKEN = "sandbox-forge-token"  # noqa: S105
FORGE_USER = "pilotage"


class Platform:
    """Everything that a laptop lacks, started and stopped together; a context manager.

    :param state_dir: folder for all its files. :param environments: name -> replicas.
    :param runtime: ``docker``: Argo CD starts real containers; ``none``: pods are ready at once.
    """

    def __init__(
        self, state_dir: Path, *, environments: Mapping[str, int] | None = None, runtime: str = "docker"
    ) -> None:
        self.state_dir = state_dir
        self.environments = dict(environments or {"stg": 1})
        self._runtime = runtime
        self._stack = ExitStack()
        self.docker_host = ""
        self.argocd_token = new_token()
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
        self.chat = SandboxChat()
        self.chat_url = self.chat.start()
        self._stack.callback(self.chat.stop)
        self.harbor = SandboxHarbor(
            state_dir=self.state_dir / "harbor", robots={ROBOT: ROBOT_SECRET}, projects=["plate"]
        )
        self.harbor_url = self.harbor.start()
        self._stack.callback(self.harbor.stop)
        self.forge = SandboxForge(state_dir=self.state_dir / "forge", users={FORGE_USER: FORGE_TOKEN})
        self.forge_url = self.forge.start()
        self._stack.callback(self.forge.stop)
        push_base_image(self.docker_host, self.base_image, {"username": ROBOT, "password": ROBOT_SECRET})
        self._make_repositories()
        self._start_argocd()

    def _make_repositories(self) -> None:
        self.forge.create_repo(SOURCE, samples.source_files(self.base_image, "Hello"))
        self.forge.create_repo(GITOPS, samples.gitops_files(self.registry_host, self.environments))

    def _start_argocd(self) -> None:
        access = GitAccess(url=self.repo_url(GITOPS), username=FORGE_USER, token=Secret(FORGE_TOKEN))
        self.argocd = SandboxArgoCD(
            state_dir=self.state_dir / "argocd",
            docker_host=self.docker_host,
            token=self.argocd_token,
            applications=[self._application(name) for name in self.environments],
            git_credentials=access,
            registry_auth=Registry(url=self.harbor_url, username=ROBOT, password=Secret(ROBOT_SECRET)),
            runtime="docker" if self._runtime == "docker" else "none",
            progress_deadline=5.0,
        )
        self.argocd_url = self.argocd.start()
        self._stack.callback(self.argocd.stop)

    def _application(self, environment: str) -> SandboxApplication:
        return SandboxApplication(
            name=f"{samples.APP}-{environment}",
            repo=self.repo_url(GITOPS),
            path=samples.CHART,
            value_files=(f"values-{environment}.yaml",),
            namespace=environment,
        )

    def repo_url(self, name: str) -> str:
        """Return the clone address of a repository of the forge."""
        return f"{self.forge_url}/{name}.git"

    def hook_to(self, pilotage_url: str) -> None:
        """Have the forge tell Pilotage about every push to the app's repository, as a GitHub would."""
        self.forge.hook(SOURCE, f"{pilotage_url}/webhooks/github", HOOK_SECRET, "github")

    def environ(self) -> dict[str, str]:
        """Return the environment variables that `configuration` names: the secrets."""
        return {
            "HARBOR_PASSWORD": ROBOT_SECRET,
            "GITOPS_TOKEN": FORGE_TOKEN,
            "ARGOCD_TOKEN": self.argocd_token,
            "GITHUB_SECRET": HOOK_SECRET,
            "SLACK_WEBHOOK": self.chat.webhook_url,
        }

    def configuration(self, bind: str, state_dir: Path, **server: object) -> str:
        """Write the ``pilotage.yaml`` with which Pilotage serves this platform."""
        config = {
            "server": {"bind": bind, "external_url": f"http://{bind}", "state_dir": str(state_dir), **server},
            "docker": {"host": self.docker_host},
            "registry": {"url": self.harbor_url, "username": ROBOT, "password": "${HARBOR_PASSWORD}"},
            "gitops": {
                "repo": self.repo_url(GITOPS),
                "branch": "main",
                "username": FORGE_USER,
                "token": "${GITOPS_TOKEN}",
            },
            "argocd": {"url": self.argocd_url, "token": "${ARGOCD_TOKEN}"},
            "webhooks": {"github": {"secret": "${GITHUB_SECRET}"}},
            "notify": [{"slack": {"webhook": "${SLACK_WEBHOOK}", "allow_private": True}}],
            "apps": [self._app()],
        }
        text: str = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        return text

    def _app(self) -> dict[str, object]:
        first = next(iter(self.environments))
        return {
            "name": samples.APP,
            "repo": self.repo_url(SOURCE),
            "username": FORGE_USER,
            "token": "${GITOPS_TOKEN}",
            "image": samples.IMAGE,
            "environments": [
                {
                    "name": name,
                    "branch": "main" if name == first else f"deploy/{name}",
                    "values": f"{samples.CHART}/values-{name}.yaml",
                    "argocd": f"{samples.APP}-{name}",
                    "degraded_grace": 2,
                }
                for name in self.environments
            ],
        }
