"""White space that came along with a credential: named where it can only harm, kept where both sides sign with it."""

from pathlib import Path

import pytest

from tests.support.configs import VALID, look, spoiled


def found(text: str, environ: dict[str, str] | None = None) -> list[tuple[int, str, str]]:
    return [(problem.line, problem.path, problem.message) for problem in look(text, environ).problems]


ENDS = "begins or ends with white space, which would be sent along; take it off where the value comes from"
INSIDE = "holds a line break or another control character; look where the value comes from"
TOKEN = "holds a blank, a line break or a letter outside ASCII, which no token has; copy it anew"

ADDRESS = "holds a blank or a control character"


@pytest.mark.parametrize(
    ("spoil", "path", "message"),
    [
        ({"HARBOR_PASSWORD": "pass\n"}, "registry.password", ENDS),
        ({"HARBOR_PASSWORD": " pass word"}, "registry.password", ENDS),
        ({"HARBOR_PASSWORD": "pass\nword"}, "registry.password", INSIDE),
        ({"HARBOR_PASSWORD": "pass\tword"}, "registry.password", INSIDE),
        ({"GITOPS_TOKEN": "token\r\n"}, "gitops.token", ENDS),
        ({"GITOPS_TOKEN": "token "}, "gitops.token", ENDS),
        ({"GITOPS_TOKEN": "\ufefftoken"}, "gitops.token", ENDS),
        ({"ARGOCD_TOKEN": "token\n"}, "argocd.token", TOKEN),
        ({"GITLAB_TOKEN": "fedcba9876543210\n"}, "webhooks.gitlab.token", ENDS),
        ({"SLACK_WEBHOOK": "https://hooks.example.com/x\n"}, "notify[0].slack.webhook", ADDRESS),
    ],
)  # fmt: skip
def test_white_space_around_a_credential_is_named(spoil: dict[str, str], path: str, message: str) -> None:
    ((name, _),) = spoil.items()
    line = VALID[: VALID.index(name)].count("\n") + 1
    assert found(VALID, spoil) == [(line, path, message)]


@pytest.mark.parametrize("token", ["token\n", "to ken", "토큰"])
def test_what_no_header_can_carry_is_no_token_of_a_forge(token: str) -> None:
    status = "commit_status: {forge: gitea, url: 'https://git.example.com', token: '${SLACK_WEBHOOK}'}"
    text = spoiled("slack: {webhook: ${SLACK_WEBHOOK}}", status)
    assert found(text, {"SLACK_WEBHOOK": token}) == [(8, "notify[0].commit_status.token", TOKEN)]


def test_white_space_around_a_user_name_is_named() -> None:
    text = spoiled('username: "robot$plate+pilotage"', "username: ${ROBOT}")
    text = text.replace("branch: main, ", "username: ${ROBOT}, ")
    assert found(text, {"ROBOT": "robot\n"}) == [(1, "registry.username", ENDS), (2, "gitops.username", ENDS)]


def test_a_password_may_hold_blanks_inside() -> None:
    spaced = {
        "HARBOR_PASSWORD": "four plain old words",
        "GITOPS_TOKEN": "pass wörd",
        "GITLAB_TOKEN": "a token of words",
    }
    assert found(VALID, spaced) == []


def test_a_newline_at_the_end_of_a_secret_file_is_no_part_of_it(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("gitops-token\n")
    (tmp_path / "padded").write_text("gitops-token \n")
    checked = look(spoiled("${GITOPS_TOKEN}", "${file:token}"), folder=tmp_path)
    assert checked.settings is not None
    assert checked.settings.gitops.access.token.reveal() == "gitops-token"
    padded = look(spoiled("${GITOPS_TOKEN}", "${file:padded}"), folder=tmp_path).problems
    assert [str(problem) for problem in padded] == [f"2: gitops.token: {ENDS}"]


@pytest.mark.parametrize(("key", "address"), [("broker", "redis://:{}@r:1/0"), ("database", "postgresql://u:{}@d/p")])
def test_a_line_break_in_an_address_is_named(key: str, address: str) -> None:
    text = f"{VALID}server:\n  {key}: {address.format('${PASSWORD}')}${{END:-}}\n"
    assert found(text, {"PASSWORD": "tail\n"}) == [(27, f"server.{key}", INSIDE)]
    assert found(text, {"PASSWORD": "tail", "END": " "}) == [(27, f"server.{key}", ENDS)]
    assert found(text, {"PASSWORD": "tail"}) == []


@pytest.mark.parametrize("secret", ["0123456789abcdef\n", " 0123456789abcdef"])
def test_a_webhook_secret_stays_as_it_was_typed_in_at_the_forge(secret: str) -> None:
    checked = look(VALID, {"GITHUB_SECRET": secret})

    assert checked.settings is not None
    assert checked.settings.hooks[0].secret.reveal() == secret
    ((line, path, said),) = [(warning.line, warning.path, warning.message) for warning in checked.warnings]
    assert (line, path) == (5, "webhooks.github.secret")
    assert said.endswith("the forge must sign with as well; take it off unless it was entered there")
