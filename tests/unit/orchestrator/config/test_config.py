"""The configuration as a whole: what the file of the manual becomes, and how its mistakes are named."""

from pathlib import Path

import pytest

from orchestrator.config import ConfigInvalid, ConfigProblem, default_path, load
from orchestrator.domain.apps import App, Build, Environment, GitAccess, Gitops, Registry, Scan, Secret, Settings
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
