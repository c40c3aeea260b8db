"""Every key of the configuration reaches the settings."""

import pytest

from orchestrator.domain.apps import Build, Environment, Scan, Secret, Settings
from orchestrator.domain.secrets import secrets_in
from tests.support.configs import ENVIRON, VALID, look, spoiled


def settings(text: str = VALID) -> Settings:
    checked = look(text)
    assert checked.problems == ()
    assert checked.settings is not None
    return checked.settings


EVERY_KEY = """\
x-common: &common {sync: yes, sync_timeout: 5m, health_timeout: 1h, degraded_grace: 90}
registry: {url: "http://127.0.0.1:5000", harbor: false, ca_file: "", token_url: "http://127.0.0.1:5001/token"}
gitops:
  repo: ssh://git@git.example.com:2222/platform/gitops.git
  aliases: ["http://gitea-http.gitea.svc:3000/platform/gitops.git"]
  ssh_key: /run/secrets/key
  known_hosts: /run/secrets/hosts
  author: {name: 배포 봇, email: bot@example.com}
  message: "배포 {app} {environment} {tag} {commit} {run}"
  signing: {format: ssh, key: /run/secrets/signing}
argocd: {url: http://argocd.internal/root/, token: ${ARGOCD_TOKEN}, insecure: true}
webhooks:
  github: {secret: ${GITHUB_SECRET}, previous: ${GITLAB_TOKEN}}
  gitlab: {signing: ${CALLBACK_SECRET}}
notify:
  - slack: {token: "${GITHUB_SECRET}", channel: C01, name: team, on: [failed, succeeded], apps: [api]}
  - webhook: {url: "http://10.0.0.5/x", secret: "${CALLBACK_SECRET}", insecure: true, allow_private: true}
apps:
  - name: api
    repo: git@git.example.com:acme/api.git
    ssh_key: /run/secrets/key
    known_hosts: /run/secrets/hosts
    aliases: ["https://mirror.example.com/acme/api"]
    image: api
    build:
      context: services/api/
      dockerfile: docker/Dockerfile
      target: runtime
      args: {VERSION: 1.10, EMPTY: ""}
      platform: linux/amd64
      network: none
      builder: classic
      timeout: 45m
      pull: true
      submodules: true
    scan: {fail_on: high, timeout: 20m}
    environments:
      - <<: *common
        name: rel
        tag: v*
        values: ./apps//api.yaml
        key: containers[0].image.tag
        value: image
        digest_key: image.digest
        repository_key: image.repository
        project: plate
        app_namespace: team
        argocd: api
        sync_timeout: 90s
        rollback: auto
server:
  bind: "[::]:80"
  external_url: https://pilotage.example.com/
  webhook_url: https://hooks.example.com/
  database: postgresql://db/pilotage
  broker: redis://redis:6379/0
  state_dir: /var/lib/pilotage
  session_key: ${SESSION_KEY}
  concurrency: 4
  poll_interval: 1m
  keep: 30d
  max_body: 10MiB
  log_level: warning
docker: {host: "unix:///run/docker.sock"}
"""


def test_every_key_of_a_build_reaches_the_settings() -> None:
    (app,) = settings(EVERY_KEY).apps

    assert app.build == Build(
        context="services/api",
        dockerfile="docker/Dockerfile",
        target="runtime",
        args=(("VERSION", "1.10"), ("EMPTY", "")),
        platform="linux/amd64",
        network="none",
        builder="classic",
        timeout=2700.0,
        pull=True,
        submodules=True,
    )
    assert app.scan == Scan(fail_on="high", timeout=1200.0)


def test_secrets_of_a_build_reach_the_settings_as_they_are_and_are_masked() -> None:
    given = spoiled("context: .", "context: ., secrets: {npm: ${GITLAB_TOKEN}, pip.conf: 'p$$word'}")
    made = settings(given)
    assert made.apps[0].build.secrets == (("npm", Secret(ENVIRON["GITLAB_TOKEN"])), ("pip.conf", Secret("p$word")))
    assert "p$word" in secrets_in(made)
    assert "p$word" not in repr(made)


def test_every_key_of_an_environment_reaches_the_settings() -> None:
    (app,) = settings(EVERY_KEY).apps

    assert app.environments == (
        Environment(
            name="rel",
            tag="v*",
            values="apps/api.yaml",
            key="containers[0].image.tag",
            value="image",
            digest_key="image.digest",
            repository_key="image.repository",
            project="plate",
            app_namespace="team",
            argocd="api",
            sync=True,
            sync_timeout=90.0,
            health_timeout=3600.0,
            degraded_grace=90.0,
            rollback=True,
        ),
    )


def test_every_key_of_a_service_reaches_the_settings() -> None:
    found = settings(EVERY_KEY)

    assert found.registry.token_url == "http://127.0.0.1:5001/token"
    assert found.gitops.addresses == (found.gitops.access.url, "http://gitea-http.gitea.svc:3000/platform/gitops.git")
    assert (found.gitops.author.name, found.gitops.signing_format) == ("배포 봇", "ssh")
    assert found.argocd.url == "http://argocd.internal/root"


def test_every_hook_and_channel_reaches_the_settings() -> None:
    found = settings(EVERY_KEY)

    assert [hook.forge for hook in found.hooks] == ["github", "gitlab"]
    assert found.hooks[0].secrets == (ENVIRON["GITHUB_SECRET"], ENVIRON["GITLAB_TOKEN"])
    assert found.hooks[1].secrets == ()
    assert [(c.name, c.kind, c.target, c.on, c.apps) for c in found.channels] == [
        ("team", "slack-api", "C01", frozenset({"failed", "succeeded"}), frozenset({"api"})),
        ("webhook-277ae49f", "webhook", "", frozenset(), frozenset()),
    ]


STATUSES: dict[str, tuple[str, tuple[str, str, str, frozenset[str]]]] = {
    "on a server of our own": (
        "{forge: gitlab, url: 'https://git.example.com', token: x}",
        ("gitlab-status-12186835", "gitlab-status", "https://git.example.com", frozenset({"plate-web"})),
    ),
    "by name": (
        "{forge: github, token: x, apps: [plate-web], name: hub}",
        ("hub", "github-status", "https://github.com", frozenset({"plate-web"})),
    ),
}


@pytest.mark.parametrize("case", STATUSES)
def test_statuses_are_of_the_apps_on_that_forge_or_of_those_named(case: str) -> None:
    given, wanted = STATUSES[case]
    text = VALID.replace("slack: {webhook: ${SLACK_WEBHOOK}}", f"commit_status: {given}")
    channel = settings(text).channels[0]
    assert (channel.name, channel.kind, channel.url, channel.apps) == wanted
    assert channel.secret.reveal() == "x"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("database", "postgresql://db/pilotage"),
        ("broker", "redis://redis:6379/0"),
        ("external_url", "https://pilotage.example.com"),
        ("webhook_url", "https://hooks.example.com"),
        ("docker_host", "unix:///run/docker.sock"),
        ("bind", "[::]:80"),
        ("concurrency", 4),
        ("poll_interval", 60.0),
        ("keep", 30 * 86400.0),
        ("max_body", 10 * 1024 * 1024),
        ("log_level", "warning"),
        ("session_key", Secret(ENVIRON["SESSION_KEY"])),
    ],
)
def test_every_key_of_the_server_reaches_the_settings(name: str, value: object) -> None:
    assert getattr(settings(EVERY_KEY), name) == value
