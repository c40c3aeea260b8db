"""``pilotage init``: what it writes, to whom it is readable, and what it leaves alone."""

import re
import stat
from pathlib import Path

import pytest

from orchestrator.cli import command
from orchestrator.cli.errors import CliError
from orchestrator.cli.init import fill, starter
from orchestrator.config import check


def run(*arguments: str) -> None:
    command().main(args=["init", *arguments], standalone_mode=False)


def values(folder: Path) -> dict[str, str]:
    return dict(re.findall(r"^(\w+)='(.*)'$", (folder / ".env").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.fixture(autouse=True)
def _socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine's socket that everybody has; its group is that of this process."""
    (tmp_path / "docker.sock").touch()
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


def test_secrets_are_random_and_for_the_owner_alone(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    run(str(folder))
    run(str(tmp_path / "there"))

    made = ("POSTGRES_PASSWORD", "REDIS_PASSWORD", "GITHUB_SECRET", "GRAFANA_PASSWORD")
    here, there = values(folder), values(tmp_path / "there")
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{32}", here[name]) and here[name] != there[name] for name in made)
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600


def test_the_configuration_is_readable_for_the_containers_user_and_holds_no_secret(folder: Path) -> None:
    run(str(folder))

    text = (folder / "pilotage.yaml").read_text(encoding="utf-8")
    assert stat.S_IMODE((folder / "pilotage.yaml").stat().st_mode) == 0o644
    secrets = [value for name, value in values(folder).items() if name.endswith(("PASSWORD", "SECRET")) and value]
    assert len(secrets) == 4
    assert [secret for secret in secrets if secret in text] == []


def test_the_engine_is_found(folder: Path, tmp_path: Path) -> None:
    run(str(folder))

    socket = tmp_path / "docker.sock"
    assert values(folder)["DOCKER_SOCKET"] == str(socket)
    assert values(folder)["DOCKER_GID"] == str(socket.stat().st_gid)


def test_without_an_engine_it_says_what_to_set(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("DOCKER_HOST", "unix:///nowhere/docker.sock")

    run(str(folder))

    assert "DOCKER_GID to what `stat -c %g` prints" in capsys.readouterr().err
    assert values(folder)["DOCKER_GID"] == ""


def test_only_what_is_to_be_filled_in_is_missing(folder: Path) -> None:
    run(str(folder))

    found = check(folder / "pilotage.yaml", values(folder))
    assert [problem.path for problem in found.problems] == [
        "registry.password",
        "gitops.token",
        "argocd.token",
        "apps[0].token",
    ]
    filled = dict.fromkeys(("HARBOR_PASSWORD", "GITOPS_TOKEN", "ARGOCD_TOKEN"), "robot$a+b")
    assert check(folder / "pilotage.yaml", {**values(folder), **filled}).problems == ()


def test_the_demo_is_complete(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("--demo", str(folder))

    told = capsys.readouterr().out
    found = check(folder / "pilotage.yaml", values(folder))
    assert (found.problems, found.warnings) == ((), ())
    assert found.settings is not None
    assert found.settings.registry.username == values(folder)["HARBOR_USERNAME"] == "robot$plate+pilotage"
    assert "docker compose --profile demo up" in told
    secrets = [value for name, value in values(folder).items() if not name.startswith("DOCKER") and value]
    assert [secret for secret in secrets if secret in told] == []


def test_files_that_are_there_stay(folder: Path) -> None:
    (folder / "pilotage.yaml").write_text("mine", encoding="utf-8")

    with pytest.raises(CliError, match=r"pilotage\.yaml exists already; nothing was written"):
        run(str(folder))

    assert (folder / "pilotage.yaml").read_text(encoding="utf-8") == "mine"
    assert not (folder / ".env").exists()


def test_both_files_that_are_there_are_named_together(folder: Path) -> None:
    run(str(folder))

    with pytest.raises(CliError, match=r"\.env and .*pilotage\.yaml exist already; nothing was written\."):
        run(str(folder))


def test_forced_it_keeps_what_was_filled_in_and_copies_of_both_files(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    env, config = folder / ".env", folder / "pilotage.yaml"
    run(str(folder))
    filled = env.read_text().replace("HARBOR_PASSWORD=''", "HARBOR_PASSWORD=plain").replace("REDIS_PASSWORD", "GONE")
    filled += "export MINE=$x"
    env.write_text(filled)
    config.write_text("mine")
    capsys.readouterr()

    run("--force", str(folder))

    lines = env.read_text().splitlines()
    assert lines[:-1] == filled.splitlines()
    assert re.fullmatch(r"REDIS_PASSWORD='[A-Za-z0-9_-]{32}'", lines[-1])
    assert ((folder / ".env.bak").read_text(), (folder / "pilotage.yaml.bak").read_text()) == (filled, "mine")
    assert stat.S_IMODE((folder / ".env.bak").stat().st_mode) == 0o600
    assert f"(secrets, mode 0600; before: {folder}/.env.bak)" in capsys.readouterr().out
    config.write_text("mine again")
    run("--force", str(folder))
    assert [file.name for file in sorted(folder.iterdir())] == [
        ".env",
        ".env.bak",
        "pilotage.yaml",
        "pilotage.yaml.bak",
        "pilotage.yaml.bak1",
    ]


def test_what_stand_ins_accept_is_no_use_for_real_services_and_the_other_way_round(folder: Path) -> None:
    run(str(folder))
    real = values(folder)
    run("--force", "--demo", str(folder))
    demo = values(folder)
    run("--force", "--demo", str(folder))
    assert values(folder) == demo
    run("--force", str(folder))
    again = values(folder)

    volumes = {"POSTGRES_PASSWORD", "REDIS_PASSWORD", "GRAFANA_PASSWORD"}
    assert {name: real[name] for name in volumes} == {name: again[name] for name in volumes}
    assert len({real["GITHUB_SECRET"], demo["GITHUB_SECRET"], again["GITHUB_SECRET"]}) == 3
    assert demo["ARGOCD_TOKEN"]
    assert not any(again[name] for name in ("HARBOR_PASSWORD", "GITOPS_TOKEN", "ARGOCD_TOKEN", "SLACK_WEBHOOK"))


def test_a_folder_that_is_not_there_is_named(folder: Path) -> None:
    with pytest.raises(
        CliError, match=r"Cannot write .*/nowhere/\.env: No such file or directory; look at the folder"
    ):
        run(str(folder / "nowhere"))


@pytest.mark.parametrize(
    ("name", "value"),
    [("REDIS_PASSWORD", "it's"), ("REDIS_PASSWORD", "a\nb"), ("REDIS_PASSWORD", "${a}"), ("UNKNOWN", "a")],
)
def test_what_single_quotes_cannot_hold_is_refused(name: str, value: str) -> None:
    with pytest.raises(ValueError, match=name):
        fill(starter("env"), {name: value})


def test_a_value_is_written_as_it_is() -> None:
    text = fill(starter("env"), {"HARBOR_PASSWORD": r"robot$a\1+b"})

    assert r"HARBOR_PASSWORD='robot$a\1+b'" in text.splitlines()
