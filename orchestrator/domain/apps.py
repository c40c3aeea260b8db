"""What is configured: services, apps and environments as frozen values, after validation.

``Secret`` keeps a value out of every repr, log and error.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A value that must never be shown; call `reveal` only where it is handed to a foreign service."""

    _value: str

    def reveal(self) -> str:
        """Return the plain value."""
        return self._value

    def __repr__(self) -> str:
        return "Secret('***')" if self._value else "Secret('')"

    def __bool__(self) -> bool:
        return bool(self._value)


@dataclass(frozen=True, slots=True, kw_only=True)
class GitAccess:
    """How to reach a Git repository.

    :param url: https, http (only to loopback or when allowed) or ssh address, without credentials.
    :param username: for basic authentication; forges accept any text with a token.
    :param token: password or token; empty: anonymous.
    :param ssh_key: path of a private key file; empty: none.
    :param known_hosts: path of the host keys file; needed with ssh.
    :param ca_file: path of a CA bundle; empty: the system's.
    """

    url: str
    username: str = "pilotage"
    token: Secret = field(default_factory=lambda: Secret(""))
    ssh_key: str = ""
    known_hosts: str = ""
    ca_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registry:
    """The Harbor (or plain OCI) registry that holds the images.

    :param harbor: False for a plain registry without Harbor's REST API (no project check, no scan).
    :param token_url: address of a token service on another host than the registry's; "" = on its own host.
    """

    url: str
    username: str = ""
    password: Secret = field(default_factory=lambda: Secret(""))
    ca_file: str = ""
    harbor: bool = True
    token_url: str = ""

    @property
    def host(self) -> str:
        """The part in front of an image's path: ``harbor.example.com`` or ``127.0.0.1:5000``."""
        return self.url.split("://", 1)[-1].strip("/")


