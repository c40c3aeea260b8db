"""Commits that are signed."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from tests.support.git import git
from tests.support.githttp import Forge
from tests.support.landing import AUTHOR, change, land_all, pushes
from tests.support.needs import require_program
from workers.clients.git import Mirror, Signing


def test_commits_are_signed_with_an_ssh_key(server: Forge, mirror: Mirror, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    signers = tmp_path / "signers"
    signers.write_text(f"bot@example.com {key.with_suffix('.pub').read_text()}")
    results = land_all(mirror, [change(1), change(2)], signing=Signing(format="ssh", key=str(key)))
    assert server.head() == results[1].commit  # type: ignore[union-attr]
    for result in results:
        check = ["-c", f"gpg.ssh.allowedSignersFile={signers}", "verify-commit", result.commit]  # type: ignore[union-attr]
        git(server.repo, *check)
    assert server.log() == ["deploy(app): 배포 2", "deploy(app): 배포 1", "start"]
    assert git(server.repo, "log", "-1", "--format=%an|%ce|%ct", "main") == "Pilotage 봇|bot@example.com|1700000502"


def test_commits_are_signed_with_a_gpg_key(
    server: Forge, mirror: Mirror, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_program("gpg", "gnupg")
    home = tmp_path_factory.mktemp("gpg")
    home.chmod(0o700)
    monkeypatch.setenv("GNUPGHOME", str(home))
    who = "Bot <bot@example.com>"
    make = ["gpg", "--batch", "--quiet", "--passphrase", "", "--quick-gen-key", who, "ed25519", "sign", "never"]
    try:
        subprocess.run(make, check=True, capture_output=True)
        land_all(mirror, [change(1)], signing=Signing(format="openpgp", key="bot@example.com"))
        assert git(server.repo, "log", "-1", "--format=%G?", "main") in ("U", "G")
    finally:
        subprocess.run(["gpgconf", "--kill", "gpg-agent"], check=False)


def test_a_key_that_cannot_sign_is_refused(server: Forge, mirror: Mirror, tmp_path: Path) -> None:
    none = Signing(format="ssh", key=str(tmp_path / "none"))
    why = f"cannot be signed by the ssh key {none.key} of `gitops.signing`: "
    with pytest.raises(Refused, match=re.escape(why)):
        land_all(mirror, [change(1)], signing=none)
    with pytest.raises(Refused, match=re.escape(why)):
        mirror.try_sign(mirror.fetch_branch("main"), AUTHOR, none)
    assert pushes(server) == 0


def test_a_key_is_tried_without_a_trace(server: Forge, mirror: Mirror, tmp_path: Path) -> None:
    key, head = tmp_path / "key", mirror.fetch_branch("main")
    before = server.head(), git(mirror.folder, "for-each-ref")
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    mirror.try_sign(head, AUTHOR, Signing(format="ssh", key=str(key)))
    assert (server.head(), git(mirror.folder, "for-each-ref")) == before


def test_a_key_that_waits_for_a_person_is_refused(
    server: Forge, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gpg = tmp_path / "bin" / "gpg"
    gpg.parent.mkdir()
    gpg.write_text("#!/bin/sh\nexec sleep 600\n", encoding="ascii")
    gpg.chmod(0o755)
    monkeypatch.setenv("PATH", f"{gpg.parent}:{os.environ['PATH']}")
    monkeypatch.setattr("workers.clients.git_write.SIGN_TIMEOUT", 0.5)
    with pytest.raises(Refused, match=r"cannot be signed .* does the key want a passphrase or a touch") as caught:
        land_all(mirror, [change(1)], signing=Signing(format="openpgp", key="bot@example.com"))
    assert caught.value.reason is Reason.GITOPS_REFUSED
    assert pushes(server) == 0
