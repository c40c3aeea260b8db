"""``pilotage config check``: problems as ``file:line``, and nothing that a secret could leak into."""

import json
from pathlib import Path

import pytest

from orchestrator.cli import main
from tests.support.configs import ENVIRON, VALID, spoiled


def check(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(["config", "check", *arguments])
    captured = capsys.readouterr()
    return ended.value.code or 0, captured.out, captured.err


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    for name, value in ENVIRON.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("PILOTAGE_CONFIG", raising=False)


def test_a_good_file_is_counted(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pilotage.yaml").write_text(VALID, encoding="utf-8")

    assert check(capsys) == (
        0,
        "pilotage.yaml: OK, 1 app, 2 environments, 2 webhooks, 2 destinations, 0 warnings\n",
        "",
    )


def test_problems_are_named_by_file_and_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("mine.yaml").write_text(spoiled("approval: required", "aproval: required"), encoding="utf-8")
    monkeypatch.delenv("ARGOCD_TOKEN")

    assert check(capsys, "--config", "mine.yaml") == (
        1,
        (
            "mine.yaml:3: argocd.token: the environment variable ARGOCD_TOKEN is not set;"
            " set it where this is started\n"
            "mine.yaml:23: apps[0].environments[1].aproval: is not a key that is known here;"
            " did you mean `approval`?\n"
        ),
        "2 problems; nothing was started or changed.\n",
    )


def test_the_environment_names_the_file(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PILOTAGE_CONFIG", "/no/such.yaml")

    code, out, _ = check(capsys)

    assert code == 1
    assert out == (
        "/no/such.yaml: cannot be read: No such file or directory; name the file with --config or PILOTAGE_CONFIG\n"
    )


def test_warnings_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pilotage.yaml").write_text(spoiled("${ARGOCD_TOKEN}", "literal-token"), encoding="utf-8")

    code, out, err = check(capsys)

    assert code == 0
    assert out.endswith("1 warning\n")
    assert err == (
        "pilotage.yaml:3: warning: argocd.token: is a secret written into the file;"
        " fill it in with `${VAR}` or `${file:...}`\n"
    )


def test_the_answer_can_be_json(capsys: pytest.CaptureFixture[str]) -> None:
    Path("pilotage.yaml").write_text(spoiled("token: ${ARGOCD_TOKEN}", "tokn: ${ARGOCD_TOKEN}"), encoding="utf-8")

    code, out, err = check(capsys, "-o", "json")

    assert (code, err) == (1, "")
    assert json.loads(out) == {
        "ok": False,
        "problems": [
            {"path": "argocd.tokn", "line": 3, "message": "is not a key that is known here; did you mean `token`?"}
        ],
        "warnings": [],
    }
