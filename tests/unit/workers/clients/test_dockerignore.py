"""The rules of .dockerignore, against what the docker command does."""

import pytest

from workers.clients.dockerignore import Ignore, read_patterns


def ignores(rules: str, path: str) -> bool:
    return Ignore(read_patterns(rules.encode())).ignores(path)


@pytest.mark.parametrize(
    ("rules", "path", "ignored"),
    [
        ("", "a", False),
        ("a", "a", True),
        ("a\r\n# as said\u2028!a\x0c!a\x85!a\r\n", "a", True),
        ("a", "b/a", False),
        ("/a", "a", True),
        ("a/", "a/b", True),
        ("./a", "a/b/c", True),
        ("a/../b", "b", True),
        ("../a", "a", True),
        ("*.md", "README.md", True),
        ("*.md", "docs/README.md", False),
        ("*/*.md", "docs/README.md", True),
        ("**/*.md", "README.md", True),
        ("**/*.md", "a/b/README.md", True),
        ("**/secrets", "a/b/secrets/key", True),
        ("**/node_modules", "node_modules/x/y.js", True),
        ("docs/**", "docs/a/b", True),
        ("**", "a/b", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[a-c].txt", "b.txt", True),
        ("[^a].txt", "a.txt", False),
        ("[.txt", "[.txt", True),
        ("a.b", "axb", False),
        (r"\*", "*", True),
        (r"\*", "a", False),
        ("*\n!keep", "keep", False),
        ("*\n!keep", "keep/a", False),
        ("dir\n!dir/keep", "dir/keep", False),
        ("dir\n!dir/keep", "dir/other", True),
        ("!keep\n*", "keep", True),
        ("*.md\n!README*.md\nREADME-secret.md", "README-secret.md", True),
        ("*.md\n!README*.md\nREADME-secret.md", "README.md", False),
        ("# comment\n\n  a  ", "a", True),
        ("#a", "#a", False),
        ("! keep", "keep", False),
        ("비밀/**", "비밀/열쇠", True),
        ("a**b", "ab", True),
        ("a**b", "ax/b", True),
        ("a**b", "axb", False),
        ("a/**", "a", False),
        ("**/a**", "x/a/b", True),
        ("***.md", "a/b.md", True),
        ("[a", "[a", True),
        ("[z-a]", "[z-a]", True),
        ("[^a]", "b/c", True),
        ("[^b]x", "bx/c", False),
        ("a\\", "a\\", True),
        (".", "a", False),
        ("!", "a", False),
    ],
)
def test_a_path_is_judged_as_docker_does(rules: str, path: str, ignored: bool) -> None:
    assert ignores(rules, path) is ignored


def test_a_byte_order_mark_is_not_part_of_the_first_rule() -> None:
    assert Ignore(read_patterns(b"\xef\xbb\xbfsecret")).ignores("secret")


TANGLES = {
    "folders": ("**/" * 40 + "x", "/".join("a" * 60)),
    "stars": ("*a*a*a*a*a*b", "a" * 250),
    "many stars": ("*a" * 100 + "b", "a" * 250),
    "folders and stars": ("**/*a*" * 30 + "b", "/".join("a" * 1000)),
    "double stars": ("a**" * 100 + "b", "a" * 4000),
    "many rules": ("*a*a*a*b\n" * 1000, "a" * 250),
    "brackets": ("[" * 100_000, "a"),
}


@pytest.mark.parametrize("tangle", TANGLES)
def test_a_tangle_of_stars_does_not_take_forever(tangle: str) -> None:
    assert not ignores(*TANGLES[tangle])


@pytest.mark.parametrize(
    ("rules", "whole"),
    [
        ("", False),
        ("other\n", False),
        ("a/lib\n", True),
        ("a\n", True),
        ("**\n", True),
        ("a/lib/**\n", False),
        ("a\n!a/lib\n", False),
        ("a\n!a/lib/x\n", False),
        ("a\n!a/lib2/x\n", True),
        ("a\n!a/*/x\n", False),
        ("a\n!**/*.md\n", False),
        ("a\n!b/**/*.md\n", True),
        ("a\n!a/lib2*\n", True),
        ("a\n!a/lib/[xy]\n", False),
        ("!**/*.md\na/lib\n", True),
        ("a\n!a/lib/x\na/lib\n", True),
        ("a\n!\n", True),
    ],
)
def test_a_folder_is_left_out_whole_if_no_later_exception_may_name_something_inside(rules: str, whole: bool) -> None:
    assert Ignore(read_patterns(rules.encode())).ignores_all_in("a/lib") is whole
