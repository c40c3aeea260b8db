"""Pure parts of reading and writing a repository: paths, trees, messages, the language of fast-import."""

import pytest

from orchestrator.domain.apps import Author
from workers.clients.git_read import TreeEntry, folders_above, parse_tree, path_fault, trailers_of
from workers.clients.git_write import Draft, import_stream, plain_message, quoted


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


@pytest.mark.parametrize(
    ("message", "trailers"),
    [
        ("subject\n\nPilotage-Run: 1\nX-Y: a: b\n", (("Pilotage-Run", "1"), ("X-Y", "a: b"))),
        ("subject\n\nbody\n \t\nPilotage-Run:   1  \n\n", (("Pilotage-Run", "1"),)),
        ("subject\n\nPilotage-Run: 1\n\nbody\n", ()),
        ("subject\n\nPilotage-Run: 1\nand prose\n", ()),
        ("Pilotage-Run: 1\n", ()),
        ("subject", ()),
        ("", ()),
    ],
)
def test_trailers_are_the_last_paragraph_or_nothing(message: str, trailers: tuple[tuple[str, str], ...]) -> None:
    assert trailers_of(message) == trailers


def test_a_chain_is_spelled_for_fast_import() -> None:
    drafts = [
        Draft(path='a "b".yaml', mode="100755", content=b"x: 1\n", message="하나", date=7),
        Draft(path="c", mode="100644", content=b"", message="two\r\n\x07", date=8),
    ]
    assert (
        import_stream("1" * 40, drafts, ref="refs/p/x", author=Author(name="A <x>\n", email="a@b\n"))
        == (
            "commit refs/p/x\nmark :1\nauthor A  x <a@b> 7 +0000\ncommitter A  x <a@b> 7 +0000\ndata 7\n하나\n\n"
            f'from {"1" * 40}\nM 100755 inline "a \\"b\\".yaml"\ndata 5\nx: 1\n\n'
            "commit refs/p/x\nmark :2\nauthor A  x <a@b> 8 +0000\ncommitter A  x <a@b> 8 +0000\ndata 4\ntwo\n\n"
            'from :1\nM 100644 inline "c"\ndata 0\n\n'
            "get-mark :1\nget-mark :2\ndone\n"
        ).encode()
    )


def test_an_author_always_has_a_name() -> None:
    draft = Draft(path="c", mode="100644", content=b"", message="x", date=8)
    assert b"author pilotage <> 8" in import_stream("1" * 40, [draft], ref="r", author=Author(name=" ", email=""))


def test_messages_are_plain_text() -> None:
    assert plain_message("a\r\n\nb\x00\x1bc\t\n\n") == "a\n\nb  c\n"


def test_names_that_are_not_utf_8_survive_quoting() -> None:
    assert quoted("a\udcff") == b'"a\xff"'
