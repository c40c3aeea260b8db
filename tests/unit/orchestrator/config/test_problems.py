"""Every mistake that a file can hold: one row each, with the sentence that the operator reads."""

# ruff: noqa: E501 - a row of a table stays one line

import pytest

from tests.support.configs import VALID, found, look, spoiled

STG = "        branch: main                            # pushes to it deploy here\n"
PROD = "        promote_from: stg                       # the same digest, after approval\n"
REPO = "    repo: https://git.example.com/acme/plate-web.git\n"
SSH = "    repo: git@git.example.com:acme/plate-web.git\n"
APP = VALID[VALID.index("  - name: plate-web") :]
SECOND = APP.replace("name: plate-web", "name: plate-api").replace("values-", "api-values-")


CLASHES = [
    (
        VALID + APP.replace("values-", "v-"),
        (26, "apps[1].name", "a second app called `plate-web`; the first is on line 11"),
    ),
    (
        spoiled("- name: prod", "- name: stg").replace("promote_from: stg", "tag: v1"),
        (21, "apps[0].environments[1].name", "a second environment called `stg`; the first is on line 16"),
    ),
    (
        VALID + SECOND.replace("api-values-stg", "values-stg"),
        (
            33,
            "apps[1].environments[0].values",
            "`image.tag` of this file is already written by the environment on line 16",
        ),
    ),
    (
        spoiled("plate-web/values-prod.yaml", "plate-web//./values-stg.yaml"),
        (
            24,
            "apps[0].environments[1].values",
            "`image.tag` of this file is already written by the environment on line 16",
        ),
    ),
    (
        spoiled("key: image.tag                          # the default", "digest_key: image.tag"),
        (19, "apps[0].environments[0].digest_key", "names the same value as another key here: `image.tag`"),
    ),
    (
        spoiled(PROD, "        promote_from: prod\n"),
        (22, "apps[0].environments[1].promote_from", "leads back to itself: prod <- prod"),
    ),
    (
        VALID + "server: {session_key: short}\n",
        (26, "server.session_key", "is shorter than 32 characters; make one with `openssl rand -hex 32`"),
    ),
    *(
        (
            spoiled("token: ${ARGOCD_TOKEN}", f'token: "{token}"'),
            (
                3,
                "argocd.token",
                "holds a blank, a line break or a letter outside ASCII, which no token has; copy it anew",
            ),
        )
        for token in ("eyJhbGciOi…", r"one\ntwo", "Bearer eyJ", "토큰")
    ),
    (
        spoiled(PROD, ""),
        (21, "apps[0].environments[1]", "nothing ever runs here; give it a `branch`, a `tag` or `promote_from`"),
    ),
    (
        spoiled("image: plate/plate-web ", "image: harbor.example.com/plate/plate-web "),
        (13, "apps[0].image", "begins with the registry's host; leave it out"),
    ),
    (
        spoiled("image: plate/plate-web ", "image: plate-web "),
        (13, "apps[0].image", "needs a Harbor project in front, as in `project/name`"),
    ),
    (
        spoiled(REPO, SSH),
        (12, "apps[0].repo", "is an `ssh` address, which needs `ssh_key` and `known_hosts`"),
    ),
    (
        spoiled(REPO, REPO + "    ssh_key: /k\n"),
        (13, "apps[0].ssh_key", "is not used with an `https` address; use `token`"),
    ),
    (
        spoiled("https://git.example.com/platform/gitops.git", "http://git.example.com/platform/gitops.git"),
        (2, "gitops.repo", "is not encrypted; use `https`, or set `insecure: true` to send it readable"),
    ),
    (
        spoiled("gitlab: {token: ${GITLAB_TOKEN}}", "gitlab: {}"),
        (6, "webhooks.gitlab", "needs `token` or `signing`; without a secret no delivery is accepted"),
    ),
    (
        spoiled("slack: {webhook: ${SLACK_WEBHOOK}}", "slack: {token: x}"),
        (8, "notify[0].slack", "needs either `webhook`, or `token` and `channel`"),
    ),
    (
        spoiled("  - slack: {webhook: ${SLACK_WEBHOOK}}", "  - {}"),
        (8, "notify[0]", "must hold exactly one destination: `slack`, `webhook` or `commit_status`"),
    ),
    (
        spoiled("slack: {webhook: ${SLACK_WEBHOOK}}", "commit_status: {forge: gitea, token: x}"),
        (8, "notify[0].commit_status", "needs `url`: where the forge is"),
    ),
    (
        spoiled(
            "slack: {webhook: ${SLACK_WEBHOOK}}",
            "commit_status: {forge: gitea, url: 'https://git.example.com/api/v1', token: x}",
        ),
        (
            8,
            "notify[0].commit_status.url",
            "is an address of the API or of a group; give that of the forge's pages",
        ),
    ),
    (
        spoiled("slack: {webhook: ${SLACK_WEBHOOK}}", "commit_status: {forge: github, token: x}"),
        (
            8,
            "notify[0].commit_status",
            "no app has its `repo` on github.com; name the `apps`, or correct `url`",
        ),
    ),
    (
        spoiled(
            "slack: {webhook: ${SLACK_WEBHOOK}}",
            "commit_status: {forge: gogs, url: 'https://git.example.com', token: x}",
        ),
        (8, "notify[0].commit_status.forge", "must be `github`, `gitlab`, `gitea` or `forgejo`"),
    ),
    (
        spoiled("secret: ${CALLBACK_SECRET}}", "secret: ${CALLBACK_SECRET}, apps: [plate-wbe]}"),
        (9, "notify[1].webhook.apps[0]", "there is no app `plate-wbe`; did you mean `plate-web`?"),
    ),
    (
        spoiled("{webhook: ${SLACK_WEBHOOK}}", "{webhook: ${SLACK_WEBHOOK}, name: webhook-2}").replace(
            "secret: ${CALL", "name: webhook-2, secret: ${CALL"
        ),
        (9, "notify[1].webhook.name", "a second destination called `webhook-2`; the first is on line 8"),
    ),
    (
        spoiled("- name: plate-web\n", "- name: plate-web\n    former_names: [web, plate-web]\n"),
        (12, "apps[0].former_names[1]", "`plate-web` is the name of the app on line 11; its history stays there"),
    ),
    (
        spoiled("- name: plate-web\n", "- name: plate-web\n    former_names: [web]\n")
        + SECOND.replace("plate-api\n", "plate-api\n    former_names: [web]\n"),
        (28, "apps[1].former_names[0]", "a second app that was called `web`; the first is on line 12"),
    ),
    (
        spoiled("- name: prod\n", "- name: prod\n        former_names: [stg]\n"),
        (
            22,
            "apps[0].environments[1].former_names[0]",
            "`stg` is the name of the environment on line 16; its history stays there",
        ),
    ),
]


