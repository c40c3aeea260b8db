"""Challenges, the token service that may have our password, and what a token allows."""

import base64
import json

import pytest

from orchestrator.domain.errors import Refused
from orchestrator.domain.reasons import Reason
from workers.clients.registry_auth import Challenge, granted_actions, read_challenge, safe_realm

HARBOR = 'Bearer realm="https://h.io/service/token",service="harbor-registry",scope="repository:a/b:pull,push"'


@pytest.mark.parametrize(
    ("header", "challenge"),
    [
        (HARBOR, Challenge(scheme="bearer", realm="https://h.io/service/token", service="harbor-registry")),
        ("bearer realm=https://h.io/t", Challenge(scheme="bearer", realm="https://h.io/t")),
        ('Basic realm="harbor"', Challenge(scheme="basic")),
        (
            'Basic realm="x, Bearer y", ' + HARBOR,
            Challenge(scheme="bearer", realm="https://h.io/service/token", service="harbor-registry"),
        ),
        (
            HARBOR + ', Basic realm="x"',
            Challenge(scheme="bearer", realm="https://h.io/service/token", service="harbor-registry"),
        ),
        ('Bearer realm="a\\"b"', Challenge(scheme="bearer", realm='a"b')),
        ("Bearer service=x", None),
        ("Negotiate", None),
        ("", None),
    ],
)
def test_a_challenge_is_read(header: str, challenge: Challenge | None) -> None:
    assert read_challenge(header) == challenge


def test_the_time_to_read_a_challenge_grows_with_its_length_only() -> None:
    assert read_challenge(HARBOR + "," + "a" * 1_000_000) == read_challenge(HARBOR)


@pytest.mark.parametrize(
    ("realm", "registry", "address"),
    [
        ("https://h.io/service/token", "https://h.io", "https://h.io/service/token"),
        ("http://h.io/service/token", "https://h.io", "https://h.io/service/token"),
        ("http://h.io:80/service/token", "https://h.io:8443", "https://h.io:8443/service/token"),
        ("https://h.io/service/token", "https://h.io:8443", "https://h.io:8443/service/token"),
        ("https://H.io:5001/auth?a=1", "https://h.io", "https://H.io:5001/auth?a=1"),
        ("http://127.0.0.1:5001/auth", "http://127.0.0.1:5000", "http://127.0.0.1:5001/auth"),
        ("https://git.io/jwt/auth", "https://git.io:5050", "https://git.io/jwt/auth"),
        ("http://git.io/jwt/auth", "https://git.io:5050", "https://git.io:5050/jwt/auth"),
        ("https://git.io/jwt/auth", "http://git.io:5050", "https://git.io/jwt/auth"),
        ("http://h.io/service/token", "http://h.io:8080", "http://h.io:8080/service/token"),
    ],
)
def test_a_token_service_on_the_registrys_host_is_asked(realm: str, registry: str, address: str) -> None:
    assert safe_realm(realm, registry) == address


@pytest.mark.parametrize(
    "realm",
    [
        "https://evil.io/token",
        "https://h.io@evil.io/t",
        "https://user@h.io/t",
        "file:///etc/passwd",
        "//evil.io/t",
        "",
    ],
)
def test_our_password_goes_nowhere_else(realm: str) -> None:
    with pytest.raises(Refused) as caught:
        safe_realm(realm, "https://h.io")
    assert caught.value.reason is Reason.REGISTRY_REFUSED


def token(claims: object) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    return f"e30.{body}.sig"


def access(*actions: str, name: str = "a/b") -> dict[str, object]:
    return {"access": [{"type": "repository", "name": name, "actions": list(actions)}]}


@pytest.mark.parametrize(
    ("text", "granted"),
    [
        (token(access("pull", "push")), {"pull", "push"}),
        (token(access("pull")), {"pull"}),
        (token(access("push", name="other")), set()),
        (token({"access": []}), set()),
        (token({"access": None}), set()),
        (token({"sub": "x"}), None),
        (token(["no", "object"]), None),
        ("opaque", None),
        ("a.%%%.c", None),
        ("a.bm90anNvbg.c", None),
    ],
)
def test_a_token_says_what_it_allows(text: str, granted: set[str] | None) -> None:
    found = granted_actions(text, "a/b")
    assert found == (None if granted is None else frozenset(granted))
