"""The shape of ``pilotage.yaml``: every key, its type, its default and what it means.

The reference page is made from these models, so a description is written for the person who fills the file in.
"""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from orchestrator.config import types as t
from orchestrator.config.app_models import App
from orchestrator.config.base import CA_FILE, INSECURE, ConfigModel, GitKeys, described
from orchestrator.config.files import FilePath, placed
from orchestrator.config.public_url import PublicUrl
from orchestrator.config.signing_secrets import CallbackSecret, SigningToken
from orchestrator.config.slack_models import SlackButtons

LogLevel = Literal["debug", "info", "warning", "error"]
State = Literal["started", "waiting", "succeeded", "failed", "cancelled"]
StatusForge = Literal["github", "gitlab", "gitea", "forgejo"]
"""The forges whose commits have statuses."""
FORGES = {"github": "https://github.com", "gitlab": "https://gitlab.com"}
"""Where those are that everybody uses."""


class Registry(ConfigModel):
    """The registry that images are pushed to."""

    url: t.RegistryUrl = described("Address of the registry.", example="https://harbor.example.com")
    username: t.MaybeUserName = described(
        "User or robot account. Quote it: Harbor's robot names hold a `$`.",
        default="",
        example="robot$plate+pilotage",
    )
    password: t.Credential | None = described(
        "Its password or robot secret.", default=None, example="${HARBOR_PASSWORD}"
    )
    ca_file: FilePath = described(CA_FILE, default="", example="/etc/ssl/harbor-ca.pem")
    token_url: t.ServiceUrl = described(
        "Address of the registry's token service, where that is on another host. Our login is sent there.",
        default="",
        example="https://gitlab.example.com/jwt/auth",
    )
    harbor: bool = described(
        "`false` for a plain OCI registry without Harbor's REST API: no project check and no scan.", default=True
    )
    insecure: bool = described(INSECURE, default=False)


class Author(ConfigModel):
    """Who the GitOps commits are by."""

    name: t.Text = described("Name in the commits.", default="pilotage-bot")
    email: t.Text = described("E-mail address in the commits.", default="pilotage-bot@example.com")


class Signing(ConfigModel):
    """How the GitOps commits are signed."""

    format: Literal["ssh", "openpgp"] = described("Kind of the key.", example="ssh")
    key: t.Text = described(
        "With `ssh`: path of the private key file. With `openpgp`: id of a key in the keyring.",
        example="/run/secrets/signing-key",
    )

    @field_validator("key")
    @classmethod
    def _file(cls, key: str, info: ValidationInfo) -> str:
        return placed(key, info) if info.data.get("format") == "ssh" else key


class Gitops(GitKeys):
    """The repository that Argo CD reads and Pilotage commits to."""

    repo: t.RepoUrl = described(
        "Address of the GitOps repository, without credentials.",
        example="https://git.example.com/platform/gitops.git",
    )
    aliases: list[t.RepoUrl] = described(
        "Other addresses of the same repository, as the applications of Argo CD name it.",
        default=[],
        example=["http://gitea-http.gitea.svc:3000/platform/gitops.git"],
    )
    branch: t.Branch = described("Branch that Argo CD follows.", default="main")
    author: Author = described("Who the commits are by.", default=Author)
    message: t.MessageTemplate = described(
        "First line of the commits. `{app}`, `{environment}`, `{tag}`, `{commit}` and `{run}` are filled in, and "
        "act on no issue and no pipeline there.",
        default="deploy({app}): {environment} to {tag}",
    )
    signing: Signing | None = described("Sign the commits. Without it they are not signed.", default=None)


class ArgoCD(ConfigModel):
    """The Argo CD API server."""

    url: t.ServiceUrl = described(
        "Address, with the root path if there is one.", example="https://argocd.example.com"
    )
    token: t.BearerToken | None = described(
        "API token of an account with `applications, get`, and `applications, sync` for environments with"
        " `sync: true`.",
        default=None,
        example="${ARGOCD_TOKEN}",
    )
    ca_file: FilePath = described(CA_FILE, default="")
    insecure: bool = described(INSECURE, default=False)


