"""A whole, valid ``pilotage.yaml`` for tests, and ways to spoil it."""

import re
from pathlib import Path
from textwrap import indent

from orchestrator.config import Checked, check_text

ENVIRON = {
    "HARBOR_PASSWORD": "harbor-password",
    "GITOPS_TOKEN": "gitops-token",
    "ARGOCD_TOKEN": "argocd-token",
    "GITHUB_SECRET": "0123456789abcdef0123456789abcdef",
    "GITLAB_TOKEN": "fedcba9876543210fedcba9876543210",
    "SLACK_WEBHOOK": "https://hooks.slack.example.com/services/T0/B0/x",
    "CALLBACK_SECRET": "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIz",
    "SESSION_KEY": "00112233445566778899aabbccddeeff",
}

VALID = """\
registry: {url: https://harbor.example.com, username: "robot$plate+pilotage", password: ${HARBOR_PASSWORD}}
gitops:   {repo: https://git.example.com/platform/gitops.git, branch: main, token: ${GITOPS_TOKEN}}
argocd:   {url: https://argocd.example.com, token: ${ARGOCD_TOKEN}}
webhooks:
  github: {secret: ${GITHUB_SECRET}}
  gitlab: {token: ${GITLAB_TOKEN}}
notify:
  - slack: {webhook: ${SLACK_WEBHOOK}}
  - webhook: {url: https://ops.example.com/deploys, secret: ${CALLBACK_SECRET}}
apps:
  - name: plate-web
    repo: https://git.example.com/acme/plate-web.git
    image: plate/plate-web                      # in the registry above
    build: {context: ., dockerfile: Dockerfile, paths: ["web/**"]}
    environments:
      - name: stg
        branch: main                            # pushes to it deploy here
        values: charts/applications/plate-web/values-stg.yaml
        key: image.tag                          # the default
        argocd: plate-web-stg
      - name: prod
        promote_from: stg                       # the same digest, after approval
        approval: required
        values: charts/applications/plate-web/values-prod.yaml
        argocd: plate-web-prod
"""


_SECTION = re.compile(r"^(\w[\w-]*):.*?(?=^\w|\Z)", re.MULTILINE | re.DOTALL)
_BUILD = re.compile(r"^    build:.*?\n", re.MULTILINE)


def whole(part: str) -> str:
    """Put a part of a configuration into the valid file: sections, the list of `apps`, or the `build` of an app.

    What has all that a configuration needs is left as it is.
    """
    if part.startswith("build:"):
        return _BUILD.sub(lambda _: indent(part, "    "), VALID)
    part = f"apps:\n{indent(part, '  ')}" if part.startswith("- ") else part
    given = {section[1]: section[0] for section in _SECTION.finditer(part)}
    if given.keys() >= {"registry", "gitops", "argocd", "apps"}:
        return part
    return "".join(({section[1]: section[0] for section in _SECTION.finditer(VALID)} | given).values())


def look(text: str, environ: dict[str, str] | None = None, folder: Path = Path("/etc/pilotage")) -> Checked:
    """Check a text with the variables of `ENVIRON` (and `environ` over them)."""
    return check_text(text, {**ENVIRON, **(environ or {})}, folder)


def spoiled(old: str, new: str) -> str:
    """Return the valid file with one change; the text to change must be there once."""
    assert VALID.count(old) == 1, old
    return VALID.replace(old, new)


def found(text: str, environ: dict[str, str] | None = None) -> list[tuple[int, str, str]]:
    """Look at a file; return its problems as line, path and message."""
    return [(problem.line, problem.path, problem.message) for problem in look(text, environ).problems]
