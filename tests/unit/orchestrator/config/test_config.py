"""The configuration as a whole: what the file of the manual becomes, and how its mistakes are named."""

from pathlib import Path

import pytest

from orchestrator.config import ConfigInvalid, ConfigProblem, default_path, load
from orchestrator.domain.apps import App, Build, Environment, GitAccess, Gitops, Registry, Scan, Secret, Settings
from orchestrator.domain.secrets import secrets_in
from tests.support.configs import ENVIRON, VALID, look, spoiled


def settings(text: str = VALID) -> Settings:
    checked = look(text)
    assert checked.problems == ()
    assert checked.settings is not None
    return checked.settings


def test_the_file_of_the_manual_is_valid_and_has_no_warnings() -> None:
    checked = look(VALID)

    assert checked.problems == ()
    assert checked.warnings == ()


def test_credentials_come_from_the_environment_and_never_show() -> None:
    found = settings()

    assert found.registry.username == "robot$plate+pilotage"
    assert found.registry.password.reveal() == "harbor-password"
    assert [hook.forge for hook in found.hooks] == ["github", "gitlab"]
    assert [(channel.name, channel.kind) for channel in found.channels] == [
        ("slack-2a14bc55", "slack"),
        ("webhook-2cb91843", "webhook"),
    ]
    assert not [value for value in ENVIRON.values() if value in repr(found)]


def test_a_promotion_with_approval_is_read() -> None:
    app = settings().app("plate-web")

    assert app is not None
    assert app.environments[1] == Environment(
        name="prod",
        values="charts/applications/plate-web/values-prod.yaml",
        argocd="plate-web-prod",
        promote_from="stg",
        approval=True,
    )


def test_the_defaults_of_the_file_are_those_of_the_domain() -> None:
    text = spoiled('    build: {context: ., dockerfile: Dockerfile, paths: ["web/**"]}\n', "")
    found = settings(text)
    app, defaults = found.apps[0], Settings.__dataclass_fields__

    assert app.build == Build()
    assert app.scan == Scan()
    assert found.gitops == Gitops(
        access=GitAccess(url="https://git.example.com/platform/gitops.git", token=Secret("gitops-token"))
    )
    assert app == App(
        name=app.name, source=GitAccess(url=app.source.url), image=app.image, environments=app.environments
    )
    assert found.registry.harbor is Registry(url="").harbor
    for name in ("bind", "concurrency", "poll_interval", "keep", "max_body", "log_level", "database", "broker"):
        assert getattr(found, name) == defaults[name].default, name


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


def test_every_problem_is_named_at_once_with_key_and_line() -> None:
    text = VALID.replace("dockerfile: Dockerfile", "dockerfil: Dockerfile").replace(
        "approval: required", "approval: maybe"
    )
    text = text.replace("values: charts/applications/plate-web/values-prod.yaml", "values: /etc/passwd")
    text = text.replace("argocd:   {url: https://argocd.example.com, ", "argocd:   {")

    assert look(text, {}).problems == (
        ConfigProblem(path="argocd.url", line=3, message="is required"),
        ConfigProblem(
            path="apps[0].build.dockerfil",
            line=14,
            message="is not a key that is known here; did you mean `dockerfile`?",
        ),
        ConfigProblem(path="apps[0].environments[1].approval", line=23, message="must be `required` or `none`"),
        ConfigProblem(
            path="apps[0].environments[1].values",
            line=24,
            message="must be a path inside the repository, relative and with forward slashes",
        ),
    )


def test_load_raises_all_problems_and_names_the_file(tmp_path: Path) -> None:
    file = tmp_path / "pilotage.yaml"
    file.write_text(VALID.replace("promote_from: stg", "promote_from: sgt"), encoding="utf-8")

    with pytest.raises(ConfigInvalid) as caught:
        load(file, ENVIRON)

    assert str(caught.value) == (
        f"{file}:22: apps[0].environments[1].promote_from: there is no environment `sgt` in this app;"
        " did you mean `stg`?"
    )