@pytest.mark.parametrize(("text", "expected"), CLASHES, ids=[row[1][1] + " " + row[1][2][:30] for row in CLASHES])
def test_what_only_the_whole_file_shows(text: str, expected: tuple[int, str, str]) -> None:
    assert found(text) == [expected]


def test_two_spellings_of_one_key_are_one_key() -> None:
    text = spoiled("key: image.tag  ", "key: images[0].tag  ").replace("values-prod", "values-stg")
    text = text.replace("approval: required", "key: images.0.tag")

    assert [path for _, path, _ in found(text)] == ["apps[0].environments[1].values"]


def test_a_promotion_circle_is_named_at_each_of_its_environments_only() -> None:
    text = spoiled(STG, "        promote_from: prod\n") + (
        "      - {name: qa, promote_from: prod, values: q.yaml, argocd: q}\n"
    )

    assert found(text) == [
        (17, "apps[0].environments[0].promote_from", "leads back to itself: stg <- prod <- stg"),
        (22, "apps[0].environments[1].promote_from", "leads back to itself: prod <- stg <- prod"),
    ]


ENVIRONMENT = "apps[0].environments[0]."
VALUES = [
    ("url: https://harbor.example.com", "url: harbor.example.com", "registry.url", "is not an address that begins with `https://` or `http://`"),
    ("url: https://harbor.example.com", "url: https://u:p@harbor.example.com", "registry.url", "holds credentials; use the keys for them (`username`, `token`, `password`), which stay secret"),
    ("url: https://harbor.example.com", "url: https://harbor.example.com/plate", "registry.url", "must not have a path; the project belongs into `image`"),
    ("url: https://harbor.example.com", "url: 'https://harbor.example.com:99999'", "registry.url", "is not an address"),
    ("url: https://harbor.example.com", "url: 'https://[x'", "registry.url", "is not an address"),
    ("url: https://argocd.example.com", "url: https://argocd.example.com?x=1", "argocd.url", "must not have a query (`?`) or a fragment (`#`)"),
    ("url: https://argocd.example.com", "url: 'https://argocd. example.com'", "argocd.url", "holds a blank or a control character"),
    ("branch: main, ", "branch: 'release/*', ", "gitops.branch", "is not the short name of a branch"),
    ("branch: main, ", "branch: refs/heads/main, ", "gitops.branch", "is not the short name of a branch"),
    ("branch: main, ", "message: '{app} {password}', ", "gitops.message", "names the field `{password}`; only {app}, {environment}, {tag}, {commit}, {run} are filled in"),
    ("branch: main, ", "message: '{app.x}', ", "gitops.message", "names the field `{app.x}`; only {app}, {environment}, {tag}, {commit}, {run} are filled in"),
    ("branch: main, ", "message: '{app!r}', ", "gitops.message", "names the field `{app}`; only {app}, {environment}, {tag}, {commit}, {run} are filled in"),
    ("branch: main, ", "message: '{app', ", "gitops.message", "has a single `{` or `}`; write `{{` and `}}` for plain braces"),
    ("branch: main, ", "message: ' ', ", "gitops.message", "must be one line of at most 200 characters"),
    ("branch: main, ", 'message: "Deploy\\nnow", ', "gitops.message", "must be one line of at most 200 characters"),
    ("branch: main, ", "signing: {format: gpg, key: x}, ", "gitops.signing.format", "must be `ssh` or `openpgp`"),
    ("token: ${ARGOCD_TOKEN}", "token: ''", "argocd.token", "is empty; an empty secret is never accepted (leave the key out if none is needed)"),
    ("token: ${ARGOCD_TOKEN}", "token: [a]", "argocd.token", "must be a text"),
    ("{secret: ${GITHUB_SECRET}}", "{secret: ' '}", "webhooks.github.secret", "is empty; an empty secret is never accepted (leave the key out if none is needed)"),
    ("{secret: ${GITHUB_SECRET}}", "{}", "webhooks.github.secret", "is required"),
    ("{secret: ${GITHUB_SECRET}}", "none", "webhooks.github", "must be a mapping (`key: value`)"),
    ("{webhook: ${SLACK_WEBHOOK}}", "{webhook: hooks}", "notify[0].slack.webhook", "is not an address that begins with `https://` or `http://`"),
    ("{webhook: ${SLACK_WEBHOOK}}", "{webhook: ${SLACK_WEBHOOK}, on: [finished]}", "notify[0].slack.on[0]", "must be `started`, `waiting`, `succeeded`, `failed` or `cancelled`"),
    ("{webhook: ${SLACK_WEBHOOK}}", "{webhook: ${SLACK_WEBHOOK}, on: failed}", "notify[0].slack.on", "must be a list (`- ...`)"),
    ("image: plate/plate-web ", "image: plate/Plate-Web ", "apps[0].image", "is not an image name: lower-case letters, digits, `.`, `_`, `-` and `/`, without host and tag"),
    ("image: plate/plate-web ", "image: plate/plate-web:latest ", "apps[0].image", "is not an image name: lower-case letters, digits, `.`, `_`, `-` and `/`, without host and tag"),
    ("- name: plate-web", "- name: plate_web", "apps[0].name", "must be 1 to 63 lower-case letters, digits and dashes, with a letter or digit at both ends"),
    ("dockerfile: Dockerfile", "dockerfile: ../Dockerfile", "apps[0].build.dockerfile", "must stay inside the repository: `..` is refused"),
    ("dockerfile: Dockerfile", "dockerfile: docker/", "apps[0].build.dockerfile", "names a folder, not a file"),
    ("context: .", "context: /src", "apps[0].build.context", "must be a path inside the repository, relative and with forward slashes"),
    ("context: .", "context: .git", "apps[0].build.context", "is not a path of a file in the repository"),
    ("context: .", "timeout: 5", "apps[0].build.timeout", "must be between 10s and 1d"),
    ("context: .", "timeout: soon", "apps[0].build.timeout", "is not a length of time; write seconds or a number with a unit, as in `90s`, `10m` or `1h`"),
    ("context: .", "pull: maybe", "apps[0].build.pull", "must be `true` or `false`"),
    ("context: .", "args: {A-B: x}", "apps[0].build.args.A-B", "has a name with other signs than letters, digits and `_`"),
    ("context: .", 'secrets: {"a/b": x}', "apps[0].build.secrets.a/b", "is no id; write up to 128 letters, digits, `_`, `.` and `-`"),
    ("context: .", 'secrets: {npm: ""}', "apps[0].build.secrets.npm", "is empty; an empty secret is never accepted (leave the key out if none is needed)"),
    ("context: .", "builder: classic, secrets: {npm: x}", "apps[0].build.secrets", "only BuildKit mounts secrets; leave `builder: classic` out"),
    ("context: .", f"secrets: {{npm: {'한' * 21_846}}}", "apps[0].build.secrets.npm", "is larger than 64 KiB; put what is that large into a base image"),
    ("context: .", "secrets: {npm: ${NOT_UTF8}}", "apps[0].build.secrets.npm", "is not text in UTF-8; look where the value comes from"),
    ("context: .", "args: [A=b]", "apps[0].build.args", "must be a mapping (`key: value`)"),
    ("context: .", "builder: kaniko", "apps[0].build.builder", "must be `buildkit` or `classic`"),
    ("values: charts/applications/plate-web/values-stg.yaml", "values: ../x.yaml", ENVIRONMENT + "values", "must stay inside the repository: `..` is refused"),
    ("values: charts/applications/plate-web/values-stg.yaml", "values: 'C:/x.yaml'", ENVIRONMENT + "values", "must be a path inside the repository, relative and with forward slashes"),
    ("values: charts/applications/plate-web/values-stg.yaml", "values: a\\b.yaml", ENVIRONMENT + "values", "must be a path inside the repository, relative and with forward slashes"),
    ("key: image.tag  ", "key: image..tag  ", ENVIRONMENT + "key", "is not the path of a value: it has no key at character 7"),
    ("argocd: plate-web-stg", "argocd: ''", ENVIRONMENT + "argocd", "is empty"),
    ("argocd: plate-web-stg", "degraded_grace: 2h", ENVIRONMENT + "degraded_grace", "must be between 0s and 1h"),
    ("branch: main  ", "branch: refs/heads/main  ", ENVIRONMENT + "branch", "must be the short name, without `refs/heads/` or `refs/tags/`"),
    ("branch: main  ", "branch: 'release/[12'  ", ENVIRONMENT + "branch", "has a `[` without its `]`"),
    ("branch: main  ", "branch: a..b  ", ENVIRONMENT + "branch", "is neither a branch or tag name nor a pattern of one, such as `main`, `release/*` or `v*`"),
    ("branch: main  ", "brunch: main  ", ENVIRONMENT + "brunch", "is not a key that is known here; did you mean `branch`?"),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "path", "message"), VALUES)
