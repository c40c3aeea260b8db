"""``pilotage sandbox``: what keeps it from serving is said."""

import pytest

from orchestrator.cli import command
from orchestrator.cli.errors import CliError

NAMES = ("HARBOR_PASSWORD", "GITOPS_TOKEN", "ARGOCD_TOKEN", "GITHUB_SECRET")


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "of.no.use" if name == "ARGOCD_TOKEN" else "secret-value")


def run(*arguments: str) -> None:
    command().main(args=["sandbox", *arguments], standalone_mode=False)


@pytest.mark.parametrize("missing", NAMES)
def test_a_missing_secret_is_named(missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv(missing, "")

    with pytest.raises(CliError, match=f"Not set: {missing};") as caught:
        run("serve", "--state-dir", str(tmp_path), "--hook", "http://127.0.0.1:1")
    assert "secret-value" not in str(caught.value)


def test_where_nobody_finds_the_stand_ins_by_their_name_the_way_without_compose_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    def nowhere(host: str, _port: object) -> None:
        raise OSError(f"{host} is not known")

    monkeypatch.setattr("socket.getaddrinfo", nowhere)

    with pytest.raises(CliError, match=r"no host `sandbox` here: .*`pilotage demo --stay`"):
        run("serve", "--state-dir", str(tmp_path), "--hook", "http://127.0.0.1:1")


def test_an_address_for_the_hooks_that_is_none_is_refused(tmp_path: object) -> None:
    with pytest.raises(CliError, match="`machine:8480` is not an address; write it as in http://"):
        run("serve", "--state-dir", str(tmp_path), "--hook", "machine:8480")


def test_a_token_that_argo_cd_would_pass_over_is_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("ARGOCD_TOKEN", "secret-value")

    with pytest.raises(CliError, match="ARGOCD_TOKEN is no token of Argo CD: these have three parts") as caught:
        run("serve", "--state-dir", str(tmp_path), "--hook", "http://127.0.0.1:1")
    assert "secret-value" not in str(caught.value)