def test_a_promotion_in_an_app_with_one_environment_is_told_that_there_is_no_other() -> None:
    first, rest = VALID.split("      - name: stg\n", 1)
    only = first + "      - name: prod\n" + rest.split("      - name: prod\n", 1)[1]

    (found,) = look(only.replace("promote_from: stg", "promote_from: nix"), ENVIRON).problems

    assert found.message == "there is no environment `nix` in this app; it has no other environment than this one"


def test_state_dir_is_found_beside_the_file_or_where_the_environment_says(tmp_path: Path) -> None:
    file = tmp_path / "pilotage.yaml"
    file.write_text(VALID, encoding="utf-8")

    assert load(file, ENVIRON).state_dir == str(tmp_path / "state")
    assert load(file, {**ENVIRON, "PILOTAGE_STATE_DIR": "/var/lib/p"}).state_dir == "/var/lib/p"


def test_the_level_of_the_log_is_the_files_or_the_environments(tmp_path: Path) -> None:
    file = tmp_path / "pilotage.yaml"
    file.write_text(f"{VALID}server: {{log_level: error}}\n", encoding="utf-8")

    assert load(file, ENVIRON).log_level == "error"
    assert load(file, {**ENVIRON, "PILOTAGE_LOG_LEVEL": "DEBUG"}).log_level == "debug"
    with pytest.raises(ConfigInvalid, match="PILOTAGE_LOG_LEVEL names no level, `debgu`; did you mean `debug`"):
        load(file, {**ENVIRON, "PILOTAGE_LOG_LEVEL": "debgu"})


def test_warnings_travel_with_the_settings() -> None:
    found = settings(spoiled("${GITOPS_TOKEN}", "literal-token"))

    assert found.warnings == (
        "2: gitops.token: is a secret written into the file; fill it in with `${VAR}` or `${file:...}`",
    )


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (None, "cannot be read: No such file or directory; name the file with --config or PILOTAGE_CONFIG"),
        (b"\xff\xfe", "is not UTF-8 text (byte 0)"),
        (b"", "is empty; see pilotage.example.yaml"),
        (b"# only a comment\n", "is empty; see pilotage.example.yaml"),
        (b"- a\n", "must be a mapping (`key: value`)"),
    ],
)
def test_a_file_that_is_no_configuration_is_one_problem(tmp_path: Path, data: bytes | None, message: str) -> None:
    file = tmp_path / "pilotage.yaml"
    if data is not None:
        file.write_bytes(data)

    with pytest.raises(ConfigInvalid) as caught:
        load(file, {})

    assert [(problem.path, problem.message) for problem in caught.value.problems] == [("", message)]


def test_the_default_path_is_named_by_the_environment() -> None:
    assert default_path({}) == Path("pilotage.yaml")
    assert default_path({"PILOTAGE_CONFIG": "/etc/pilotage.yaml"}) == Path("/etc/pilotage.yaml")


@pytest.mark.parametrize(("name", "place"), [("sign", "/etc/pilotage/sign"), ("/run/x", "/run/x"), ("~/k", "~/k")])
def test_a_relative_path_of_a_file_starts_at_the_folder_of_the_configuration(name: str, place: str) -> None:
    checked = look(spoiled("branch: main, ", f"ca_file: {name}, signing: {{format: ssh, key: {name}}}, "))
    assert checked.settings is not None
    assert (checked.settings.gitops.access.ca_file, checked.settings.gitops.signing_key) == (place, place)
    assert [warning.message for warning in checked.warnings] == [f"there is no file {place} on this machine"]


def test_the_id_of_an_openpgp_key_is_no_path() -> None:
    found = settings(spoiled("branch: main, ", "signing: {format: openpgp, key: 3AA5C343}, "))
    assert found.gitops.signing_key == "3AA5C343"
