"""Addresses of services and repositories that a file may hold, and those that it may not."""

# ruff: noqa: E501 - a row of a table stays one line

import pytest

from tests.support.configs import VALID, found, spoiled

PASSWORDS = ("a/tail", "a#tail", "a?tail", "a@tail", "7/tail", "7?tail", "a[tail", "a]tail", "a＠tail", "a℀tail")


@pytest.mark.parametrize("password", PASSWORDS)
@pytest.mark.parametrize(("key", "address"), [("broker", "redis://:{}@r:1/0"), ("database", "postgresql://u:{}@d/p")])
def test_a_password_that_ends_too_early_is_told_without_it(key: str, address: str, password: str) -> None:
    ((line, path, message),) = found(f"{VALID}server:\n  {key}: '{address.format(password)}'\n")
    assert (line, path) == (27, f"server.{key}")
    assert message.startswith("cannot be read; in its password write `%`, `/`")
    assert "tail" not in message


@pytest.mark.parametrize(
    ("key", "address"),
    [
        ("broker", "redis://:a%2F%23%3F%40%25@r:1/0"),
        ("broker", "redis+socket:///run/redis@main/redis.sock"),
        ("database", "postgresql:///pilotage?host=/run/postgresql"),
        ("database", "postgresql+psycopg://pilotage@/pilotage?host=/run/postgresql"),
        ("database", "sqlite:////var/lib/a#b/pilotage.db"),
    ],
)
def test_addresses_that_can_be_read(key: str, address: str) -> None:
    assert found(f"{VALID}server:\n  {key}: '{address}'\n") == []


REPOS = [
    ("ext::sh -c touch% /tmp/x", "uses a remote helper (`helper::address`), which is refused: it could run any program"),
    ("fd::17", "uses a remote helper (`helper::address`), which is refused: it could run any program"),
    ("file:///etc", "is not a repository address that begins with `https://` or `http://` or `ssh://`"),
    ("/srv/repo.git", "is not a repository address that begins with `https://` or `http://` or `ssh://`"),
    ("git://git.example.com/a", "is not a repository address that begins with `https://` or `http://` or `ssh://`"),
    ("https://user:pw@git.example.com/a", "holds credentials; use the keys for them (`username`, `token`, `password`), which stay secret"),
    ("https://token@git.example.com/a", "holds credentials; use the keys for them (`username`, `token`, `password`), which stay secret"),
    ("ssh://git:pw@git.example.com/a", "holds credentials; use the keys for them (`username`, `token`, `password`), which stay secret"),
    ("ssh://-oProxyCommand=x/a", "has a host or user that begins with a dash"),
    ("https://git.example.com/", "names no repository"),
    ("https://git.example.com/a/../b", "names no repository"),
    ("https://git.example.com/a?b", "must not have a query (`?`) or a fragment (`#`)"),
]  # fmt: skip


@pytest.mark.parametrize(("repo", "message"), REPOS)
def test_repository_addresses_that_are_refused(repo: str, message: str) -> None:
    assert found(spoiled("https://git.example.com/platform/gitops.git", f'"{repo}"')) == [(2, "gitops.repo", message)]


@pytest.mark.parametrize(
    "repo",
    [
        "http://127.0.0.1:8080/a/b.git",
        "http://[::1]/a",
        "http://localhost/a",
        "https://git.example.com:8443/group/sub/project.git",
    ],
)
def test_repository_addresses_that_are_accepted(repo: str) -> None:
    assert found(spoiled("https://git.example.com/platform/gitops.git", f'"{repo}"')) == []
