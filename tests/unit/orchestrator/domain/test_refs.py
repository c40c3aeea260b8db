"""Names of commits, refs, repositories and images."""

import hashlib

import pytest

from orchestrator.domain.refs import (
    Reference,
    RefKind,
    image_tag,
    is_image_path,
    is_image_tag,
    is_on,
    is_safe_ref_name,
    is_sha,
    is_zero,
    ref_matches,
    repo_key,
    repo_path,
    split_ref,
)

COMMIT = "0123456789" * 4
DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "sha", "zero"),
    [
        (COMMIT, True, False),
        ("0" * 40, True, True),
        ("0" * 64, True, True),
        ("A" * 40, False, False),
        ("0" * 41, False, False),
        (COMMIT + "\n", False, False),
        ("", False, False),
    ],
)
def test_a_full_object_id_is_told_from_anything_else(text: str, sha: bool, zero: bool) -> None:
    assert (is_sha(text), is_zero(text)) == (sha, zero)


@pytest.mark.parametrize(
    ("ref", "parts"),
    [
        ("refs/heads/feature/메뉴", (RefKind.BRANCH, "feature/메뉴")),
        ("refs/tags/v1", (RefKind.TAG, "v1")),
        ("refs/heads/", None),
        ("refs/pull/1/head", None),
        ("main", None),
    ],
)
def test_a_ref_is_a_branch_or_a_tag_or_neither(ref: str, parts: tuple[RefKind, str] | None) -> None:
    assert split_ref(ref) == parts


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("feature/메뉴", True),
        ("x" * 200, True),
        ("--upload-pack=x", False),
        ("../../x", False),
        ("a..b", False),
        ("@", False),
        ("a b", False),
        ("", False),
        ("a/", False),
        ("main^", False),
        ("v?", False),
        ("v*", False),
        ("main.lock", False),
        ("main.lock/x", False),
        ("main.locked", True),
        ("x" * 1000, False),
    ],
)
def test_only_names_that_git_creates_are_safe(name: str, safe: bool) -> None:
    assert is_safe_ref_name(name) is safe


@pytest.mark.parametrize(
    ("rule", "name", "matches"),
    [("main", "main", True), ("release/*", "release/1", True), ("main", "Main", False), ("v[0-9]", "v[0-9]", True)],
)
def test_a_rule_is_a_name_or_a_pattern(rule: str, name: str, matches: bool) -> None:
    assert ref_matches(rule, name) is matches


@pytest.mark.parametrize(
    "url",
    [
        "https://git.example.com/acme/web.git",
        "https://user@Git.Example.com/acme/web/",
        "https://git.example.com/Acme/Web",
        "https://git.example.com/acme/web/.git",
        "http://git.example.com:80/acme/web",
        "https://git.example.com:443/acme/web",
        "git@git.example.com:acme/web.git",
        "ssh://git@git.example.com/acme/web",
    ],
)
def test_all_addresses_of_a_repository_have_one_key(url: str) -> None:
    assert repo_key(url) == "git.example.com/acme/web"


@pytest.mark.parametrize(
    "url", ["git@[2001:db8::1]:acme/web.git", "ssh://git@[2001:DB8::1]/acme/web", "[2001:db8::1]:acme/web"]
)
def test_a_host_may_be_an_address_of_ip_version_6(url: str) -> None:
    assert repo_key(url) == "2001:db8::1/acme/web"


def test_an_image_is_named_after_its_commit_and_what_else_went_into_it() -> None:
    others = hashlib.sha256(b"--target=web").hexdigest()[:8]

    assert image_tag(COMMIT) == "sha-012345678901"
    assert image_tag(COMMIT, "--target=web") == f"sha-012345678901-{others}"
    assert is_image_tag(image_tag(COMMIT, "--target=web"))


@pytest.mark.parametrize(
    ("tag", "fits"), [("1.2", True), ("_x", True), ("x" * 128, True), ("x" * 129, False), ("-x", False), ("", False)]
)
def test_a_tag_follows_the_registrys_rule(tag: str, fits: bool) -> None:
    assert is_image_tag(tag) is fits


@pytest.mark.parametrize(
    ("path", "fits"),
    [
        ("plate/plate-web", True),
        ("a__b/c.d--e", True),
        ("plate--web", True),
        ("plate---web.two/x", True),
        ("Plate/web", False),
        ("plate//web", False),
        ("a_-b", False),
        ("/".join(["a" * 63] * 4), True),
        ("a" * 256, False),
    ],
)
def test_an_image_path_follows_the_registrys_rule(path: str, fits: bool) -> None:
    assert is_image_path(path) is fits


@pytest.mark.parametrize(
    ("image", "parts"),
    [
        ("nginx", ("", "nginx", "", "")),
        ("nginx:1.27", ("", "nginx", "1.27", "")),
        ("library/nginx:1.27", ("", "library/nginx", "1.27", "")),
        (" nginx:1.27\n", ("", "nginx", "1.27", "")),
        ("localhost/web:1", ("localhost", "web", "1", "")),
        ("127.0.0.1:5000/web", ("127.0.0.1:5000", "web", "", "")),
        ("h.io/plate/web:sha-1", ("h.io", "plate/web", "sha-1", "")),
        (f"h.io/plate/web:sha-1@{DIGEST}", ("h.io", "plate/web", "sha-1", DIGEST)),
        (f"h.io:5000/a/b@{DIGEST}", ("h.io:5000", "a/b", "", DIGEST)),
        ("", ("", "", "", "")),
    ],
)
def test_a_reference_has_four_parts(image: str, parts: tuple[str, str, str, str]) -> None:
    assert Reference.parse(image) == Reference(host=parts[0], path=parts[1], tag=parts[2], digest=parts[3])


@pytest.mark.parametrize(
    ("image", "name", "version"),
    [
        ("a", "a", ""),
        ("h.io:5000/a/b", "h.io:5000/a/b", ""),
        ("h.io:5000/a/b:1", "h.io:5000/a/b", "1"),
        ("team.web/api:1", "team.web/api", "1"),
        (f"h/p/web@{DIGEST}", "h/p/web", DIGEST),
        (f"h/p/web:1@{DIGEST}", "h/p/web", DIGEST),
    ],
)
def test_a_digest_goes_before_the_tag(image: str, name: str, version: str) -> None:
    found = Reference.parse(image)
    assert (found.name, found.version, found.engine_tag) == (name, version, version or "latest")


@pytest.mark.parametrize(
    ("repo", "path", "there"),
    [
        ("https://git.example.com/acme/Web.git", "acme/Web", True),
        ("https://Git.Example.com:443/acme/web", "acme/web", True),
        ("https://git.example.com:8443/acme/web", "acme/web", False),
        ("git@git.example.com:acme/web.git", "acme/web", True),
        ("git@Git.Example.com:acme/web.git", "acme/web", True),
        ("http://git.example.com:8080/acme/web", "acme/web", False),
        ("ssh://git@git.example.com:2222/a/b/web", "a/b/web", True),
        ("https://ssh.git.example.com/acme/web", "acme/web", False),
    ],
)
def test_a_repository_is_on_the_forge_of_its_host_and_port(repo: str, path: str, there: bool) -> None:
    assert repo_path(repo) == path
    assert is_on("https://git.example.com", repo) is there


def test_a_forge_on_a_port_of_its_own_has_what_is_reached_by_ssh() -> None:
    assert is_on("https://git.example.com:8443", "git@git.example.com:acme/web.git")
