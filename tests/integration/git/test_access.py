"""Addresses, credentials, keys and settings: what may not leak, and what may not be obeyed."""

import os
from pathlib import Path

import pytest

from orchestrator.domain.apps import Secret
from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from tests.support.git_processes import children_of
from tests.support.githttp import TOKEN, Fault, Forge, forge
from workers.clients.git import Mirror, mirror_folder


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc",
        "/srv/git/x.git",
        "./x.git",
        "ext::sh -c touch% /tmp/pwned",
        "ext::sh",
        "--upload-pack=x",
        "-oProxyCommand=x",
        "git://git.example.com/x.git",
        "ftp://git.example.com/x.git",
        "https://user:pass@git.example.com/x.git",
        "https://-x/x.git",
        "ssh://-oProxyCommand=x/x.git",
        "https://git.example.com",
        "https://git.example.com/x.git\n--upload-pack=x",
        "https://git.example.com:port/x.git",
        "-x@host:path",
        "host:-oProxyCommand=x"[:0] or "http://",
    ],
)
def test_only_addresses_of_repositories_on_servers_are_taken(server: Forge, tmp_path: Path, url: str) -> None:
    with pytest.raises(Refused) as caught:
        server.mirror(tmp_path, url=url)
    assert caught.value.reason is Reason.SOURCE_REFUSED
    assert "pass@" not in str(caught.value)


def test_local_addresses_are_for_tests_that_ask_for_them(server: Forge, tmp_path: Path) -> None:
    access = server.access(url=f"file://{server.repo}", token=Secret(""))
    mirror = Mirror(access, mirror_folder(tmp_path, access.url), allow_local=True)
    assert mirror.fetch_branch("main") == server.head()


def test_the_credentials_are_nowhere_to_be_found(
    server: Forge, mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[str] = []
    real = server.app.__call__

    def look(environ, start_response):  # type: ignore[no-untyped-def]
        seen.extend(children_of(server.url))
        return real(environ, start_response)

    monkeypatch.setattr(type(server.app), "__call__", lambda _, *given: look(*given))
    mirror.fetch_branch("main")
    assert seen
    kept = "".join(path.read_text("latin-1") for path in mirror.folder.rglob("*") if path.is_file())
    assert not any(TOKEN in text or "Basic" in text for text in (*seen, kept))


def test_the_credentials_stay_with_their_server(server: Forge, mirror: Mirror, tmp_path: Path) -> None:
    with forge(tmp_path / "elsewhere") as other:
        target = f"{other.url}/info/refs?service=git-upload-pack"
        server.app.inject(Fault(service="upload", discovery=True, status=302, headers=(("Location", target),)))
        with pytest.raises(Refused, match="redirects"):
            mirror.fetch_branch("main")
        assert other.app.requests == []


def test_a_wrong_token_is_refused_without_a_prompt_and_not_shown(server: Forge, tmp_path: Path) -> None:
    for token in ("wrong-token-1", ""):
        with pytest.raises(Refused) as caught:
            server.mirror(tmp_path / "s", token=Secret(token)).fetch_branch("main")
        assert caught.value.reason is Reason.SOURCE_REFUSED
        assert "login" in caught.value.evidence
        assert "wrong-token-1" not in str(caught.value)


def test_settings_of_the_machine_and_of_a_calling_hook_do_not_count(
    server: Forge, mirror: Mirror, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = tmp_path / "pwned"
    home = tmp_path / "home"
    home.mkdir()
    (home / ".gitconfig").write_text(f'[url "http://127.0.0.1:1/"]\n\tinsteadOf = {server.base}/\n')
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_OBJECT_DIRECTORY", str(tmp_path / "nowhere"))
    monkeypatch.setenv("GIT_TRACE", str(proof))
    mirror.fetch_branch("main")
    hook = mirror.folder / "hooks" / "reference-transaction"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text(f"#!/bin/sh\ntouch {proof}\n")
    hook.chmod(0o755)
    newer = server.commit({"README.md": "newer\n"})
    assert mirror.fetch_branch("main") == newer
    assert not proof.exists()


def test_ssh_runs_with_our_key_and_host_keys_only(
    server: Forge, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bin_, log = tmp_path / "bin", tmp_path / "ssh.log"
    bin_.mkdir()
    (bin_ / "ssh").write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {log}\nfor last; do :; done\neval "$last"\n')
    (bin_ / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{bin_}:{os.environ['PATH']}")
    key, hosts = tmp_path / "my key", tmp_path / "known hosts"
    hosts.touch()
    key.touch(0o600)
    access = {"url": f"ssh://git@git.example.com{server.repo}", "ssh_key": str(key), "known_hosts": str(hosts)}
    assert server.mirror(tmp_path, token=Secret(""), **access).fetch_branch("main") == server.head()
    words = log.read_text().splitlines()
    assert words[words.index("-i") + 1] == str(key)
    assert {
        "BatchMode=yes",
        "StrictHostKeyChecking=yes",
        f'UserKnownHostsFile="{hosts}"',
        "IdentitiesOnly=yes",
    } <= set(words)
    key.chmod(0o644)
    with pytest.raises(Refused, match="chmod 600"):
        server.mirror(tmp_path, **access)
