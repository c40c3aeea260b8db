"""Addresses, credentials and the environment of Git's processes."""

import os
import shlex
from pathlib import Path

import pytest

from orchestrator.domain.apps import GitAccess, Secret
from orchestrator.domain.errors import Refused
from workers.clients.git_access import check_address, is_ssh, local_env, remote_env, secrets_of
from workers.clients.git_errors import SOURCE


def config_of(env: dict[str, str]) -> dict[str, str]:
    return {env[f"GIT_CONFIG_KEY_{n}"]: env[f"GIT_CONFIG_VALUE_{n}"] for n in range(int(env["GIT_CONFIG_COUNT"]))}


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com/acme/web.git",
        "https://git.example.com:8443/group/sub/web",
        "http://127.0.0.1:3000/acme/web.git",
        "https://[::1]:8443/x.git",
        "https://git.example.com/한글/web.git",
        "https://bot@git.example.com/x.git",
    ],
)
def test_addresses_on_web_servers_are_taken(url: str) -> None:
    check_address(GitAccess(url=url), SOURCE)
    assert not is_ssh(url)


@pytest.mark.parametrize(
    "url",
    [
        "ssh://git@git.example.com:2222/acme/web.git",
        "git@git.example.com:acme/web.git",
        "git.example.com:x",
        "git@[2001:db8::1]:a",
    ],
)
def test_ssh_addresses_need_the_keys_of_their_host(url: str, tmp_path: Path) -> None:
    hosts = tmp_path / "known_hosts"
    for missing in ("", str(hosts), str(tmp_path)):
        with pytest.raises(Refused, match="known_hosts"):
            check_address(GitAccess(url=url, known_hosts=missing), SOURCE)
    hosts.touch()
    check_address(GitAccess(url=url, known_hosts=str(hosts)), SOURCE)
    assert is_ssh(url)


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("", "is not an https"),
        ("file:///srv/x.git", "is not an https"),
        ("/srv/x.git", "is not an https"),
        ("../x.git", "is not an https"),
        ("ext::sh -c id", "no address has"),
        ("ext::sh", "is not an https"),
        ("fd::17", "is not an https"),
        ("host:://x", "is not an https"),
        ("-u:x", "no address has"),
        ("--upload-pack=x", "no address has"),
        ("https://x.example.com/a\nb", "no address has"),
        ("git://x.example.com/a", "is not an https"),
        ("https://x.example.com:99999/a", "cannot be read"),
        ("https://[::1/a", "cannot be read"),
        ("https://u:p@x.example.com/a", "holds a password"),
        ("https://x.example.com", "does not name a repository"),
        ("https://x.example.com/a?b=c", "does not name a repository"),
        ("https://x.example.com/a#b", "does not name a repository"),
        ("ssh://-oProxyCommand=id/a", "does not name a repository"),
        ("https://a%20b@x.example.com/a", "strange user name"),
    ],
)
def test_other_addresses_are_refused_with_the_cause(url: str, words: str) -> None:
    with pytest.raises(Refused, match=words) as caught:
        check_address(GitAccess(url=url), SOURCE)
    assert "u:p@" not in str(caught.value)


def test_a_key_file_must_be_there_and_hidden(tmp_path: Path) -> None:
    hosts, key = tmp_path / "hosts", tmp_path / "key"
    hosts.touch()
    access = GitAccess(url="git@x.example.com:a", known_hosts=str(hosts), ssh_key=str(key))
    with pytest.raises(Refused, match="No such file"):
        check_address(access, SOURCE)
    key.touch()
    for mode, good in ((0o600, True), (0o400, True), (0o640, False), (0o604, False)):
        key.chmod(mode)
        if good:
            check_address(access, SOURCE)
        else:
            with pytest.raises(Refused, match=f"{mode:04o}.*chmod 600"):
                check_address(access, SOURCE)


@pytest.mark.skipif(os.getuid() == 0, reason="root can read everything")
def test_a_key_file_must_be_readable(tmp_path: Path) -> None:
    hosts, key = tmp_path / "hosts", tmp_path / "key"
    hosts.touch()
    key.touch(0o000)
    access = GitAccess(url="git@x.example.com:a", known_hosts=str(hosts), ssh_key=str(key))
    with pytest.raises(Refused, match="not readable"):
        check_address(access, SOURCE)


def test_credentials_are_bound_to_their_repository() -> None:
    access = GitAccess(url="https://bot@git.example.com:8443/a.git", username="u", token=Secret("t"), ca_file="/ca")
    found = {key: value for key, value in config_of(remote_env(access)).items() if key.startswith("http.https")}
    scope = "http.https://git.example.com:8443/a.git"
    assert found == {
        f"{scope}.sslVerify": "true",
        f"{scope}.extraHeader": "Authorization: Basic dTp0",
        f"{scope}.sslCAInfo": "/ca",
    }
    assert secrets_of(access) == ("t", "dTp0")


def test_without_a_token_nothing_is_sent() -> None:
    access = GitAccess(url="https://git.example.com/a.git")
    assert not any("extraHeader" in key for key in config_of(remote_env(access)))
    assert secrets_of(access) == ()


def test_local_commands_know_no_secret_and_reach_no_server() -> None:
    env = local_env((("gpg.format", "ssh"),))
    assert env["GIT_ALLOW_PROTOCOL"] == ""
    assert config_of(env)["gpg.format"] == "ssh"
    assert not any("Authorization" in value for value in env.values())


def test_no_prompt_no_foreign_settings_no_hooks() -> None:
    env = remote_env(GitAccess(url="https://git.example.com/a.git"))
    config = config_of(env)
    assert (env["GIT_TERMINAL_PROMPT"], env["GIT_CONFIG_NOSYSTEM"], env["GIT_CONFIG_GLOBAL"]) == (
        "0",
        "1",
        os.devnull,
    )
    assert (env["LC_ALL"], env["HOME"], env["GIT_ALLOW_PROTOCOL"]) == ("C", os.devnull, "https:http:ssh")
    assert (config["core.hooksPath"], config["credential.helper"]) == (os.devnull, "")
    assert config["http.followRedirects"] == "false"
    assert "GIT_SSH_COMMAND" not in env


def test_the_ssh_command_survives_two_readings() -> None:
    access = GitAccess(url="git@x.example.com:a", known_hosts="/k/known hosts", ssh_key="/k/a key; rm")
    words = shlex.split(remote_env(access)["GIT_SSH_COMMAND"])
    assert words[:4] == ["ssh", "-F", os.devnull, "-T"]
    assert words[words.index("-i") + 1] == "/k/a key; rm"
    assert 'UserKnownHostsFile="/k/known hosts"' in words
    assert "IdentitiesOnly=yes" in words
    agent = GitAccess(url="git@x.example.com:a", known_hosts="/k/h")
    assert "IdentitiesOnly=no" in shlex.split(remote_env(agent)["GIT_SSH_COMMAND"])
    assert "-i" not in shlex.split(remote_env(agent)["GIT_SSH_COMMAND"])


def test_file_addresses_are_let_through_only_on_request() -> None:
    access = GitAccess(url="file:///srv/x.git")
    check_address(access, SOURCE, allow_local=True)
    assert remote_env(access, allow_local=True)["GIT_ALLOW_PROTOCOL"] == "https:http:ssh:file"