@dataclass(frozen=True, slots=True, kw_only=True)
class Author:
    """Who our GitOps commits are by."""

    name: str = "pilotage-bot"
    email: str = "pilotage-bot@example.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gitops:
    """The repository that Argo CD reads.

    :param aliases: other addresses under which applications name it.
    :param message: template of the first line; {app} {environment} {tag} {commit} {run} are filled in.
    :param signing_format: "", "ssh" or "openpgp"; with ``signing_key`` a key file (ssh) or key id (openpgp).
    """

    access: GitAccess
    aliases: tuple[str, ...] = ()
    branch: str = "main"
    author: Author = field(default_factory=Author)
    message: str = "deploy({app}): {environment} to {tag}"
    signing_format: str = ""
    signing_key: str = ""

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses of the repository, ours first."""
        return (self.access.url, *self.aliases)


@dataclass(frozen=True, slots=True, kw_only=True)
class ArgoCD:
    """The Argo CD API server. ``url`` may hold a root path."""

    url: str
    token: Secret = field(default_factory=lambda: Secret(""))
    ca_file: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """One webhook endpoint: the forge's name and the secret (or token) that proves a delivery.

    ``previous`` is the secret before a rotation; both are accepted. ``signing`` is GitLab's signing token.
    """

    forge: str
    secret: Secret
    previous: Secret = field(default_factory=lambda: Secret(""))
    signing: Secret = field(default_factory=lambda: Secret(""))

    @property
    def secrets(self) -> tuple[str, ...]:
        """The plain secrets to try, newest first; never an empty text."""
        return tuple(s.reveal() for s in (self.secret, self.previous) if s)


@dataclass(frozen=True, slots=True, kw_only=True)
class ButtonRules:
    """Who may click the buttons under a channel's messages.

    :param secret: what the chat signs clicks with. :param team: the workspace whose members may click.
    :param people: ids of those who may, as the chat has them; nobody else may.
    """

    secret: Secret
    team: str
    people: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """One destination of notifications.

    :param name: unique, shown in the API and logs instead of the address.
    :param kind: ``slack`` (incoming webhook), ``slack-api`` (bot token), ``webhook`` (Standard Webhooks), or
        ``github-status`` and so on (statuses of commits).
    :param secret: the whole incoming-webhook URL, the bot token, the signing secret, or the forge's access token.
    :param url: the plain address of a ``webhook`` or a forge; "" otherwise.
    :param target: Slack channel id for ``slack-api``.
    :param on: which states are told: any of started, waiting, succeeded, failed, cancelled; empty: its kind's.
    :param apps: names of apps that are told about; empty: all.
    :param buttons: None: its messages have no buttons.
    :param former_names: under which messages to it may wait, from before it had this name.
    """

    name: str
    kind: str
    secret: Secret = field(default_factory=lambda: Secret(""))
    url: str = ""
    target: str = ""
    on: frozenset[str] = frozenset()
    apps: frozenset[str] = frozenset()
    former_names: tuple[str, ...] = ()
    allow_private: bool = False
    ca_file: str = ""
    buttons: ButtonRules | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """How an image is made from a commit.

    :param context: folder of the repository that is sent to the engine.
    :param dockerfile: path relative to `context`.
    :param paths: shell patterns of changed files that matter; empty: all.
    :param builder: ``buildkit`` or ``classic``.
    :param timeout: seconds for the whole build.
    :param submodules: fetch Git submodules that the context holds; else they are refused.
    :param secrets: what steps may mount, by id; they change no image, so that a new token gives none.
    """

    context: str = "."
    dockerfile: str = "Dockerfile"
    target: str = ""
    args: tuple[tuple[str, str], ...] = ()
    platform: str = ""
    network: str = ""
    builder: str = "buildkit"
    paths: tuple[str, ...] = ()
    timeout: float = 1800.0
    pull: bool = False
    submodules: bool = False
    secrets: tuple[tuple[str, Secret], ...] = ()

    @property
    def inputs(self) -> str:
        """A text that differs if the options could give another image; "" for the defaults."""
        inputs: tuple[object, ...] = (self.context, self.dockerfile, self.target, self.args, self.platform)
        if self.submodules:
            # the same commit may be built without: .dockerignore leaves a submodule out, but for a file inside it
            inputs += ("submodules",)
        return "" if inputs == (".", "Dockerfile", "", (), "") else repr(inputs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """The vulnerability gate: fail at this severity or above; "" = do not scan. Severities as Harbor's."""

    fail_on: str = ""
    timeout: float = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """Where an app runs: a values file in the GitOps repo and an Argo CD Application.

    :param branch: rule for branches that deploy here; "" = none. :param tag: the same for tags.
    :param key: path of the tag's scalar; ``digest_key`` and ``repository_key`` are edited too when named.
    :param value: what `key` gets: ``tag``, ``image`` (``host/path:tag``) or ``digest``.
    :param sync: ask Argo CD to sync, for applications without automated sync.
    :param sync_timeout: seconds from the commit until Argo CD must have applied it; in sync waves it waits for health
        meanwhile, so larger than progressDeadlineSeconds (600) too.
    :param health_timeout: seconds until healthy; larger than progressDeadlineSeconds (600).
    :param degraded_grace: seconds that "Degraded" must last to count.
    :param rollback: bring back what was proven before when a deploy is degraded, and hold the environment.
    """

    name: str
    values: str
    argocd: str
    branch: str = ""
    tag: str = ""
    key: str = "image.tag"
    value: str = "tag"
    digest_key: str = ""
    repository_key: str = ""
    project: str = ""
    app_namespace: str = ""
    promote_from: str = ""
    former_names: tuple[str, ...] = ()
    approval: bool = False
    sync: bool = False
    sync_timeout: float = 900.0
    health_timeout: float = 900.0
    degraded_grace: float = 60.0
    rollback: bool = False

    def fault_of(self, image: str) -> str:
        """Say why an image cannot be written where `key` leads; "" if it can.

        :param image: a tag, a digest, or a whole name with one of them.
        """
        if self.value != "tag" or not (image.startswith("sha256:") or "@" in image):
            return ""
        return (
            f"`{self.key}` of {self.name} gets a tag, and the image is named by its digest: name a tag of it, or set"
            " `value` of the environment to `digest` or `image`"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """One deployable service.

    :param aliases: other addresses under which forges name the same repository.
    :param former_names: names that it had before; those of an environment are its own.
    """

    name: str
    source: GitAccess
    image: str
    environments: tuple[Environment, ...]
    build: Build = field(default_factory=Build)
    scan: Scan = field(default_factory=Scan)
    aliases: tuple[str, ...] = ()
    former_names: tuple[str, ...] = ()

    @property
    def addresses(self) -> tuple[str, ...]:
        """All addresses of the source repository, ours first."""
        return (self.source.url, *self.aliases)

    def environment(self, name: str) -> Environment | None:
        """Return the environment called `name`, or None."""
        return next((env for env in self.environments if env.name == name), None)

    def name_of(self, environment: str) -> str:
        """Return the present name of an environment that may be given by a former one."""
        return next((env.name for env in self.environments if environment in env.former_names), environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that is configured, validated as a whole.

    :param state_dir: folder for the database file, mirrors, the embedded broker and run logs.
    :param database: SQLAlchemy URL; "" = SQLite in `state_dir`. :param broker: Redis URL; "" = embedded.
    :param external_url: where people reach the web pages; used in messages and commit trailers. It may have a path.
    :param webhook_url: where forges reach the webhooks; "" = the same address. It may have a path of its own.
    :param session_key: signs sessions; "" = a key of its own in `state_dir`.
    :param warnings: what works but is doubtful, one sentence each with line and key, without secrets.
    :param origins: keys, such as ``apps[0].token``, whose values come from variables or files, and from which.
    """

    registry: Registry
    gitops: Gitops
    argocd: ArgoCD
    hooks: tuple[Hook, ...]
    channels: tuple[Channel, ...]
    apps: tuple[App, ...]
    state_dir: str
    session_key: Secret = field(default_factory=lambda: Secret(""))
    database: str = field(default="", repr=False)
    broker: str = field(default="", repr=False)
    external_url: str = ""
    webhook_url: str = ""
    docker_host: str = ""
    bind: str = "127.0.0.1:8480"
    concurrency: int = 2
    poll_interval: float = 300.0
    keep: float = 90 * 86400.0
    max_body: int = 25 * 1024 * 1024
    log_level: str = "info"
    warnings: tuple[str, ...] = ()
    origins: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)

    @property
    def root(self) -> str:
        """The path under which everything is served, such as ``/pilotage``; "" = none."""
        return urlsplit(self.external_url).path

    @property
    def hook_root(self) -> str:
        """The path under which forges and chats reach the webhooks; "" = none."""
        return urlsplit(self.webhook_url or self.external_url).path

    def app(self, name: str) -> App | None:
        """Return the app called `name`, or None."""
        return next((app for app in self.apps if app.name == name), None)

    def has(self, app: str, environment: str) -> bool:
        """Tell whether an environment is configured under this name."""
        found = self.app(app)
        return found is not None and found.environment(environment) is not None

    def name_of(self, app: str, environment: str) -> tuple[str, str]:
        """Return the present names of an app and environment that may be given by former ones."""
        found = next((one for one in self.apps if app == one.name or app in one.former_names), None)
        return (found.name, found.name_of(environment)) if found else (app, environment)
