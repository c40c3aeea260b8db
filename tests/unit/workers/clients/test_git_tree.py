"""Paths inside a repository, and the listings of its trees."""

import pytest

from workers.clients.git_tree import TreeEntry, folders_above, parse_tree, path_fault


@pytest.mark.parametrize(
    "path", ["a", "a/b.yaml", "한글/값.yaml", "a b", "-x", "...", "a/..b", ".gitignore", "x.git/y"]
)
def test_paths_inside_a_repository_are_fine(path: str) -> None:
    assert path_fault(path) == ""


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/a",
        "..",
        "../a",
        "a/..",
        "a/../b",
        ".",
        "./a",
        "a//b",
        "a/",
        "a\\b",
        "a\nb",
        "a\0",
        ".git",
        "a/.GIT/b",
        "가" * 2000,
    ],
)
def test_paths_that_lead_elsewhere_have_a_fault(path: str) -> None:
    assert path_fault(path)


def test_the_folders_above_a_path_are_listed_outermost_first() -> None:
    assert folders_above("a/b/c.yaml") == ["a", "a/b"]
    assert folders_above("c.yaml") == []


def test_a_listing_is_parsed_whatever_the_names_are() -> None:
    listing = (
        b"100644 blob " + b"1" * 40 + b"      12\ta b\tc\n.txt\0"
        b"160000 commit " + b"2" * 40 + b"       -\tlib\0"
        b"100755 blob " + b"3" * 40 + b" 7\t\xff\xfe\0"
    )
    plain, module, odd = parse_tree(listing)
    assert plain == TreeEntry(path="a b\tc\n.txt", mode="100644", object="1" * 40, size=12)
    assert (module.kind, module.size, module.is_file) == ("a submodule", 0, False)
    assert (odd.path.encode("utf-8", "surrogateescape"), odd.is_file) == (b"\xff\xfe", True)
    assert parse_tree(b"") == []
