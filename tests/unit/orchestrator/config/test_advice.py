"""What works but is doubtful: one row each, with the warning that the operator reads."""

# ruff: noqa: E501 - a row of a table stays one line

import pytest

from tests.support.configs import VALID, look, spoiled

ADVICE = [
    ("password: ${HARBOR_PASSWORD}", "password: literal", (1, "registry.password", "is a secret written into the file; fill it in with `${VAR}` or `${file:...}`")),
    ("slack: {webhook: ${SLACK_WEBHOOK}}", "commit_status: {forge: gitea, url: 'https://git.example.com', token: '${SLACK_WEBHOOK}', ca_file: /no/such/ca.pem}", (8, "notify[0].commit_status.ca_file", "there is no file /no/such/ca.pem on this machine")),
    ("branch: main, ", "ca_file: /no/such/ca.pem, ", (2, "gitops.ca_file", "there is no file /no/such/ca.pem on this machine")),
    ("repo: https://git.example.com/acme/plate-web.git\n    image: plate/plate-web                      # in the registry above\n    build: {context: ., dockerfile: Dockerfile, paths: [\"web/**\"]}",
     "repo: https://git.example.com/platform/gitops\n    image: plate/plate-web", (12, "apps[0].repo", "is the GitOps repository too; set `build.paths`, or whoever edits a values file starts a run")),
    ("key: image.tag  ", "health_timeout: 5m  ", (19, "apps[0].environments[0].health_timeout", "is shorter than Kubernetes' default progressDeadlineSeconds (600 s): a rollout that hangs is then reported as timed out, without Kubernetes' reason")),
    ("context: .", "context: ., secrets: {npm: literal}", (14, "apps[0].build.secrets.npm", "is a secret written into the file; fill it in with `${VAR}` or `${file:...}`")),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected"), ADVICE)
def test_what_is_only_warned_about(old: str, new: str, expected: tuple[int, str, str]) -> None:
    checked = look(spoiled(old, new))

    assert checked.problems == ()
    assert [(warning.line, warning.path, warning.message) for warning in checked.warnings] == [expected]


def test_a_short_webhook_secret_is_warned_about() -> None:
    checked = look(VALID, {"GITHUB_SECRET": "s3cret"})

    assert [str(warning) for warning in checked.warnings] == [
        "5: webhooks.github.secret: is short; a secret of 16 or more random characters keeps strangers out"
    ]


def test_a_secret_of_a_build_that_is_too_short_to_be_masked_is_warned_about() -> None:
    checked = look(spoiled("context: .", "context: ., secrets: {pin: '${PIN}'}"), {"PIN": "x7q2 "})

    assert "is shorter than 6 characters, and so is not masked where a build prints it" in [
        warning.message for warning in checked.warnings if warning.path.startswith("apps")
    ]


def test_a_grace_that_outlasts_the_wait_is_warned_about() -> None:
    checked = look(spoiled("key: image.tag  ", "health_timeout: 15m\n        degraded_grace: 15m #"))

    assert [warning.message for warning in checked.warnings] == [
        "is not longer than `degraded_grace`: a degraded application is then reported as timed out"
    ]