def test_what_a_key_refuses(old: str, new: str, path: str, message: str) -> None:
    text = spoiled(old, new)
    line = VALID[: VALID.index(old)].count("\n") + 1

    problems = look(text, {"NOT_UTF8": "\udcff"}).problems
    problem = next(problem for problem in problems if problem.path == path)

    assert (problem.line, problem.message) == (line, message)


def test_an_address_of_an_app_that_is_none_is_told_once() -> None:
    status = spoiled("slack: {webhook: ${SLACK_WEBHOOK}}", "commit_status: {forge: github, token: x}")
    text = status.replace(
        "    image:", "    aliases: [[a], nowhere, 'https://github.com/acme/plate-web.git']\n    image:"
    )

    assert [path for _, path, _ in found(text)] == ["apps[0].aliases[0]", "apps[0].aliases[1]"]


@pytest.mark.parametrize(
    ("server", "path", "message"),
    [
        ("bind: 8480", "server.bind", "is not `host:port`, such as `127.0.0.1:8480` or `[::]:8480`"),
        ("bind: a:70000", "server.bind", "is not `host:port`, such as `127.0.0.1:8480` or `[::]:8480`"),
        ("max_body: lots", "server.max_body", "is not a size; write bytes or a number with a unit, as in `10MiB`"),
        ("max_body: 10GiB", "server.max_body", "input should be less than or equal to 1073741824"),
        ("concurrency: 0", "server.concurrency", "input should be greater than or equal to 1"),
        ("concurrency: many", "server.concurrency", "must be a whole number"),
        (
            "database: mysql://x",
            "server.database",
            "must begin with `sqlite:///`, `postgresql://`, `postgresql+psycopg://`",
        ),
        ("broker: amqp://x", "server.broker", "must begin with `redis://`, `rediss://`, `redis+socket://`"),
    ],
)
def test_what_the_server_keys_refuse(server: str, path: str, message: str) -> None:
    assert found(f"{VALID}server:\n  {server}\n") == [(27, path, message)]


