"""Git LFS of a repository over SSH: `git-lfs-authenticate` says where its contents are, and with what login."""

import base64
import json
import os
from pathlib import Path

import pytest

from orchestrator.domain.apps import Secret
from orchestrator.domain.errors import PilotageError, Refused, Unavailable
from orchestrator.domain.reasons import Reason
from orchestrator.sandbox.forge import TOKEN, USER
from tests.support.lfs import LOGO, REPO, LfsSite
from tests.support.tars import contents
from workers.clients.git import Mirror, mirror_folder

AUTHENTICATE = """#!/bin/sh
printf '%s\\n' "$@" > {log}
{does}
"""


def over_ssh(site: LfsSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, does: str) -> Mirror:
    """A mirror by SSH: its `ssh` runs the command here, and `git-lfs-authenticate` does what a test says."""
    programs, hosts = tmp_path / "bin", tmp_path / "known_hosts"
    programs.mkdir()
    hosts.touch()
    scripts = {
        "ssh": '#!/bin/sh\nfor last; do :; done\neval "$last"\n',
        "git-lfs-authenticate": AUTHENTICATE.format(log=tmp_path / "asked", does=does),
    }
    for name, script in scripts.items():
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path / "forge")
    url = f"ssh://git@127.0.0.1:2222{tmp_path}/forge/{REPO}.git"
    return Mirror(site.access(url=url, token=Secret(""), known_hosts=str(hosts)), mirror_folder(site.state, url))


def test_over_ssh_the_server_says_where_and_with_what(
    site: LfsSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.commit(logo=LOGO)
    login = base64.b64encode(f"{USER}:{TOKEN}".encode()).decode()
    said = {"href": f"{site.forge.clone_url(REPO)}/info/lfs", "header": {"Authorization": f"Basic {login}"}}
    mirror = over_ssh(site, tmp_path, monkeypatch, f"cat <<'JSON'\n{json.dumps(said)}\nJSON")
    assert contents(site.tar(mirror))["logo.png"] == LOGO
    path = f"{tmp_path}/forge/{REPO}.git".lstrip("/")
    assert (tmp_path / "asked").read_text().splitlines() == [path, "download"]


@pytest.mark.parametrize(
    ("does", "kind", "reason", "words"),
    [
        (
            "echo >&2 'Unknown command'; exit 1",
            Refused,
            Reason.SOURCE_UNSUPPORTED,
            "https address",
        ),
        ("echo '<html>'", Refused, Reason.SOURCE_REFUSED, "does not answer `git-lfs-authenticate`"),
        ('echo \'{"href": "ftp://x"}\'', Refused, Reason.SOURCE_REFUSED, "no http(s) address"),
        ('echo \'{"href": "http://git.example.com/x"}\'', Unavailable, Reason.SOURCE_UNAVAILABLE, "does not resolve"),
        ("echo >&2 'git@x: Permission denied (publickey).'; exit 255", Refused, Reason.SOURCE_REFUSED, "SSH key"),
        ("echo >&2 'Internal server error'; exit 1", Unavailable, Reason.SOURCE_UNAVAILABLE, "git failed"),
    ],
)
def test_over_ssh_each_failure_has_its_reason(
    site: LfsSite,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    does: str,
    kind: type[PilotageError],
    reason: Reason,
    words: str,
) -> None:
    site.commit(logo=LOGO)
    mirror = over_ssh(site, tmp_path, monkeypatch, does)
    error = site.refused(kind, mirror=mirror)
    assert error.reason is reason
    assert words in error.evidence
