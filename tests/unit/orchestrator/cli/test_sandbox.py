"""``pilotage sandbox``: what keeps it from serving is said, and a door to nowhere ends."""

import socket

import pytest

from orchestrator.cli import command, sandbox
from orchestrator.cli.errors import CliError, Code

NAMES = ("HARBOR_PASSWORD", "GITOPS_TOKEN", "ARGOCD_TOKEN", "GITHUB_SECRET")


def run(*arguments: str) -> None:
    command().main(args=["sandbox", *arguments], standalone_mode=False)


@pytest.mark.parametrize("missing", NAMES)
def test_a_missing_secret_is_named(missing: str, monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    for name in NAMES:
        monkeypatch.setenv(name, "" if name == missing else "secret-value")

    with pytest.raises(CliError, match=f"Not set: {missing};") as caught:
        run("serve", "--state-dir", str(tmp_path), "--hook", "http://127.0.0.1:1")
    assert "secret-value" not in str(caught.value)


def test_a_door_to_nowhere_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandbox, "LOOK", 0.01)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    with pytest.raises(CliError, match=f"::1:{port} cannot be reached") as caught:
        run("door", str(port), "::1")
    assert caught.value.code is Code.UNREACHABLE
