"""The first run: when it is one, and what everybody is told meanwhile."""

from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.first_run import answering, await_configuration, is_first
from orchestrator.config import Checked, ConfigProblem, check
from orchestrator.web.answers import ProblemView
from tests.support.configs import VALID

PROBLEMS = (
    ConfigProblem(path="registry.password", line=3, message="the environment variable HARBOR_PASSWORD is not set"),
    ConfigProblem(path="", line=0, message="<script>"),
)
CHECKED = Checked(settings=None, problems=PROBLEMS, warnings=(), external_url="https://tools.example.com/pilotage")
PROBES = ("/healthz", "/readyz", "/metrics", "/api/v1/runs", "/webhooks/github", "/pilotage/webhooks/github")


def asked(path: str, method: str = "GET") -> tuple[str, dict[str, str], str]:
    """Ask; return status, headers and body."""
    started: list[Any] = []
    environ = {"PATH_INFO": path, "REQUEST_METHOD": method}
    app = answering(Path("p&q.yaml"), CHECKED)
    body = b"".join(app(environ, lambda *told: started.extend(told)))  # type: ignore[arg-type]
    return started[0], dict(started[1]), body.decode()


@pytest.mark.parametrize("path", ["/", "/login", "/apps", "/nosuch", "/pilotage", "/pilotage/login"])
def test_people_get_a_page_that_lists_what_is_missing(path: str) -> None:
    status, headers, body = asked(path)
    assert status.startswith("503 ")
    assert headers["Content-Type"] == "text/html; charset=utf-8"
    assert "2 things are missing or wrong in <code>p&amp;q.yaml</code>" in body
    assert "<code>registry.password</code>, line 3: the environment variable HARBOR_PASSWORD is not set" in body
    assert "<script>" not in body
    assert "prefers-color-scheme:dark" in body, "as all other pages"


@pytest.mark.parametrize("method", ["GET", "POST", "HEAD"])
@pytest.mark.parametrize("path", PROBES)
def test_programs_get_a_problem_that_says_not_ready(path: str, method: str) -> None:
    status, headers, body = asked(path, method)
    assert (status[:3], headers["Content-Type"]) == ("503", "application/problem+json")
    assert ("Not ready" in body) is (method != "HEAD")
    assert "registry" not in body, "whoever may reach a probe need not know it"


@pytest.mark.parametrize(
    ("path", "instance"),
    [
        ("/readyz", "/pilotage/readyz"),
        ("/pilotage/api/v1/runs", "/pilotage/api/v1/runs"),
        ("/api/\u00ea\u00b0\u0080", "/pilotage/api/\uac00"),  # UTF-8, as WSGI hands it over
        ("/api/\u00ff", "/pilotage/api/\ufffd"),
    ],
)
def test_the_problem_has_the_members_of_every_other_one(path: str, instance: str) -> None:
    _, headers, body = asked(path)
    told = ProblemView.model_validate_json(body, strict=True)
    assert (told.type, told.status, told.instance) == ("urn:pilotage:problem:not-ready", 503, instance)
    assert told.request_id == headers["X-Request-Id"] != ""


@pytest.mark.parametrize(
    ("there", "state", "first"),
    [
        ((), "state", True),
        (("state/",), "state", True),
        (("state/token",), "state", False),
        (("state",), "state", False),
        ((), "", False),
    ],
)
def test_a_first_run_is_one_with_an_empty_state_folder(
    tmp_path: Path, there: tuple[str, ...], state: str, first: bool
) -> None:
    for name in there:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).mkdir() if name.endswith("/") else (tmp_path / name).touch()
    checked = Checked(settings=None, problems=PROBLEMS, warnings=(), state_dir=str(tmp_path / state) if state else "")
    assert is_first(checked) is first


@pytest.mark.parametrize("text", ["", "# nothing yet\n", VALID])
def test_what_is_missing_leaves_it_known_where_the_state_is(tmp_path: Path, text: str) -> None:
    file = tmp_path / "pilotage.yaml"
    assert check(file, {}).state_dir == str(tmp_path / "state")
    file.write_text(text)
    assert check(file, {"PILOTAGE_STATE_DIR": "/srv/p"}).state_dir == "/srv/p"


def test_what_is_missing_leaves_it_known_where_people_come_from(tmp_path: Path) -> None:
    file = tmp_path / "pilotage.yaml"
    file.write_text(f"{VALID}server: {{bind: '127.0.0.1:9', external_url: https://tools.example.com/pilotage}}\n")
    checked = check(file, {})
    assert checked.settings is None
    assert (checked.bind, checked.external_url) == ("127.0.0.1:9", "https://tools.example.com/pilotage")


@pytest.mark.parametrize(
    "text",
    [
        "sever: {state_dir: /srv/p}\n" + VALID,
        "server: {state_dir: '${NO}'}\n" + VALID,
        "server: {state_dir: [1]}\n",
        "registry: [",
        "- registry\n",
        "registry: {url: 7}\n",
    ],
)
def test_what_is_wrong_is_no_first_run(tmp_path: Path, text: str) -> None:
    (tmp_path / "pilotage.yaml").write_text(text)
    checked = check(tmp_path / "pilotage.yaml", {})
    assert (checked.settings, checked.state_dir, is_first(checked)) == (None, "", False)


@pytest.mark.parametrize(
    ("server", "environ", "bind"),
    [
        ("", {}, "127.0.0.1:8480"),
        ("server: {bind: '0.0.0.0:80'}\n", {}, "0.0.0.0:80"),
        ("server: {bind: '${BIND}'}\n", {}, "127.0.0.1:8480"),
        ("server: {bind: '${BIND}'}\n", {"BIND": "[::]:80"}, "[::]:80"),
    ],
)
def test_the_page_is_where_pilotage_will_be(tmp_path: Path, server: str, environ: dict[str, str], bind: str) -> None:
    (tmp_path / "pilotage.yaml").write_text(VALID + server)
    assert check(tmp_path / "pilotage.yaml", environ).bind == bind


def test_a_secret_that_is_empty_is_missing_and_says_where_it_comes_from(tmp_path: Path) -> None:
    (tmp_path / "pilotage.yaml").write_text(VALID)
    names = ("HARBOR_PASSWORD", "GITOPS_TOKEN", "ARGOCD_TOKEN", "GITHUB_SECRET", "GITLAB_TOKEN", "SLACK_WEBHOOK")
    checked = check(tmp_path / "pilotage.yaml", {**dict.fromkeys(names, ""), "CALLBACK_SECRET": ""})
    assert is_first(checked)
    said = [problem.message for problem in checked.problems]
    assert len(said) == 7
    assert all(any(f"it comes from ${{{name}}}" in one for one in said) for name in names)


def test_a_file_that_is_named_and_not_there_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.cli.first_run._serve", lambda *_: pytest.fail("it is no first run"))
    await_configuration(tmp_path / "pilotage.yml")