def test_plain_http_is_accepted_when_it_is_asked_for() -> None:
    text = spoiled("url: https://argocd.example.com", "url: http://argocd.internal, insecure: yes")

    assert found(text) == []


@pytest.mark.parametrize("url", ["https://git.example.com:99999", "https://git.example.com:x", "https://[git"])
def test_a_forge_at_no_address_is_one_problem(url: str) -> None:
    text = spoiled(
        "slack: {webhook: ${SLACK_WEBHOOK}}",
        f"commit_status: {{forge: gitea, url: '{url}', token: ${{GITLAB_TOKEN}}}}",
    )

    assert found(text) == [(8, "notify[0].commit_status.url", "is not an address")]


def test_the_login_for_the_registry_goes_over_plain_http_only_when_it_is_asked_for() -> None:
    text = spoiled("username:", "token_url: http://gitlab.internal/jwt/auth, username:")
    refused = "is not encrypted; use `https`, or set `insecure: true` to send it readable"

    assert found(text) == [(1, "registry.token_url", refused)]
    assert found(text.replace("username:", "insecure: true, username:")) == []


def test_a_value_without_a_blank_before_it_is_one_problem_and_not_repeated() -> None:
    text = spoiled("{secret: ${GITHUB_SECRET}}", "{secret:hunter2-hunter2}")

    assert found(text) == [(5, "webhooks.github.secret", "needs a blank after its `:`")]


def test_no_problem_repeats_a_value_that_may_be_secret() -> None:
    secret = "hunter2-hunter2"
    text = spoiled("url: https://argocd.example.com", "url: ${LEAK}").replace("branch: main, ", "branch: ${LEAK}, ")
    text = text.replace("approval: required", "approval: ${LEAK}").replace(
        "context: .", "timeout: ${LEAK}, pull: ${LEAK}"
    )
    checked = look(text, {"LEAK": f"{secret} {{"})

    assert len(checked.problems) == 5
    assert not [problem for problem in checked.problems if secret in str(problem)]
