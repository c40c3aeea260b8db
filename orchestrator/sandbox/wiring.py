"""How the stand-ins are reached and opened, and the ``pilotage.yaml`` with which Pilotage serves them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from orchestrator.config.checks import is_loopback
from orchestrator.config.document import written
from orchestrator.sandbox import samples

SOURCE = samples.source_of(samples.APP)
GITOPS = "platform/gitops"
STAGING, PRODUCTION = "stg", "prod"
ROBOT = "robot$plate+pilotage"
FORGE_USER = "pilotage"
HOOK_SECRET = "sandbox-hook-secret"  # noqa: S105  # opens nothing but this sandbox
ROBOT_SECRET = "Sandbox-Robot-1"  # noqa: S105
FORGE_TOKEN = "sandbox-forge-token"  # noqa: S105


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where the stand-ins listen, and what they are called.

    Harbor is always called 127.0.0.1: that is the one name by which an engine speaks to a registry without TLS, so
    the ports of stand-ins in a container are published on the loopback of the engine's machine under the same number.

    :param listen: address of the network interface. :param name: host of forge, Argo CD and chat for those who call.
    :param forge, harbor, argocd, chat: ports; 0 = any free one.
    """

    listen: str = "127.0.0.1"
    name: str = "127.0.0.1"
    forge: int = 0
    harbor: int = 0
    argocd: int = 0
    chat: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """The passwords and tokens of the stand-ins; the defaults are public, so for loopback only."""

    hook: str = HOOK_SECRET
    robot: str = ROBOT_SECRET
    forge: str = FORGE_TOKEN
    argocd: str


COMPOSE = Addresses(listen="0.0.0.0", name="sandbox", forge=8482, harbor=8483, argocd=8484, chat=8485)  # noqa: S104
"""The addresses of ``docker-compose.yml``: one container called ``sandbox``."""


def configuration(
    *,
    forge: str,
    harbor: str,
    argocd: str,
    environments: Sequence[str],
    more: Mapping[str, object],
    apps: Sequence[str] = (samples.APP,),
    build: Mapping[str, object] | None = None,
) -> str:
    """Write the ``pilotage.yaml``; its secrets come from the environment, see `environ`.

    :param forge, harbor, argocd: base URLs. :param environments: names; pushes to ``main`` go to the first, and
        its proven images to ``prod`` as soon as somebody approves.
    :param more: further sections, such as ``server``. :param apps: names.
    :param build: how the images of all apps are built; None = as by default.
    """
    config = {
        **more,
        "registry": {"url": harbor, "username": ROBOT, "password": "${HARBOR_PASSWORD}"},
        "gitops": {
            "repo": f"{forge}/{GITOPS}.git",
            "branch": "main",
            "username": FORGE_USER,
            "token": "${GITOPS_TOKEN}",
            **_readable(forge),
        },
        "argocd": {"url": argocd, "token": "${ARGOCD_TOKEN}", **_readable(argocd)},
        "webhooks": {"github": {"secret": "${GITHUB_SECRET}"}},
        "notify": [
            {"slack": {"webhook": "${SLACK_WEBHOOK}", "allow_private": True, **_readable(forge)}},
            {"commit_status": {"forge": "gitea", "url": forge, "token": "${GITOPS_TOKEN}", **_readable(forge)}},
        ],
        "apps": [_app(forge, app, environments, build or {}) for app in apps],
    }
    return written(config)


def environ(credentials: Credentials, chat_hook: str) -> dict[str, str]:
    """Return the environment variables that `configuration` names: the secrets."""
    return {
        "HARBOR_PASSWORD": credentials.robot,
        "GITOPS_TOKEN": credentials.forge,
        "ARGOCD_TOKEN": credentials.argocd,
        "GITHUB_SECRET": credentials.hook,
        "SLACK_WEBHOOK": chat_hook,
    }


def _readable(url: str) -> dict[str, bool]:
    """Allow ``http`` to a host that is not this one; stand-ins have no certificates."""
    host = url.split("://", 1)[1].rsplit(":", 1)[0]
    return {} if is_loopback(host) else {"insecure": True}


def _trigger(name: str, first: str) -> dict[str, object]:
    """Say what deploys to another environment than the first: a branch of its own; to ``prod`` a person's word."""
    if name == PRODUCTION:
        return {"promote_from": first, "approval": "required"}
    return {"branch": f"deploy/{name}"}


def _app(forge: str, app: str, environments: Sequence[str], build: Mapping[str, object]) -> dict[str, object]:
    return {
        "name": app,
        "repo": f"{forge}/{samples.source_of(app)}.git",
        "username": FORGE_USER,
        "token": "${GITOPS_TOKEN}",
        **_readable(forge),
        "image": f"plate/{app}",
        **({"build": dict(build)} if build else {}),
        "scan": {"fail_on": "critical"},
        "environments": [
            {
                "name": name,
                **(_trigger(name, environments[0]) if number else {"branch": "main"}),
                "values": f"{samples.chart_of(app)}/values-{name}.yaml",
                "argocd": f"{app}-{name}",
                "degraded_grace": 2,
            }
            for number, name in enumerate(environments)
        ],
    }
