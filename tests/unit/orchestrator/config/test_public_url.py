"""Addresses at which others reach us: those with a path, and those with one that cannot be used."""

import pytest

from tests.support.configs import ENVIRON, VALID, found, look

PATH = (
    "has a path that cannot be used; write it with letters, digits, `-`, `_`, `.` and `~` between single slashes,"
    " as in `https://tools.example.com/pilotage`"
)
QUERY = "must not have a query (`?`) or a fragment (`#`)"


@pytest.mark.parametrize("key", ["external_url", "webhook_url"])
@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://pilotage.example.com", "https://pilotage.example.com"),
        ("https://pilotage.example.com/", "https://pilotage.example.com"),
        ("https://tools.example.com/pilotage", "https://tools.example.com/pilotage"),
        ("https://tools.example.com/pilotage/", "https://tools.example.com/pilotage"),
        ("http://10.0.0.5:8480/a/ci_cd-2.0~b", "http://10.0.0.5:8480/a/ci_cd-2.0~b"),
        ("https://tools.example.com/our-runs", "https://tools.example.com/our-runs"),
    ],
)
def test_an_address_may_have_a_path(key: str, written: str, read: str) -> None:
    settings = look(f"{VALID}server: {{{key}: '{written}'}}\n", ENVIRON).settings
    assert settings is not None
    assert getattr(settings, key) == read


@pytest.mark.parametrize("key", ["external_url", "webhook_url"])
@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/a//b", PATH),
        ("//pilotage", PATH),
        ("/a/../b", PATH),
        ("/./pilotage", PATH),
        ("/a/..", PATH),
        ("/.hidden", PATH),
        ("/pilo%74age", PATH),
        ("/a%2Fb", PATH),
        ("/배포", PATH),
        ("/a;b", PATH),
        ("/a\\b", PATH),
        ("/a:b", PATH),
        ("/pilotage?x=1", QUERY),
        ("/pilotage?", QUERY),
        ("/pilotage#x", QUERY),
        ("/pilotage#", QUERY),
        ("/runs", "has `runs` in its path, as addresses of Pilotage itself have; choose another path"),
        ("/a/webhooks", "has `webhooks` in its path, as addresses of Pilotage itself have; choose another path"),
    ],
)
def test_a_path_that_not_everybody_writes_alike_is_refused(key: str, path: str, message: str) -> None:
    text = f"{VALID}server: {{{key}: '{'https://tools.example.com' + path}'}}\n"
    assert [(where, said) for _, where, said in found(text)] == [(f"server.{key}", message)]
