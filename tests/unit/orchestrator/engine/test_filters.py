"""Which changed files matter, by the rules that people know from other tools."""

from fnmatch import fnmatchcase

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.filters import path_filter


@pytest.mark.parametrize(
    ("rule", "path", "matters"),
    [
        ("web/**", "web/a.ts", True),
        ("web/**", "web/src/a.ts", True),
        ("web/**", "website/a.ts", False),
        ("web/**", "api/web/a.ts", False),
        ("./web/**", "web/a.ts", True),
        ("/web/**", "web/a.ts", True),
        (".//web/**", "web/a.ts", True),
        ("web/", "web/a.ts", True),
        ("web/", "web/src/a.ts", True),
        ("web/", "web", False),
        ("web/", "website", False),
        ("./", "a", True),
        (".", "src/a", True),
        ("/", "a", True),
        (".env", ".env", True),
        (".env", "env", False),
        ("**", "src/a", True),
        ("**/*.go", "main.go", True),
        ("**/*.go", "cmd/web/main.go", True),
        ("**/*.go", "main.golang", False),
        ("web/**/*.ts", "web/a.ts", True),
        ("web/**/*.ts", "web/src/lib/a.ts", True),
        ("web/**/*.ts", "web2/a.ts", False),
        ("**/Dockerfile", "Dockerfile", True),
        ("**/Dockerfile", "web/Dockerfile", True),
        ("**/Dockerfile", "web/MyDockerfile", False),
        ("**/**/Dockerfile", "Dockerfile", True),
        ("***/Dockerfile", "Dockerfile", True),
        ("a**/b", "ax/y/b", True),
        ("a**/b", "ab", False),
        ("*.go", "cmd/main.go", True),
        ("web/*", "web/src/a.ts", True),
        ("web/?.ts", "web/a.ts", True),
        ("web/?.ts", "web/ab.ts", False),
        ("[ab].ts", "a.ts", True),
        ("[!ab].ts", "a.ts", False),
        ("[!ab].ts", "c.ts", True),
        ("[]].ts", "].ts", True),
        ("[].ts", "[].ts", True),
        ("[!].ts", "[!].ts", True),
        ("[a.ts", "[a.ts", True),
        ("a+b.ts", "a+b.ts", True),
        ("a+b.ts", "aab.ts", False),
        ("웹/**", "웹/가.ts", True),
        ("Web/**", "web/a.ts", False),
    ],
)
def test_a_changed_file_matters(rule: str, path: str, matters: bool) -> None:
    assert (path_filter((rule,)).last(path) is not None) is matters


def test_the_last_rule_that_fits_is_told() -> None:
    rules = path_filter(("**", "web/**", "web/a", "api/**"))
    assert [rules.last(path) for path in ("x", "web/b", "web/a", "api/a")] == [0, 1, 2, 3]
    assert path_filter(()).last("x") is None


@given(rule=st.text("ab/*?[!]-.", min_size=1, max_size=8), path=st.text("ab/!-.]", min_size=1, max_size=8))
def test_what_a_shell_pattern_matches_still_matters(rule: str, path: str) -> None:
    if fnmatchcase(path, rule) and not rule.startswith(("/", "./")):
        assert path_filter((rule,)).last(path) is not None


def test_a_tangle_of_stars_does_not_take_forever() -> None:
    assert path_filter(("*a" * 60 + "b", "**/a*" * 60 + "b")).last("a" * 2000 + "/a" * 1000) is None
