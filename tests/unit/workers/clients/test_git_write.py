"""The language of fast-import, and what messages and authors become in it."""

from orchestrator.domain.apps import Author
from workers.clients.git_write import Draft, import_stream, plain_message, quoted


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