class Hook(ConfigModel):
    """One webhook endpoint."""

    secret: t.SecretText = described("The secret that the forge signs with.", example="${HOOK_SECRET}")
    previous: t.SecretText | None = described("The secret before a rotation; both are accepted.", default=None)


class GitlabHook(ConfigModel):
    """GitLab's webhook endpoint: `token`, `signing` or both."""

    token: t.Credential | None = described(
        "The secret token that GitLab sends along.", default=None, example="${GITLAB_TOKEN}"
    )
    previous: t.Credential | None = described("The token before a rotation; both are accepted.", default=None)
    signing: SigningToken | None = described(
        "The signing token (`whsec_...`) of newer GitLab versions.", default=None, example="${GITLAB_SIGNING_TOKEN}"
    )


class Webhooks(ConfigModel):
    """Which forges may post to `/webhooks/<forge>`. A forge that is not named here is answered with 404."""

    github: Hook | None = described("GitHub.", default=None)
    gitlab: GitlabHook | None = described("GitLab.", default=None)
    gitea: Hook | None = described("Gitea.", default=None)
    forgejo: Hook | None = described("Forgejo.", default=None)
    gogs: Hook | None = described("Gogs.", default=None)


class Destination(ConfigModel):
    """What all kinds of notifications have in common."""

    name: t.Name | None = described(
        "Name of this destination in the API and the logs; messages that wait are kept for it. Default: the kind and"
        " a digest of its address or channel; name it where that may change.",
        default=None,
        example="team-plate",
    )
    apps: list[t.Name] = described(
        "Which apps the messages are about. Default: all.", default=[], example=["plate-web"]
    )
    insecure: bool = described(INSECURE, default=False)


class MessageDestination(Destination):
    """What all kinds of messages have in common, which may go to strangers."""

    on: list[State] = described(
        "Which states are sent: `started`, `waiting` (for approval), `succeeded`, `failed`, `cancelled`. Default: all"
        " five; a bot's message in Slack (`token`) also follows the stages in between.",
        default=[],
        example=["failed"],
    )
    allow_private: bool = described("Allow addresses of private networks and of this machine.", default=False)


class Slack(MessageDestination):
    """A Slack-style channel: an incoming webhook, or a bot token with a channel (one message, edited in place)."""

    webhook: t.SecretUrl | None = described(
        "Address of the incoming webhook. It is a secret itself.", default=None, example="${SLACK_WEBHOOK}"
    )
    token: t.BearerToken | None = described("Bot token (`xoxb-...`).", default=None, example="${SLACK_TOKEN}")
    channel: t.Maybe = described("Channel id, with `token`.", default="", example="C0123456789")
    buttons: SlackButtons | None = described(
        "Buttons under the bot's messages. Default: none, and nobody may click.", default=None
    )


class Callback(MessageDestination):
    """A signed HTTP callback (Standard Webhooks)."""

    url: t.ServiceUrl = described("Address that is posted to.", example="https://ops.example.com/deploys")
    secret: CallbackSecret = described("Signing secret.", example="${CALLBACK_SECRET}")


class CommitStatus(Destination):
    """The status of each commit on its forge, one for each app and environment: `pilotage/<app>/<environment>`."""

    forge: StatusForge = described("`github`, `gitlab`, `gitea` or `forgejo`.", example="gitlab")
    url: t.ServiceUrl | None = described(
        "Where the forge's pages are. Default: `https://github.com` or `https://gitlab.com`.",
        default=None,
        example="https://git.example.com",
    )
    token: t.BearerToken = described("Access token that may set statuses of commits.", example="${FORGE_TOKEN}")
    apps: list[t.Name] = described(
        "Whose commits get a status. Default: those of all apps with `repo`, or one of `aliases`, on that forge.",
        default=[],
        example=["plate-web"],
    )
    ca_file: FilePath = described(CA_FILE, default="")


