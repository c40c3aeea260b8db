"""The rules of the stand-in of Harbor: patterns, policies, sizes, cookies."""

import json
from collections.abc import Mapping

import pytest

from orchestrator.sandbox.harbor_rules import (
    STATUS,
    HarborError,
    Immutable,
    ProjectPolicy,
    check_csrf,
    human_bytes,
    matches,
)


@pytest.mark.parametrize(
    ("pattern", "text", "fits"),
    [
        ("**", "team-a/api", True),
        ("*", "api", True),
        ("*", "team-a/api", False),
        ("team-a/*", "team-a/api", True),
        ("v?", "v1", True),
        ("v?", "v12", False),
        ("{main,v*}", "main", True),
        ("{main,prod}", "mainprod", False),
        ("v1.0", "v1x0", False),
        ("a{b", "a{b", True),
        ("", "", True),
    ],
)
def test_patterns_are_harbors(pattern: str, text: str, fits: bool) -> None:
    assert matches(pattern, text) is fits


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0.0 B"), (1023, "1023.0 B"), (46 * 2**20, "46.0 MiB"), (2**30, "1.0 GiB"), (2**51, "2048.0 TiB")],
)
def test_sizes_are_written_in_binary_units(size: int, text: str) -> None:
    assert human_bytes(size) == text


def test_a_tag_is_kept_when_one_rule_fits_repository_and_tag() -> None:
    policy = ProjectPolicy(
        immutable=(Immutable(repositories="team-a/**", tags="v*"), Immutable(repositories="lib", tags="**"))
    )
    assert policy.keeps("team-a/api", "v1")
    assert policy.keeps("lib", "main")
    assert not policy.keeps("team-a/api", "main")
    assert not policy.keeps("team-b/api", "v1")


@pytest.mark.parametrize(
    ("used", "adding", "refused"), [(0, 100, False), (1, 100, True), (100, 1, True), (200, 0, False)]
)
def test_the_quota_is_what_fits(used: int, adding: int, refused: bool) -> None:
    policy = ProjectPolicy(quota=100)
    if not refused:
        policy.check_quota(used, adding)
        return
    with pytest.raises(HarborError, match="of storage resource") as caught:
        policy.check_quota(used, adding)
    assert caught.value.code == "DENIED"
    ProjectPolicy().check_quota(used, adding)


@pytest.mark.parametrize(
    ("scanned", "found", "words"),
    [
        (False, {}, "without vulnerability scanning"),
        (True, {"Critical": 1, "Low": 9}, "with 1 vulnerability cannot"),
        (True, {"Critical": 1, "High": 2}, "with 3 vulnerabilities cannot"),
        (True, {"Medium": 7}, ""),
        (True, {}, ""),
    ],
)
def test_a_pull_is_blocked_from_a_severity_on(scanned: bool, found: Mapping[str, int], words: str) -> None:
    ProjectPolicy().check_pull(scanned, found)
    policy = ProjectPolicy(block_from="High")
    if words:
        with pytest.raises(HarborError, match=words):
            policy.check_pull(scanned, found)
    else:
        policy.check_pull(scanned, found)


def test_a_policy_is_read_from_strings_and_shown_as_strings() -> None:
    metadata = {"public": "true", "auto_scan": "false", "prevent_vul": "true", "severity": "high"}
    policy = ProjectPolicy.from_request(metadata, 1000)
    assert policy == ProjectPolicy(public=True, block_from="High", quota=1000)
    assert policy.metadata() == metadata
    assert ProjectPolicy.from_request({"prevent_vul": "true", "severity": "odd"}, None).block_from == "Low"
    assert ProjectPolicy.from_request({}, -1) == ProjectPolicy()
    assert "severity" not in ProjectPolicy().metadata()


@pytest.mark.parametrize(
    ("method", "cookie", "token", "words"),
    [
        ("POST", "a=b; sid=1", "", "not found in request"),
        ("DELETE", "sid=1", "abc", "invalid"),
        ("GET", "sid=1", "", ""),
        ("POST", "asid=1", "", ""),
        ("POST", "", "", ""),
    ],
)
def test_a_change_with_the_session_cookie_needs_a_csrf_token(
    method: str, cookie: str, token: str, words: str
) -> None:
    if words:
        with pytest.raises(HarborError, match=words):
            check_csrf(method, cookie, token)
    else:
        check_csrf(method, cookie, token)


@pytest.mark.parametrize("code", STATUS)
def test_every_code_has_a_status_and_one_shape(code: str) -> None:
    error = HarborError(code, "words")
    assert 400 <= error.status <= 500
    assert json.loads(error.body) == {"errors": [{"code": code, "message": "words"}]}