class Notify(ConfigModel):
    """One destination: exactly one of the kinds."""

    slack: Slack | None = described("A Slack-style channel.", default=None)
    webhook: Callback | None = described("A signed HTTP callback.", default=None)
    commit_status: CommitStatus | None = described("Statuses of commits on their forge.", default=None)


class Server(ConfigModel):
    """How Pilotage itself runs."""

    bind: t.Bind = described("Host and port of the web server.", default="127.0.0.1:8480")
    external_url: PublicUrl | None = described(
        "Where people reach the web pages; used in messages and commits. It may have a path, as in"
        " `https://tools.example.com/pilotage`: everything is then served under it.",
        default=None,
        example="https://pilotage.example.com",
    )
    webhook_url: PublicUrl | None = described(
        "Where forges reach the webhooks, when that is another address, with or without a path; `pilotage doctor`"
        " prints it. Default: `external_url`.",
        default=None,
        example="https://hooks.example.com",
    )
    database: t.DatabaseUrl = described(
        "Database address. Default: an SQLite file in `state_dir`.",
        default="",
        example="postgresql://pilotage:${DB_PASSWORD}@db/pilotage",
    )
    broker: t.BrokerUrl = described(
        "Redis address. Default: a broker that Pilotage starts itself, with its data in `state_dir`.",
        default="",
        example="redis://redis:6379/0",
    )
    state_dir: FilePath = described(
        "Folder for the database, mirrors and logs; relative to this file."
        " Default: `$PILOTAGE_STATE_DIR`, or `state` beside this file.",
        default="",
        example="/var/lib/pilotage",
    )
    session_key: t.SessionKey | None = described(
        "Signs the sessions of the pages. Several web processes on different machines need the same one."
        " Default: made once, in `state_dir`.",
        default=None,
        example="${SESSION_KEY}",
    )
    concurrency: Annotated[int, Field(ge=1, le=64)] = described(
        "Stages at work at the same time, per worker; its `--concurrency` takes precedence.", default=2
    )
    poll_interval: Annotated[float, t.Duration(10, 86400)] = described(
        "How often branch heads are compared, for pushes whose webhook was lost.", default=300.0, example="5m"
    )
    log_level: LogLevel = described(
        "The lowest level that is logged; `$PILOTAGE_LOG_LEVEL` overrides it. Libraries never log below `warning`.",
        default="info",
    )
    keep: Annotated[float, t.Duration(86400, 3660 * 86400)] = described(
        "How long logs, messages and deliveries are kept. Runs stay, and so do the records of what is deployed now.",
        default=90 * 86400.0,
        example="90d",
    )
    max_body: t.Size = described("Largest webhook body that is read.", default=25 * 1024 * 1024, example="25MiB")


class Docker(ConfigModel):
    """The Docker engine that builds."""

    host: t.DockerHost = described(
        "Address of the engine. Default: `$DOCKER_HOST`, or the local socket.",
        default="",
        example="unix:///var/run/docker.sock",
    )


class Config(ConfigModel):
    """The whole file. Top-level keys that begin with `x-` are left alone: a place for YAML anchors."""

    registry: Registry = described("The registry that images are pushed to.")
    gitops: Gitops = described("The repository that Argo CD reads and Pilotage commits to.")
    argocd: ArgoCD = described("The Argo CD API server.")
    webhooks: Webhooks = described("Which forges may post to `/webhooks/<forge>`.", default=Webhooks)
    notify: list[Notify] = described("Who is told about runs.", default=[])
    apps: list[App] = described("What is deployed.")
    server: Server = described("How Pilotage itself runs.", default=Server)
    docker: Docker = described("The Docker engine that builds.", default=Docker)
